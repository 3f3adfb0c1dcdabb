"""What is the matter, from rows that are made up: nothing at a start or a stop, the right thing otherwise."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hub.store.heartbeats import Sign
from hub.store.vitals import DebtRow, GapRow, HeldRow, LaneRow, LogRow, PlatformRow, Vitals
from hub.watch import judge
from hub.watch.judge import NEVER, Condition, Look, Room
from hub.watch.kinds import Kind
from hub.watch.limits import Limits

NOW = datetime(2026, 1, 2, tzinfo=UTC)
LIMITS = Limits()


def sign(name: str, kind: str = "worker", age: float = 1.0, started: float = 3_600.0, **figures: Any) -> Sign:
    return Sign(name, kind, NOW - timedelta(seconds=started), NOW - timedelta(seconds=age), age, figures)


def platform(**changes: Any) -> PlatformRow:
    well = PlatformRow(3, "Alpha", "CONNECTED", None, None, ["CPO"], 60.0, True, None, None)
    return replace(well, **changes)


def lane(**changes: Any) -> LaneRow:
    return replace(LaneRow("DE*MSA", 0, 0.0, True, True), **changes)


def look(**changes: Any) -> Look:
    """A hub that is well, but for `changes` of what was found."""
    well: dict[str, Any] = {
        "now": NOW, "lanes": [lane()], "debts": [], "log": LogRow(9, 0, 0, 0.0), "platforms": [platform()], "held": [],
        "backfills": 0, "size": 1, "signs": [sign("w1"), sign("api", "api"), sign("beat", "beat")], "alerts": {},
        "gaps": [],
    }  # fmt: skip
    found = {name: changes.pop(name) for name in list(changes) if name in well}
    return Look(Vitals(**well | found), {"DE*MSA"}, 86_400.0, **changes)


def found(**changes: Any) -> list[tuple[Kind, str, float]]:
    return [(c.kind, c.subject, c.lasting) for c in judge.judge(look(**changes), LIMITS)]


def only(**changes: Any) -> Condition:
    (condition,) = judge.judge(look(**changes), LIMITS)
    return condition


def test_a_hub_that_is_well_has_nothing_the_matter() -> None:
    assert found() == []


def test_an_api_that_goes_on_shedding_is_told() -> None:
    signs = [sign("w1"), sign("a1", "api", shedding=True), sign("a2", "api", shedding=False)]
    assert found(signs=signs) == [(Kind.OVERLOADED, "a1", LIMITS.patience)]


def test_a_hub_without_any_partner_has_nothing_the_matter() -> None:
    assert found(platforms=[], lanes=[]) == []


def test_a_stopped_lane_and_a_silent_partner() -> None:
    alpha = "Alpha (platform 3)"
    stopped = only(platforms=[platform(stopped_reason="HTTP 401")])
    assert (stopped.kind, stopped.subject, stopped.lasting) == (Kind.LANE_STOPPED, alpha, 0)
    assert found(platforms=[platform(status="OFFLINE")]) == [(Kind.PARTNER_SILENT, alpha, 0)]
    assert found(platforms=[platform(quiet=86_401)]) == [(Kind.PARTNER_SILENT, alpha, LIMITS.settling)]
    assert found(platforms=[platform(quiet=86_401, roles=["EMSP"])]) == []
    assert found(platforms=[platform(status="SUSPENDED", stopped_reason="HTTP 401", quiet=1e9, has_token=False)]) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"has_token": False}, "no valid token"),
        ({"token_ends": NOW + timedelta(hours=23)}, "its token ends at 2026-01-02 23:00 UTC"),
        ({"token_ends": NOW + timedelta(hours=25)}, ""),
        ({"rolled_back": True}, "goes on with the old one"),
        ({"rolled_back": True, "status": "SUSPENDED"}, ""),
        ({"status": "PLANNED", "has_token": False, "invited_until": NOW + timedelta(hours=5)}, "ends unused at"),
        ({"status": "PLANNED", "has_token": False, "invited_until": NOW + timedelta(days=5)}, ""),
    ],
)
def test_credentials(changes: dict[str, Any], words: str) -> None:
    conditions = judge.judge(look(platforms=[platform(**changes)]), LIMITS)
    assert [(c.kind, words in c.detail) for c in conditions] == ([(Kind.CREDENTIALS_LAPSE, True)] if words else [])


def test_parked_objects_and_held_bills_are_counted_and_the_first_is_named() -> None:
    parked = only(debts=[DebtRow("DE*MSA", 4, 2, "tariffs NL*CPA/T1", "2001"), DebtRow("FR*MSB", 1, 0, None, None)])
    assert parked.detail == "2 objects that it refuses, first tariffs NL*CPA/T1: 2001"
    held = only(held=[HeldRow("NL*LOC", 3, "S1", "no tariff")])
    assert held.detail == "3 CDRs wait for you, first of session S1: no tariff"


def test_what_a_partner_lacks_is_counted_and_the_first_is_named() -> None:
    gap = only(gaps=[GapRow("DE*MSA", 3, "missing: cdrs NL*CPA/C1", "it was acknowledged, and is not there")])
    assert (gap.kind, gap.subject, gap.lasting) == (Kind.RECONCILIATION_GAP, "DE*MSA", 0)
    assert gap.detail.startswith("3 objects are not there as acknowledged, first missing: cdrs NL*CPA/C1: it was")
    assert only(gaps=[GapRow("DE*MSA", 1, "", "")]).detail.startswith("1 object is")


def test_certificates_that_end_are_told_and_unknown_ones_only_kept() -> None:
    assert found(ends={"hub.example:443": NOW + timedelta(days=15)}) == []
    assert (
        only(ends={"hub.example:443": NOW + timedelta(days=13)}).detail
        == "its certificate ends at 2026-01-15 00:00 UTC"
    )
    assert "ended" in only(ends={"hub.example:443": NOW - timedelta(days=1)}).detail
    assert found(ends={"hub.example:443": None}) == [(Kind.CERTIFICATE_EXPIRES, "hub.example:443", NEVER)]


def test_a_database_that_fills_up_is_told_at_one_share_and_kept_down_to_another() -> None:
    def used(share: float) -> list[float]:
        return [lasting for _, _, lasting in found(room=Room(int(share * 1000), 1000, "database"))]

    assert [used(0.79), used(0.81), used(0.86)] == [[], [NEVER], [0.0]]


def test_workers_that_fall_behind() -> None:
    patience = LIMITS.patience
    gone = [sign("api", "api")]
    assert found(signs=gone) == [(Kind.SWEEP_BEHIND, "workers", patience)]
    assert found(signs=gone, lanes=[lane(held=False, age=99.0)]) == [(Kind.SWEEP_BEHIND, "workers", patience)]
    assert found(lanes=[lane(held=False)]) == [(Kind.SWEEP_BEHIND, "lanes without a worker", patience)]
    assert found(lanes=[lane(held=False, receiver="XX*OUT")]) == []
    assert found(lanes=[lane(age=61.0)]) == [(Kind.SWEEP_BEHIND, "lanes that lag", patience)]
    assert found(lanes=[lane(age=61.0, well=False)]) == []
    assert found(log=LogRow(9, 0, 4, 11.0)) == [(Kind.STAMPING_BEHIND, "change log", patience)]
    assert found(log=LogRow(9, 0, 4, 9.0)) == []


def test_names_are_listed_up_to_a_point() -> None:
    lanes = [lane(receiver=f"DE*{number:03}", held=False) for number in range(8)]
    many = replace(look(lanes=lanes), served={row.receiver for row in lanes})
    assert judge.judge(many, LIMITS)[0].detail.endswith("DE*000, DE*001, DE*002, DE*003, DE*004 and 3 more")


def test_a_process_that_died_and_was_not_replaced() -> None:
    dead = sign("w0", age=40, started=9_000)
    assert found(signs=[dead, sign("w1")]) == [(Kind.PROCESS_GONE, "w0", LIMITS.patience)]
    assert found(signs=[dead, sign("w1", started=20)]) == []


def test_each_process_replaces_one() -> None:
    dead = [sign("a", age=40, started=900), sign("b", age=41, started=900)]
    assert len(found(signs=[*dead, sign("c", started=20)])) == 1
    assert found(signs=[*dead, sign("c", started=20), sign("d", started=20)]) == []


def test_a_process_that_fell_again_and_again_is_replaced_by_the_last() -> None:
    signs = [sign("a", age=60, started=900), sign("b", age=45, started=58), sign("c", age=1, started=43)]
    assert judge.heirs(signs, LIMITS) == {"a": "b", "b": "c"}
    assert found(signs=signs) == []


def test_a_silent_beat_is_only_told_while_it_could_be_heard() -> None:
    silent = sign("beat", "beat", age=60)
    assert found(signs=[sign("w1"), silent]) == [(Kind.PROCESS_GONE, "beat", LIMITS.patience)]
    assert found(signs=[sign("w1"), silent], broker="ConnectionError") == [
        (Kind.PROCESS_GONE, "beat", NEVER),
        (Kind.BROKER_AWAY, "broker", LIMITS.patience / 2),
    ]
    assert (Kind.PROCESS_GONE, "beat", NEVER) in found(signs=[silent])


def test_the_dead_are_forgotten_after_a_day_if_others_live() -> None:
    old = sign("w0", age=90_000, started=99_000)
    assert judge.forgotten([old, sign("w1")], LIMITS) == ["w0"]
    assert judge.forgotten([old, sign("api", "api")], LIMITS) == []


def test_every_kind_has_a_line_of_advice() -> None:
    for kind in Kind:
        assert kind.advice
        assert "\n" not in kind.advice
        assert kind.severity in ("error", "warning")


@pytest.mark.parametrize(("seconds", "words"), [(45, "40 s"), (300, "5 min"), (90_000, "25 h"), (400_000, "4 days")])
def test_durations_are_coarse(seconds: float, words: str) -> None:
    assert only(platforms=[platform(quiet=1e6)]).detail.endswith("11 days")
    assert judge._time(seconds) == words
