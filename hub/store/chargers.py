"""Chargers as the bridge knows them: stations, connectors, transactions, grants, commands, reservations, held CDRs.

A *station* is an OCPP charge point of a hosted party; OCPI never sees it. Each of its connectors stands for one EVSE
of a Location. A *charging* is one OCPP transaction and at the same time one OCPI Session. Two columns carry what
still has to leave the hub, so that a crash between a committed message and its push loses nothing: `due_at` says
when somebody must look at the row again, and is cleared only by the one who has published what was there.

Whether a station is connected is a question of the database, not of a process: `epoch` grows with each accepted
socket, and only the newest one may change the station afterwards. `last_seen_at` is refreshed in bulk by the
bridge that holds the socket; a station that has not been seen for a while is `away`, whatever the reason was.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    Sequence,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

TRANSACTION_NUMBER = Sequence("transaction_number", metadata=SQLModel.metadata, start=1, maxvalue=2**31 - 1)
"""Every transactionId of every station: a positive 31 bit number that is never given twice."""

RESERVATION_NUMBER = Sequence("reservation_number", metadata=SQLModel.metadata, start=1, maxvalue=2**31 - 1)
"""Every reservationId: an eMSP's own id is not unique and not a number (CMD-030)."""

NOW = text("now()")


def _time(nullable: bool = True, default: bool = False) -> Any:
    return Column(DateTime(timezone=True), nullable=nullable, server_default=NOW if default else None)


class Station(SQLModel, table=True):
    """A charge point. `station_id` keeps the operator's spelling, its index does not (F14)."""

    __tablename__ = "station"
    __table_args__ = (
        Index("station_identity", text("upper(station_id)"), unique=True),
        Index("station_location", "owner", "location_id"),
    )
    station_id: str = Field(primary_key=True)
    owner: str
    location_id: str
    password_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    epoch: int = Field(default=0, sa_column=Column(BigInteger, nullable=False, server_default="0"))
    connected: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    away: bool = Field(default=True, sa_column_kwargs={"server_default": text("true")})
    last_seen_at: datetime | None = Field(default=None, sa_column=_time())
    vendor: str | None = None
    model: str | None = None
    serial: str | None = None
    firmware: str | None = None
    boot_status: str | None = None
    booted_at: datetime | None = Field(default=None, sa_column=_time())
    status: str | None = None
    settings: dict[str, Any] = Field(
        default_factory=dict, sa_column=Column(JSONB, nullable=False, server_default=text("'{}'"))
    )
    created_at: datetime | None = Field(default=None, sa_column=_time(nullable=False, default=True))


class StationConnector(SQLModel, table=True):
    """One connectorId and the EVSE and Connector it stands for. `status` is the OCPP one, None until told."""

    __tablename__ = "station_connector"
    __table_args__ = (Index("station_connector_due", "due_at", postgresql_where=text("due_at IS NOT NULL")),)
    station_id: str = Field(primary_key=True, foreign_key="station.station_id", ondelete="CASCADE")
    ocpp_connector_id: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    evse_uid: str
    connector_id: str
    status: str | None = None
    error_code: str | None = None
    status_at: datetime | None = Field(default=None, sa_column=_time())
    due_at: datetime | None = Field(default=None, sa_column=_time())


class Charging(SQLModel, table=True):
    """One transaction. `state` is open, estimated (no stop came, one was assumed and may still be replaced),
    closed, or parked (a stop that belongs to nothing we know).

    Registers are in Wh. `changes` counts what happened, `published` is how much of it the token's owner was told;
    until `quiet_until` only a whole kWh more than `published_wh` is worth another push. `tariff` is the one that was
    in force when the session was first told, `place` the Location as it was then, with this EVSE and Connector only.
    `cdr_state` is None, ready (`cdr_body` is final and must go out), sent, held, or none (there is nothing to bill).
    """

    __tablename__ = "charging"
    __table_args__ = (
        Index("charging_natural", "natural_key", unique=True),
        Index("charging_session", "session_id", unique=True),
        Index("charging_open", "station_id", "ocpp_connector_id", postgresql_where=text("state = 'open'")),
        Index("charging_due", "due_at", postgresql_where=text("due_at IS NOT NULL")),
    )
    transaction_id: int | None = Field(
        default=None,
        sa_column=Column(Integer, TRANSACTION_NUMBER, server_default=TRANSACTION_NUMBER.next_value(), primary_key=True),
    )
    session_id: str
    natural_key: str
    owner: str
    station_id: str = Field(foreign_key="station.station_id")
    location_id: str
    ocpp_connector_id: int
    evse_uid: str | None = None
    connector_id: str | None = None
    id_tag: str
    id_tag_status: str
    token: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True), nullable=True))
    auth_method: str | None = None
    authorization_reference: str | None = None
    started_at: datetime = Field(sa_column=_time(nullable=False))
    meter_start: Decimal | None = Field(default=None, sa_column=Column(Numeric))
    stopped_at: datetime | None = Field(default=None, sa_column=_time())
    meter_stop: Decimal | None = Field(default=None, sa_column=Column(Numeric))
    stop_reason: str | None = None
    state: str = "open"
    remark: str | None = Field(default=None, sa_column=Column(Text))
    register_wh: Decimal | None = Field(default=None, sa_column=Column(Numeric))
    register_at: datetime | None = Field(default=None, sa_column=_time())
    updated_at: datetime = Field(sa_column=_time(nullable=False, default=True))
    changes: int = Field(default=1, sa_column_kwargs={"server_default": "1"})
    published: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    quiet_until: datetime | None = Field(default=None, sa_column=_time())
    published_wh: Decimal | None = Field(default=None, sa_column=Column(Numeric))
    due_at: datetime | None = Field(default=None, sa_column=_time())
    tariff: str | None = Field(default=None, sa_column=Column(Text))
    place: str | None = Field(default=None, sa_column=Column(Text))
    cdr_id: str | None = None
    cdr_body: str | None = Field(default=None, sa_column=Column(Text))
    cdr_state: str | None = None


