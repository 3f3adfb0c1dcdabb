"""Simulated parties that speak real OCPI over real sockets: for the demo, for tests, and to build your own from.

Nothing here uses the hub's own routing or delivery, so that what these parties see proves something about it.
"""
