"""Versions: which OCPI versions the hub speaks, and where."""
