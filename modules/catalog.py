"""The catalogue: one row per OCPI module. Routing, storage, delivery and the versions answer read it.

The method sets are those of the interface tables in the spec's module files; a test holds the routes to them.
"""

from hub.ocpi.module import Catalog, Module, Part
from modules.cdrs.schemas import CDR
from modules.chargingprofiles.schemas import SetChargingProfile
from modules.commands.schemas import (
    CancelReservation,
    CommandResult,
    ReserveNow,
    StartSession,
    StopSession,
    UnlockConnector,
)
from modules.credentials.schemas import Credentials
from modules.hubclientinfo.schemas import ClientInfo
from modules.locations.schemas import EVSE, Connector, Location
from modules.sessions.schemas import Session
from modules.tariffs.schemas import Tariff
from modules.tokens.schemas import Token

CREDENTIALS = Module(
    "credentials",
    owner="",
    model=Credentials,
    sender_methods=frozenset({"GET", "POST", "PUT", "DELETE"}),
    receiver_methods=frozenset({"GET", "POST", "PUT", "DELETE"}),
)
LOCATIONS = Module(
    "locations",
    owner="CPO",
    model=Location,
    sender_methods=frozenset({"GET"}),
    receiver_methods=frozenset({"GET", "PUT", "PATCH"}),
    parts=(Part("evses", "uid", EVSE), Part("connectors", "id", Connector)),
    broadcast=True,
)
SESSIONS = Module(
    "sessions",
    owner="CPO",
    model=Session,
    sender_methods=frozenset({"GET", "PUT"}),
    receiver_methods=frozenset({"GET", "PUT", "PATCH"}),
    append=frozenset({"charging_periods"}),
    token_field="cdr_token",
)
CDRS = Module(
    "cdrs",
    owner="CPO",
    model=CDR,
    sender_methods=frozenset({"GET"}),
    receiver_methods=frozenset({"GET", "POST"}),
    token_field="cdr_token",
    immutable=True,
)
TARIFFS = Module(
    "tariffs",
    owner="CPO",
    model=Tariff,
    sender_methods=frozenset({"GET"}),
    receiver_methods=frozenset({"GET", "PUT", "DELETE"}),
    broadcast=True,
)
TOKENS = Module(
    "tokens",
    owner="EMSP",
    model=Token,
    sender_methods=frozenset({"GET", "POST"}),
    receiver_methods=frozenset({"GET", "PUT", "PATCH"}),
    id_field="uid",
    key_field="type",
    key_default="RFID",
    broadcast=True,
)
COMMANDS = Module(
    "commands",
    owner="",
    model=CommandResult,
    sender_methods=frozenset({"POST"}),
    receiver_methods=frozenset({"POST"}),
    command_models={
        "CANCEL_RESERVATION": CancelReservation,
        "RESERVE_NOW": ReserveNow,
        "START_SESSION": StartSession,
        "STOP_SESSION": StopSession,
        "UNLOCK_CONNECTOR": UnlockConnector,
    },
)
HUBCLIENTINFO = Module(
    "hubclientinfo",
    owner="",
    model=ClientInfo,
    sender_methods=frozenset({"GET"}),
    receiver_methods=frozenset({"GET", "PUT"}),
)
CHARGINGPROFILES = Module(
    "chargingprofiles",
    owner="",
    model=SetChargingProfile,
    sender_methods=frozenset({"PUT", "POST"}),
    receiver_methods=frozenset({"GET", "PUT", "DELETE"}),
)

FUNCTIONAL = (LOCATIONS, SESSIONS, CDRS, TARIFFS, TOKENS, COMMANDS, CHARGINGPROFILES)
CATALOG: Catalog = {module.name: module for module in (CREDENTIALS, HUBCLIENTINFO, *FUNCTIONAL)}
