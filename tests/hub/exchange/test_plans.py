"""What is pulled from whom, and when: pure."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.exchange import plans
from hub.exchange.plans import Rhythm
from hub.ocpi.quirks import Quirks
from hub.ocpi.types import PartyId
from hub.settings import Settings
from hub.store.directory import Directory, PartyView, PlatformView
from hub.store.pulls import Job
from modules.catalog import CATALOG

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
RHYTHM = Rhythm(timedelta(hours=6), timedelta(hours=1), 1)
JOB = Job("NL*CPA", "locations", 2, "me", None, False, NOON, NOON, 0, None, 1, None, None, None, None)
PLATFORM = PlatformView(2, "CPA", False, "CONNECTED", None, "t", "base64", "push", False, {})


def _directory(roles: str = "CPO", **changes: Any) -> Directory:
    """NL*CPA alone, with sender endpoints of every module."""
    ends = {(name, "SENDER"): f"https://cpa.example/{name}" for name in CATALOG}
    code = PartyId.parse("NL*CPA")
    platform = replace(PLATFORM, **{"endpoints": ends, "parties": (code,), **changes})
    party = PartyView(1, code, frozenset(roles.split("+")), platform, "CPA")
    return Directory(platforms={2: platform}, by_code={code: party})


def _modules(directory: Directory) -> set[str]:
    return {module for _, module, _ in plans.lists(directory, CATALOG)}


def test_lists_of_what_the_parties_own_may_be_pulled() -> None:
    assert _modules(_directory("CPO")) == {"locations", "sessions", "cdrs", "tariffs"}
    assert _modules(_directory("EMSP")) == {"tokens"}
    assert _modules(_directory("HUB")) == set()
    assert _modules(_directory("CPO", endpoints={("tariffs", "SENDER"): "x", ("locations", "RECEIVER"): "y"})) == {
        "tariffs"
    }
    assert _modules(_directory("HUB", pull=("locations",))) == set()
    assert _modules(_directory("CPO", hosted=True)) == _modules(_directory("CPO", status="PLANNED")) == set()


def test_the_operator_decides_if_he_wants_to() -> None:
    assert _modules(_directory("CPO", pull=())) == set()
    only = _directory("CPO", pull=("tariffs", "tokens"))
    assert _modules(only) == {"tariffs"}
    assert plans.ordered(only, plans.lists(only, CATALOG)) == {("NL*CPA", "tariffs", 2)}
    assert plans.ordered(_directory("CPO"), plans.lists(_directory("CPO"), CATALOG)) == set()


@pytest.mark.parametrize(
    ("job", "platform", "now", "expected"),
    [
        ({"full_at": None}, {}, NOON, "full"),
        ({}, {}, NOON + timedelta(hours=6), "delta"),
        ({}, {}, NOON + timedelta(hours=14), "full"),
        ({"pushes": True, "full_at": None}, {}, NOON, None),
        ({"pushes": True, "wanted": "delta"}, {}, NOON, "delta"),
        ({"pushes": True, "wanted": "delta", "high_water": None}, {}, NOON, "full"),
        ({"pushes": True}, {"pull": ("locations",)}, NOON + timedelta(hours=6), "delta"),
        ({"wanted": "full"}, {}, NOON + timedelta(hours=6), "full"),
        ({}, {"quirks": Quirks(dates=False)}, NOON + timedelta(hours=6), "full"),
    ],
)
def test_everything_at_first_and_at_night_else_what_has_changed(
    job: dict[str, Any], platform: dict[str, Any], now: datetime, expected: str | None
) -> None:
    assert plans.kind(replace(JOB, **job), replace(PLATFORM, **platform), now, RHYTHM) == expected


def test_changes_are_asked_for_with_an_overlap() -> None:
    assert plans.since(CATALOG["locations"], "delta", NOON, NOON) == NOON - plans.OVERLAP
    assert plans.since(CATALOG["locations"], "full", NOON, NOON) is None


@pytest.mark.catalogue("SES-015")
def test_sessions_are_always_asked_for_from_a_date_on() -> None:
    for known in (None, NOON - timedelta(hours=3), NOON - timedelta(days=400)):
        for kind in ("full", "delta"):
            since = plans.since(CATALOG["sessions"], kind, known, NOON)
            assert since is not None
            assert since >= NOON - plans.BACK


@pytest.mark.catalogue("TF-016", "LOC-008")
@given(minutes=st.integers(0, 24 * 60), share=st.floats(0, 1))
def test_hours_lie_between_two_pulls_and_a_random_spread(minutes: int, share: float) -> None:
    now = NOON + timedelta(minutes=minutes)
    wait = plans.following(now, RHYTHM, share) - now
    assert timedelta(hours=3) <= wait <= timedelta(hours=7)
    if share > 0.01:
        assert plans.following(now, RHYTHM, share) > plans.following(now, RHYTHM, 0)


def test_the_night_is_not_slept_through() -> None:
    evening = NOON.replace(hour=20)
    at = plans.following(evening, RHYTHM, 0.5)
    assert at == NOON.replace(day=2, hour=1, minute=30)
    assert plans.kind(replace(JOB, full_at=NOON), PLATFORM, at, RHYTHM) == "full"


def test_the_settings_cannot_make_it_minutes() -> None:
    assert Rhythm.of(Settings()) == Rhythm(timedelta(hours=6), timedelta(hours=1), 1)
    with pytest.raises(ValueError, match="pull_every"):
        Settings(pull_every=0)


def test_after_failures_it_waits_longer_and_as_long_as_it_is_asked_to() -> None:
    waits = [plans.retry(NOON, failures, RHYTHM, 0) - NOON for failures in range(1, 6)]
    assert waits == [*plans.RETRIES, RHYTHM.every, RHYTHM.every]
    assert plans.retry(NOON, 1, RHYTHM, 0, asked=7200) == NOON + timedelta(hours=2)
    assert plans.retry(NOON, 1, RHYTHM, 0, asked=10**9) == NOON + plans.LONGEST_WAIT
    assert plans.retry(NOON, 1, RHYTHM, 1) > plans.retry(NOON, 1, RHYTHM, 0)
