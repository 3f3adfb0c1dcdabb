"""Rows and bodies that the tests of the delivery share."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hub.store.objects import Kept

DAY = datetime(2026, 1, 1, tzinfo=UTC)


def at(minute: int) -> str:
    """A time of the test day, as OCPI writes it."""
    return (DAY + timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M:%SZ")


def times_of(body: dict[str, Any], path: str = "") -> dict[str, str]:
    """Each level's own time of a body that arrived whole."""
    times = {path: body["last_updated"]}
    for name, id_field in (("evses", "uid"), ("connectors", "id")):
        for child in body.get(name) or []:
            times |= times_of(child, f"{path}/{child[id_field]}".strip("/").upper())
    return times


@pytest.fixture(scope="session")
def location() -> Callable[..., dict[str, Any]]:
    """A Location: `location(10, E1=(5, "AVAILABLE"))` is of minute 10, its EVSE E1 of minute 5."""

    def make(minute: int, name: str = "L", **evses: tuple[int, str]) -> dict[str, Any]:
        return {
            "country_code": "NL",
            "party_id": "CPA",
            "id": "Loc 1",
            "name": name,
            "evses": [
                {
                    "uid": uid,
                    "status": status,
                    "connectors": [{"id": "1", "max_voltage": 230, "last_updated": at(when)}],
                    "last_updated": at(when),
                }
                for uid, (when, status) in evses.items()
            ],
            "last_updated": at(max([minute, *(when for when, _ in evses.values())])),
        }

    return make


@pytest.fixture(scope="session")
def kept() -> Callable[..., Kept]:
    """A row: `kept(body, audience="DE*MSA", minute=3)`; `minute` is when it was stored."""

    def make(
        body: dict[str, Any],
        audience: str = "*",
        minute: int = 0,
        deleted: bool = False,
        times: dict[str, str] | None = None,
    ) -> Kept:
        stamp = datetime.fromisoformat(body["last_updated"])
        row_times = times_of(body) if times is None else times
        stored_at = DAY + timedelta(days=1, minutes=minute)
        return Kept(1, "NL*CPA", "LOC 1", audience, json.dumps(body), row_times, stamp, deleted, stored_at)

    return make
