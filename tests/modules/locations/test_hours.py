"""When a Location is open."""

from datetime import UTC, datetime
from typing import Any

import pytest

from hub.sandbox import samples
from modules.locations import hours

WORKDAYS = [{"weekday": day, "period_begin": "08:00", "period_end": "18:00"} for day in range(1, 6)]


def on(day: int, clock: str) -> datetime:
    """A moment of June 2026, UTC; the 1st is a Monday."""
    return datetime.fromisoformat(f"2026-06-{day:02}T{clock}+00:00")


def exception(kind: str, begin: datetime, end: datetime) -> dict[str, Any]:
    return {f"exceptional_{kind}": [{"period_begin": begin.isoformat()[:19], "period_end": end.isoformat()[:19] + "Z"}]}


def now(moment: datetime, location: dict[str, Any] | None = None, **times: Any) -> str:
    opening = {"twentyfourseven": False, "regular_hours": WORKDAYS} | times
    return hours.now(samples.location() | {"opening_times": opening} | (location or {}), moment)


@pytest.mark.catalogue("LOC-074")
def test_regular_hours_are_local_and_exceptions_utc() -> None:
    assert now(on(1, "06:00")) == "open", "it is 08:00 in Amsterdam in summer"
    assert now(on(1, "05:59")) == now(on(1, "16:00")) == "closed, charges"
    assert now(on(1, "07:59"), {"time_zone": "Europe/London"}) == "open"
    assert now(on(6, "10:00")) == "closed, charges", "a Saturday"
    saturday = exception("openings", on(6, "10:00"), on(6, "12:00"))
    assert [now(on(6, clock), **saturday) for clock in ("09:59", "10:00", "11:59", "12:00")] == [
        "closed, charges",
        "open",
        "open",
        "closed, charges",
    ]


@pytest.mark.catalogue("LOC-073")
def test_a_closing_wins_over_everything() -> None:
    closed = exception("closings", on(2, "08:00"), on(2, "12:00"))
    opened = exception("openings", on(2, "07:00"), on(2, "23:00"))
    always = {"twentyfourseven": True, "regular_hours": None}
    for times in ({}, opened, always):
        assert now(on(2, "09:00"), **times) == "open"
        assert now(on(2, "09:00"), **(times | closed)) == "closed, charges"
        assert now(on(2, "13:00"), **(times | closed)) == "open"


@pytest.mark.catalogue("LOC-046")
def test_cars_charge_on_when_it_is_closed_unless_it_says_otherwise() -> None:
    night = datetime(2026, 6, 1, 2, tzinfo=UTC)
    assert now(night) == now(night, {"charging_when_closed": True}) == "closed, charges"
    assert now(night, {"charging_when_closed": None}) == "closed, charges"
    assert now(night, {"charging_when_closed": False}) == "closed"
    assert now(on(1, "10:00"), {"charging_when_closed": False}) == "open"


@pytest.mark.parametrize(
    "odd",
    [
        {"opening_times": None},
        {"opening_times": "always"},
        {"opening_times": {}},
        {"opening_times": {"twentyfourseven": False, "regular_hours": []}},
        {"opening_times": {"twentyfourseven": False, "regular_hours": [{"weekday": "1"}]}},
        {"time_zone": "Nowhere"},
        {"time_zone": "../etc"},
        {"time_zone": 7},
    ],
)
def test_what_cannot_be_read_is_unknown(odd: dict[str, Any]) -> None:
    assert now(on(1, "10:00"), odd) == "unknown"
