"""Every table of the hub, gathered for the migrations and for the test that holds the migrations to them."""

from sqlmodel import SQLModel

from hub.store import alerts, chargers, heartbeats, lanes, ledger, log, messages, objects, parties

METADATA = SQLModel.metadata
TABLES = (alerts, chargers, heartbeats, lanes, ledger, log, messages, objects, parties)