class Reading(SQLModel, table=True):
    """What was seen at a moment: the meter (`raw` is the sampledValue list as sent) or a connector status.

    `transaction_id` is None for what belongs to no transaction we know of. Rows are only ever added.
    """

    __tablename__ = "reading"
    __table_args__ = (Index("reading_transaction", "transaction_id", "at"),)
    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(), primary_key=True))
    station_id: str
    ocpp_connector_id: int
    transaction_id: int | None = None
    at: datetime = Field(sa_column=_time(nullable=False))
    register_wh: Decimal | None = Field(default=None, sa_column=Column(Numeric))
    status: str | None = None
    raw: str | None = Field(default=None, sa_column=Column(Text))


class Grant(SQLModel, table=True):
    """A token that may start at a station until a given time, because its eMSP has just said so: at `evse_uids`, or
    anywhere when there are none.

    `id_tag` is upper case, and an alias where the token's uid does not fit an OCPP 1.6 idTag.
    """

    __tablename__ = "charge_grant"
    station_id: str = Field(primary_key=True, foreign_key="station.station_id", ondelete="CASCADE")
    id_tag: str = Field(primary_key=True)
    token: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    auth_method: str
    authorization_reference: str | None = None
    evse_uids: list[str] = Field(
        default_factory=list, sa_column=Column(JSONB, nullable=False, server_default=text("'[]'"))
    )
    until: datetime = Field(sa_column=_time(nullable=False))


class StationCommand(SQLModel, table=True):
    """An OCPI command on its way to a station. `state`: queued, sent, answered (result known), posting, posted."""

    __tablename__ = "station_command"
    __table_args__ = (Index("station_command_pending", "station_id", "id", postgresql_where=text("state <> 'posted'")),)
    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(), primary_key=True))
    station_id: str = Field(foreign_key="station.station_id", ondelete="CASCADE")
    owner: str
    sender: str
    kind: str
    action: str
    payload: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    response_url: str = Field(sa_column=Column(Text, nullable=False))
    correlation_id: str
    state: str = "queued"
    deadline: datetime = Field(sa_column=_time(nullable=False))
    result: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True), nullable=True))
    tries: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    created_at: datetime | None = Field(default=None, sa_column=_time(nullable=False, default=True))


class StationReservation(SQLModel, table=True):
    """A RESERVE_NOW: a connector kept free for a token, and its Session until somebody charges.

    `number` is the OCPP reservationId; a reservation that replaces another one at the same station has the same, and
    the same Session. `key` is the eMSP's reservation_id in upper case, unique per `sender`. `state`: asked, active,
    used (a transaction took its Session over), cancelled, expired, refused, replaced. `due_at`: its Session is to go
    out.
    """

    __tablename__ = "station_reservation"
    __table_args__ = (
        Index(
            "station_reservation_standing",
            *("owner", "sender", "key"),
            postgresql_where=text("state IN ('asked', 'active')"),
        ),
        Index("station_reservation_due", "due_at", postgresql_where=text("due_at IS NOT NULL")),
    )
    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(), primary_key=True))
    number: int
    owner: str
    sender: str
    key: str
    station_id: str = Field(foreign_key="station.station_id", ondelete="CASCADE")
    location_id: str
    ocpp_connector_id: int
    evse_uid: str
    connector_id: str
    id_tag: str
    token: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    authorization_reference: str | None = None
    session_id: str
    expires_at: datetime = Field(sa_column=_time(nullable=False))
    state: str = "asked"
    began_at: datetime = Field(sa_column=_time(nullable=False))
    updated_at: datetime = Field(sa_column=_time(nullable=False, default=True))
    due_at: datetime | None = Field(default=None, sa_column=_time())


class HeldCdr(SQLModel, table=True):
    """A CDR that could not be finished: complete but for what `reason` names. An operator must look at it."""

    __tablename__ = "held_cdr"
    session_id: str = Field(primary_key=True)
    owner: str = Field(index=True)
    transaction_id: int
    reason: str = Field(sa_column=Column(Text, nullable=False))
    body: str = Field(sa_column=Column(Text, nullable=False))
    held_at: datetime | None = Field(default=None, sa_column=_time(nullable=False, default=True))
