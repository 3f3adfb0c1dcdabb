"""hub.delivery.policy: what an answer means, and the failure plan."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.delivery import policy
from hub.delivery.policy import Judgement, Next, Verdict

OK = b'{"status_code": 1000, "timestamp": "2026-01-01T00:00:00Z"}'


def _envelope(code: int, message: str = "") -> bytes:
    return b'{"status_code": %d, "status_message": "%s"}' % (code, message.encode())


@pytest.mark.parametrize(
    ("method", "level", "status", "body", "verdict"),
    [
        ("PUT", "", 200, OK, Verdict.DELIVERED),
        ("PUT", "", 201, _envelope(1999), Verdict.DELIVERED),
        ("PUT", "", 200, _envelope(2001), Verdict.REFUSED),
        ("PUT", "", 200, _envelope(3000), Verdict.TROUBLE),
        ("PUT", "", 200, _envelope(4003), Verdict.TROUBLE),
        ("PUT", "", 200, b"<html>", Verdict.TROUBLE),
        ("PUT", "", 200, b'{"status_code": ', Verdict.TROUBLE),
        ("PUT", "", 200, b'{"status_code": "1000"}', Verdict.TROUBLE),
        ("PUT", "", 302, b"", Verdict.TROUBLE),
        ("PUT", "", 400, b"", Verdict.REFUSED),
        ("PUT", "", 401, OK, Verdict.UNAUTHORISED),
        ("PUT", "", 404, b"", Verdict.REFUSED),
        ("PUT", "", 500, OK, Verdict.TROUBLE),
        ("PATCH", "E1", 404, _envelope(2003), Verdict.SEND_WHOLE),
        ("PATCH", "E1", 200, _envelope(2003), Verdict.SEND_WHOLE),
        ("PATCH", "E1", 405, b"", Verdict.SEND_WHOLE),
        ("PUT", "E1", 404, b"", Verdict.SEND_WHOLE),
        ("PUT", "", 200, _envelope(2003), Verdict.REFUSED),
        ("DELETE", "", 404, b"", Verdict.DELIVERED),
        ("DELETE", "", 200, _envelope(2003), Verdict.DELIVERED),
        ("DELETE", "", 405, b"", Verdict.REFUSED),
        *(("PUT", "", status, b"", Verdict.AWAY) for status in (408, 429, 502, 503, 504)),
    ],
)
def test_answers(method: str, level: str, status: int, body: bytes, verdict: Verdict) -> None:
    judged = policy.judge(method, level, status, {}, body)
    assert judged.verdict is verdict
    assert bool(judged.reason) is (verdict is not Verdict.DELIVERED)


def test_a_reason_is_one_clean_line_of_bounded_length() -> None:
    reason = policy.judge("PUT", "", 200, {}, _envelope(2001, "bad\\nthing\\u001b[31m" + 1000 * "x")).reason
    assert reason.startswith("PUT answered HTTP 200, status_code 2001: bad thing [31mxxx")
    assert len(reason) == policy.REASON_LENGTH


def test_a_cdr_keeps_its_location() -> None:
    assert policy.judge("POST", "", 201, {"Location": "https://msa.example/1"}, OK).location == "https://msa.example/1"


@given(st.integers(1, 10_000), st.floats(-1, 1), st.none() | st.floats(0, 1e6))
def test_pauses_are_the_plan_with_a_fifth_of_jitter_and_a_bounded_retry_after(
    failures: int, jitter: float, asked: float | None
) -> None:
    plan = policy.pause(failures, 0)
    assert plan == ([*policy.PLAN, 60, 120, 240, 300][failures - 1] if failures < 10 else 300)
    assert 0.79 * plan <= policy.pause(failures, jitter) <= 1.21 * plan
    assert plan <= policy.pause(failures, 0, asked) <= 2 * plan


def test_the_plan_is_over_after_six_failures_and_probes_back_off_to_five_minutes() -> None:
    assert [policy.is_suspect(n) for n in (1, 6, 7)] == [False, False, True]
    assert [policy.probe_pause(n, 0) for n in (1, 2, 3, 4, 9)] == [30, 60, 120, 300, 300]


def test_without_short_retry_the_plan_is_that_of_the_probes() -> None:
    assert policy.is_suspect(1, short_retry=False)
    assert [policy.pause(n, 0, short_retry=False) for n in (1, 2, 3, 4, 9)] == [30, 60, 120, 300, 300]
    assert policy.after(Judgement(Verdict.TROUBLE), 0, 0, short_retry=False).delay == 30


def test_retry_after_is_read_from_a_platform_that_asks_to_wait() -> None:
    assert policy.judge("PUT", "", 429, {"Retry-After": "7"}, b"").asked == 7
    assert policy.judge("PUT", "", 429, {"Retry-After": "soon"}, b"").asked is None
    assert policy.judge("PUT", "", 200, {"Retry-After": "7"}, _envelope(2001)).asked is None


def test_a_retry_after_may_be_a_date_and_never_shortens_the_plan() -> None:
    date = {"Date": "Sat, 21 Nov 2026 21:00:00 GMT", "Retry-After": "Sat, 21 Nov 2026 21:00:40 GMT"}
    assert policy.judge("PUT", "", 503, date, b"").asked == 40
    assert policy.judge("PUT", "", 503, date | {"Retry-After": "Sat, 21 Nov 2026 20:00:00 GMT"}, b"").asked == 0
    assert policy.judge("PUT", "", 503, {"Retry-After": date["Retry-After"]}, b"").asked is None
    assert policy.pause(5, -1, 20.0) == 20.0
    assert policy.pause(1, 1, 3600.0) == 2.0


def test_a_refusal_keeps_a_clean_sample_of_its_answer() -> None:
    sample = policy.judge("PUT", "", 400, {}, b'{"status_code": 2001}\x00\x1b[2J\xff' + 5000 * b"x").sample
    assert sample.startswith('{"status_code": 2001}  [2J')
    assert len(sample) == policy.SAMPLE_LENGTH
    assert policy.judge("PUT", "", 500, {}, b"oops").sample == policy.judge("PUT", "", 200, {}, OK).sample == ""


def test_only_refusals_park_and_only_the_eighth() -> None:
    refused = Judgement(Verdict.REFUSED)
    assert policy.after(refused, 6, 0) == Next(7, policy.pause(7, 0), False)
    assert policy.after(refused, 7, 0).parked
    assert not policy.after(Judgement(Verdict.TROUBLE), 100, 0).parked


def test_what_is_the_platforms_fault_is_no_try_of_the_object() -> None:
    assert policy.after(Judgement(Verdict.AWAY), 3, 0) == Next(3, 0.0, False)
    assert policy.after(Judgement(Verdict.UNAUTHORISED), 3, 0) == Next(3, 0.0, False)
    assert policy.after(Judgement(Verdict.WAITING, asked=60.0), 3, 0) == Next(3, 60.0, False)
