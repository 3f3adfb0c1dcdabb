"""Chargers over OCPP: the back end of hosted CPO parties, and their voice in OCPI."""
