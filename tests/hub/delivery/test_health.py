"""hub.delivery.health: how a platform's failures slow its lanes, and what brings it back."""

from hub.delivery import policy
from hub.delivery.health import Health


def _exhausted() -> tuple[Health, float]:
    health, now = Health(), 0.0
    for _ in range(len(policy.PLAN) + 1):
        wait = health.failed(now, 0)
        assert wait is not None
        now += wait
    return health, now


def test_a_failure_pauses_then_one_request_at_a_time_until_one_succeeds() -> None:
    health = Health(budget=8)
    assert health.allowance(0) == 8
    assert health.failed(0, 0) == 1.0
    assert (health.allowance(0.5), health.allowance(1)) == (0, 1)
    assert health.succeeded()
    for allowed in (1, 2, 3, 4, 5, 6, 7, 8, 8):  # one more with each success
        assert health.allowance(0) == allowed
        assert not health.succeeded()
    assert health.failed(0, 0) == 1.0
    assert health.succeeded()
    assert health.allowance(0) == 1


def test_without_short_retry_the_first_failure_asks_for_versions_and_later_ones_come_rarely() -> None:
    health = Health(short_retry=False)
    assert health.failed(0, 0) == 30
    assert health.suspect
    assert health.probe_due(0, called=False)
    health.probing(0, 0)
    assert not health.answered()  # it lives, and did not take it
    assert (health.allowance(29), health.allowance(30)) == (0, 1)
    assert health.failed(30, 0) == 60


def test_one_that_is_back_counts_as_returning_until_somebody_says_otherwise() -> None:
    health, _ = _exhausted()
    assert health.succeeded()
    assert not health.returning  # it was only slow
    health.silent()
    assert health.answered()
    assert health.returning


def test_requests_that_fail_together_count_once() -> None:
    health = Health()
    assert health.failed(0, 0) is not None
    assert health.failed(0.2, 0) is None
    assert health.failures == 1


def test_after_the_plan_only_a_probe_tells() -> None:
    health, now = _exhausted()
    assert health.suspect
    assert health.allowance(now + 1000) == 0
    assert health.probe_due(now, called=False)


def test_a_silent_platform_is_offline_and_is_asked_ever_more_rarely() -> None:
    health, now = _exhausted()
    assert [health.probing(now, 0) for _ in range(5)] == [30, 60, 120, 300, 300]
    health.silent()
    assert not health.probe_due(now + 299, called=False)
    assert health.probe_due(now + 300, called=False)
    assert health.answered()
    assert health.allowance(now) == 1


def test_a_call_brings_the_next_probe_forward_but_not_more_than_every_ten_seconds() -> None:
    health, now = _exhausted()
    health.probing(now, 0)
    health.silent()
    assert not health.probe_due(now + 9, called=True)
    assert health.probe_due(now + 10, called=True)


def test_one_that_answers_but_takes_nothing_is_tried_when_its_wait_is_over() -> None:
    health, now = _exhausted()
    resume_at = health.resume_at
    health.probing(now, 0)
    assert not health.answered()
    assert (health.allowance(resume_at - 0.1), health.allowance(resume_at)) == (0, 1)
    assert health.failed(resume_at, 0) is not None
    assert health.suspect
    assert health.probe_due(resume_at, called=False)


def test_a_stopped_platform_gets_nothing_not_even_a_probe() -> None:
    health, now = _exhausted()
    health.stopped = True
    assert health.allowance(now) == 0
    assert not health.probe_due(now, called=True)


def test_a_hold_for_reasons_of_the_hub_is_not_a_failure() -> None:
    health = Health()
    health.hold(0, 1)
    assert (health.allowance(0.5), health.allowance(1)) == (0, health.budget)
