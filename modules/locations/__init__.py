"""Locations: where drivers can charge."""
