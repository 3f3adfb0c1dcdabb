"""Times of chargers."""

from datetime import UTC, datetime, timedelta

import pytest

from hub.bridge.clock import moment

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "1970-01-01T00:00:12Z",
        "2014-01-01T00:00:00Z",
        "2026-05-01T14:00:00Z",
        "2027-05-01T12:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "null",
        "",
        "yesterday",
        None,
        12,
    ],
)
def test_a_clock_that_cannot_be_right_is_replaced(text: object) -> None:
    """F25, F63: before the clock is set, local time as UTC, nothing at all."""
    found = moment(text, NOW)
    assert (found.at, found.told) == (NOW, False)
    assert not found.queued(NOW)


@pytest.mark.parametrize(
    "text",
    ["2026-05-01T11:59:30Z", "2026-05-01T11:59:30", "2026-05-01T13:59:30+02:00", " 2026-05-01T11:59:30.000000Z "],
)
def test_spellings_of_one_time(text: str) -> None:
    assert moment(text, NOW).at == NOW - timedelta(seconds=30)


def test_a_little_ahead_is_now() -> None:
    found = moment("2026-05-01T12:01:00Z", NOW)
    assert (found.at, found.told) == (NOW, True)


def test_old_messages_have_waited_in_the_station() -> None:
    assert moment("2026-05-01T11:58:59Z", NOW).queued(NOW)
    assert not moment("2026-05-01T11:59:01Z", NOW).queued(NOW)
