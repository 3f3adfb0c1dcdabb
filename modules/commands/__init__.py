"""Commands: what an eMSP asks of a Charge Point."""
