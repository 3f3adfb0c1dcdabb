"""Plans of what goes wrong: drawn from a seed, every kind as often as the others."""

from collections import Counter

from tests.chaos import nemesis
from tests.chaos.runs import clock, crash, pause


def test_a_seed_always_gives_the_same_plan() -> None:
    assert nemesis.kills(7, 20, crash.TARGETS) == nemesis.kills(7, 20, crash.TARGETS)
    assert nemesis.kills(7, 20, crash.TARGETS) != nemesis.kills(8, 20, crash.TARGETS)


def test_the_full_crash_run_kills_each_kind_at_least_thirty_times() -> None:
    pushes, receivers, kills = crash.FULL
    plan = nemesis.kills(1, kills, crash.TARGETS)
    assert (pushes, receivers, len(plan)) == (50_000, 20, 200)
    assert min(Counter(fault.target for fault in plan).values()) >= 30
    assert all(1 <= fault.gap <= 3 for fault in plan)
    shares = [fault.at for fault in plan]
    assert shares == sorted(shares)
    assert 0 < shares[0] < shares[-1] < 1


def test_half_of_the_hundred_pauses_are_longer_than_a_lane_rests() -> None:
    for seed in range(5):
        tracks = pause.plan(seed, full=True)
        plan = [fault for track in tracks for fault in track]
        assert len(plan) == 100
        assert sum(fault.seconds > 17 for fault in plan) == 50
        assert all(7 <= fault.seconds <= 30 for fault in plan)
        assert not {fault.target for fault in tracks[0]} & {fault.target for fault in tracks[1]}


def test_clocks_come_back_and_are_never_off_by_more_than_a_day() -> None:
    off = Counter[str]()
    for fault in clock.plan(3, clock.JUMPS):
        off[fault.target] += int(fault.seconds)
        assert abs(off[fault.target]) <= 86_400
    assert not any(off.values())
