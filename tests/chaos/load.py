"""What the senders push: a mix of states of a limited set of objects, and CDRs, drawn from a seed.

A hand owns its objects: it pushes one after the other, so what it sends of an object has rising versions and moments.
"""

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from hub.ocpi.types import format_datetime
from hub.sandbox import samples
from tests.chaos import marks

CPO = samples.CPO
EVERYBODY = "*"
EVSES = ("EVSE1", "EVSE2")
STATUSES = ("AVAILABLE", "CHARGING", "BLOCKED", "OUTOFORDER")
MIX = {
    "evse patch": 40,
    "evse put": 5,
    "location patch": 5,
    "location put": 10,
    "tariff put": 5,
    "session put": 5,
    "cdr post": 30,
}
"""Shares of the pushes, in percent."""

STEP = timedelta(milliseconds=10)
"""Between the moments (last_updated) of two versions."""


@dataclass(frozen=True)
class Push:
    """One push, as it is sent however often it takes. `to` is a party, or everybody; `parts` are the versions in it;
    `cdr` the id of a CDR."""

    kind: str
    method: str
    module: str
    path: tuple[str, ...]
    body: dict[str, Any]
    to: str = EVERYBODY
    parts: tuple[tuple[str, int], ...] = ()
    cdr: str = ""


class Hand:
    """One of `hands` that share the numbers of versions: number `hand`, `hand + hands`, and so on."""

    def __init__(
        self,
        hand: int,
        hands: int,
        *,
        seed: int,
        since: datetime,
        receivers: Sequence[str],
        objects: int,
        name: str = "",
    ) -> None:
        self._random = random.Random(f"{seed}/{name}/{hand}")
        self._numbers = itertools.count(hand + hands, hands)
        self._since, self._receivers, self._name = since, receivers, f"{name}{hand:02}"
        self._objects = objects
        self._names = {"evse patch": "location put", "evse put": "location put", "location patch": "location put"}
        self._known: set[tuple[str, int]] = set()
        self._tariff = samples.tariff(CPO, f"T{self._name}", at=format_datetime(since))

    def pushes(self) -> Iterator[Push]:
        """Without end. What was never PUT is PUT first."""
        while True:
            (kind,) = self._random.choices(list(MIX), list(MIX.values()))
            chosen = self._random.randrange(self._objects)
            whole = self._names.get(kind, kind)
            if (whole, chosen) not in self._known:
                kind = whole
                self._known.add((whole, chosen))
            yield self._push(kind, chosen, next(self._numbers))

    def _push(self, kind: str, chosen: int, number: int) -> Push:
        at, word = format_datetime(self._since + number * STEP), kind.split()[0]
        if kind == "cdr post":
            return self._cdr(number, at)
        if word == "tariff":
            name = f"T{self._name}-{chosen}"
            return _state(kind, "tariffs", (name,), samples.tariff(CPO, name, at=at) | marks.mark("tariffs", number))
        if word == "session":
            name, to = f"S{self._name}-{chosen}", self._receivers[chosen % len(self._receivers)]
            body = samples.session(CPO, name, samples.token(to), at=at) | marks.mark("sessions", number)
            return _state(kind, "sessions", (name,), body | {"kwh": Decimal(number) / 1000}, to)
        name, uid, written = f"L{self._name}-{chosen}", self._random.choice(EVSES), marks.mark("evses", number)
        if kind == "location put":
            body = samples.location(CPO, name, at=at) | marks.mark("locations", number)
            return _state(kind, "locations", (name,), body | {"evses": [evse | written for evse in body["evses"]]})
        if kind == "location patch":
            return _state(kind, "locations", (name,), marks.mark("locations", number) | {"last_updated": at})
        if kind == "evse put":
            return _state(kind, "locations", (name, uid), samples.evse(CPO, int(uid[-1]), at=at) | written)
        status = {"status": self._random.choice(STATUSES), "last_updated": at}
        return _state(kind, "locations", (name, uid), status | written)

    def _cdr(self, number: int, at: str) -> Push:
        name, to = f"C{self._name}-{number}", self._random.choice(self._receivers)
        session = samples.session(CPO, f"S{name}", samples.token(to), at=at) | {"kwh": Decimal(number % 50 + 1)}
        body = samples.cdr(session, samples.location(CPO, at=at), self._tariff, name, at)
        return Push("cdr post", "POST", "cdrs", (), body, to, cdr=name)


def _state(kind: str, module: str, path: tuple[str, ...], body: dict[str, Any], to: str = EVERYBODY) -> Push:
    method = kind.split()[1].upper()
    return Push(kind, method, module, path, body, to, tuple(marks.parts(module, list(path), body).items()))
