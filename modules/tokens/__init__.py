"""Tokens: what drivers identify themselves with."""
