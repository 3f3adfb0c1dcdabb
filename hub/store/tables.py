"""Every table of the hub, gathered for the migrations and for the test that holds the migrations to them."""

from sqlmodel import SQLModel

from hub.store import chargers, lanes, ledger, log, messages, objects, parties

METADATA = SQLModel.metadata
TABLES = (chargers, lanes, ledger, log, messages, objects, parties)
