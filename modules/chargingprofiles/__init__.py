"""Charging profiles: limits that an eMSP or a smart charging provider sets for a running Session."""
