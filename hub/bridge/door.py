"""Who may connect: security profile 1, HTTP Basic with the station's id and password, in the WebSocket handshake.

Failures are counted per identity and address together, so that nobody can lock a charger out from elsewhere, and a
site with one wrong charger does not lose the others.
"""

import base64
import binascii
import time
from collections import OrderedDict, deque
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import unquote, urlsplit

from hub.store import stations
from hub.store.chargers import Station
from hub.store.db import Database

PATH = "/ocpp/"
FAILURES = 5
WINDOW = 60.0
REMEMBERED = 10_000


@dataclass(frozen=True)
class Turned:
    """A refusal: the HTTP status and a line for whoever reads the charger's log."""

    status: HTTPStatus
    text: str


UNKNOWN = Turned(HTTPStatus.NOT_FOUND, "no such charger: add it to the hub first")
NO_ENTRY = Turned(HTTPStatus.UNAUTHORIZED, "HTTP Basic with the charger's id and its password is required")
TOO_MANY = Turned(HTTPStatus.TOO_MANY_REQUESTS, "too many failed attempts: wait a minute")


class Door:
    """Checks handshakes."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._failures: OrderedDict[tuple[str, str], deque[float]] = OrderedDict()

    async def admit(self, path: str, authorization: str | None, address: str) -> Station | Turned:
        """The station behind a handshake, or why it is turned away."""
        named = station_id(path)
        if named is None:
            return UNKNOWN
        visitor = (named.upper(), address)
        if self._is_barred(visitor):
            return TOO_MANY
        async with self._db.session() as session:
            station = await stations.find(session, named)
        if station is None:
            self._note(visitor)
            return UNKNOWN
        user, password = credentials(authorization)
        if user.upper() != named.upper() or not stations.password_fits(station.password_hash, password):
            self._note(visitor)
            return NO_ENTRY
        self._failures.pop(visitor, None)
        return station

    def _is_barred(self, visitor: tuple[str, str]) -> bool:
        times = self._failures.get(visitor)
        return times is not None and len(times) == FAILURES and time.monotonic() - times[0] < WINDOW

    def _note(self, visitor: tuple[str, str]) -> None:
        self._failures.setdefault(visitor, deque(maxlen=FAILURES)).append(time.monotonic())
        self._failures.move_to_end(visitor)
        if len(self._failures) > REMEMBERED:
            self._failures.popitem(last=False)


def station_id(path: str) -> str | None:
    """The id in a request path, decoded (F14); None for any other path."""
    raw = urlsplit(path).path
    named = unquote(raw.removeprefix(PATH)) if raw.startswith(PATH) else ""
    return named if named and "/" not in named and "\0" not in named and len(named) <= 255 else None


def credentials(authorization: str | None) -> tuple[str, bytes]:
    """User and password of HTTP Basic; empty when there are none. The password may be raw bytes."""
    scheme, _, rest = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return "", b""
    try:
        user, _, password = base64.b64decode(rest.strip(), validate=True).partition(b":")
    except binascii.Error:
        return "", b""
    return user.decode("utf-8", "replace"), password
