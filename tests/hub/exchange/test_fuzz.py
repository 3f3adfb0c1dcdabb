"""Sound bodies with one thing changed to something nobody expects: always an envelope, never a fault of the hub."""

import copy
import random
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from hub.ocpi import json
from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp
from hub.sandbox.shelf import Shelf
from hub.sandbox.wire import Json

NASTY: list[Any] = [
    None, True, 0, -1, 2**63, -(2**63) - 1, 10**30, Decimal("1E-30"), Decimal("-0.0"), "", " ", "x" * 10_000,
    "é\u202e\u2028", "2026-02-30T00:00:00Z", "2026-01-01T00:00:00+14:00", "9999-12-31T23:59:60Z", "NaN", "../..", "%00",
    "*", [], {},
    [[]], [None], [1], [{}], [{"uid": None}], {"": {}}, {"uid": {}, "id": [], "last_updated": "2026-01-01T00:00:00Z"},
]  # fmt: skip
ROUNDS = 80


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a body, as the steps that lead there."""
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, child in steps:
        yield (*path, step)
        yield from places(child, (*path, step))


def twisted(body: Json, dice: random.Random) -> Json:
    """The body with a nasty value in one or two places."""
    odd = copy.deepcopy(body)
    for _ in range(dice.randrange(1, 3)):
        *path, last = dice.choice(list(places(odd)))
        node: Any = odd
        for step in path:
            node = node[step]
        if dice.random() < 0.15:
            del node[last]
        else:
            node[last] = copy.deepcopy(dice.choice(NASTY))
        if not odd:
            break
    return odd


@pytest.mark.parametrize("seed", range(3))
async def test_no_body_brings_the_hub_down(
    cpo: CpoBackend, emsp: Emsp, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    dice = random.Random(seed)
    for method in ("put", "patch"):  # a receiver that takes everything
        monkeypatch.setattr(Shelf, method, lambda *_, **__: None)
    location, tariff, token = samples.location(), samples.tariff(), samples.token()
    session = samples.session(of=token) | {
        "charging_periods": [
            {"start_date_time": samples.now(), "dimensions": [{"type": "ENERGY", "volume": Decimal("1.5")}]}
        ]
    }
    evse = location["evses"][0]
    for put in (cpo.put_location(location, to=cpo.hub), cpo.put_tariff(tariff, to=cpo.hub)):
        assert (await put).ok
    assert (await emsp.put_token(token, to=emsp.hub)).ok
    assert (await cpo.put_session(session, to="DE*MSA")).ok
    targets: list[tuple[Any, str, tuple[str, ...], Json, Any]] = [
        (cpo, "locations", ("NL", "CPA", "LOC1"), location, cpo.hub),
        (cpo, "locations", ("NL", "CPA", "LOC1", "EVSE1"), evse, cpo.hub),
        (cpo, "locations", ("NL", "CPA", "LOC1", "EVSE1", "1"), evse["connectors"][0], cpo.hub),
        (cpo, "locations", ("NL", "CPA", "LOC1"), location, "DE*MSA"),
        (cpo, "tariffs", ("NL", "CPA", tariff["id"]), tariff, cpo.hub),
        (emsp, "tokens", ("DE", "MSA", token["uid"]), token, emsp.hub),
        (cpo, "sessions", ("NL", "CPA", session["id"]), session, "DE*MSA"),
    ]
    for number in range(ROUNDS):
        party, module, path, body, to = targets[number % len(targets)]
        sent = twisted(body | {"last_updated": samples.now()}, dice)
        method = dice.choice(["PUT", "PATCH"])
        answer = await party.send(method, module, *path, to=to, body=sent)
        assert answer.http_status in (200, 201, 400, 404, 405), json.dumps([method, path, sent])
        assert answer.status_code in (1000, 2000, 2001, 2003), json.dumps([method, path, sent])
        assert len(answer.message) < 400
    for reader, module in ((emsp, "locations"), (emsp, "tariffs"), (cpo, "tokens")):
        assert (await reader.send("GET", module, interface="SENDER", to=reader.hub)).ok
