"""Tariffs: what charging costs."""
