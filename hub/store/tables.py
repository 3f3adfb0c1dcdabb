"""Every table of the hub, gathered for the migrations and for the test that holds the migrations to them."""

from sqlmodel import SQLModel

from hub.store import (
    alerts,
    backups,
    chargers,
    clientinfo,
    destinations,
    heartbeats,
    lanes,
    ledger,
    log,
    messages,
    objects,
    parked,
    parties,
    peers,
    pulls,
    reconciliations,
    repeats,
    rotations,
)

METADATA = SQLModel.metadata
TABLES = (
    alerts,
    backups,
    chargers,
    clientinfo,
    destinations,
    heartbeats,
    lanes,
    ledger,
    log,
    messages,
    objects,
    parked,
    parties,
    peers,
    pulls,
    reconciliations,
    repeats,
    rotations,
)
