"""Credentials: how two platforms get to know each other."""
