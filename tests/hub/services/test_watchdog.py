"""Who is killed because it hangs, and who is not although it seems so."""

from datetime import UTC, datetime, timedelta

from hub.services.watchdog import GAP, HUNG, LOOK, Silence
from hub.store.heartbeats import INTERVAL, Sign

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def sign(process: str, at: float) -> Sign:
    moment = BEGAN + timedelta(seconds=at)
    return Sign(process, "worker", BEGAN, moment, 0.0, {})


def longest(silence: Silence, beats: list[float], until: float, process: str = "worker@here:1") -> float:
    """The longest silence seen of a process that beats at these times, by looks at the usual pace."""
    found, now = 0.0, 0.0
    while now < until:
        past = [at for at in beats if at <= now]
        if past:
            found = max(found, silence.look([sign(process, past[-1])], 1_000 + now)[process])
        now += LOOK
    return found


def test_one_that_stops_beating_is_found() -> None:
    beats = [n * INTERVAL for n in range(4)]
    assert longest(Silence(), beats, 100) > HUNG


def test_one_that_is_slow_is_left_alone() -> None:
    beats = [n * 5 * INTERVAL for n in range(20)]  # every 25 s instead of every 5
    assert longest(Silence(), beats, 400) <= HUNG


def test_while_the_table_could_not_be_read_nobody_is_silent() -> None:
    """The database was away, or this machine asleep: nobody could beat, and the old rows say nothing."""
    silence = Silence()
    for now in range(0, 20, int(LOOK)):
        silence.look([sign("worker@here:1", 0)], now)
    assert silence.look([sign("worker@here:1", 0)], 18 + GAP + 1) == {"worker@here:1": 0}
    assert silence.look([sign("worker@here:1", 0)], 18 + GAP + 3) == {"worker@here:1": 2}


def test_what_a_row_says_of_the_past_counts_for_nothing() -> None:
    """A row that is old when it is first seen may be of a process that is about to beat."""
    assert Silence().look([sign("worker@here:1", -3_600)], 50) == {"worker@here:1": 0}


def test_those_that_have_gone_are_forgotten() -> None:
    silence = Silence()
    silence.look([sign("worker@here:1", 0)], 0)
    assert silence.look([sign("worker@here:2", 0)], 2) == {"worker@here:2": 0}
