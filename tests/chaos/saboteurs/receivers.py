"""Guards of receivers in trouble, and of who may be sent what."""

from typing import Any

import pytest
from sqlalchemy import text

from hub.delivery import policy
from hub.delivery.dispatch import Dispatcher
from hub.delivery.health import Health
from hub.delivery.policy import Verdict
from hub.store import health
from tests.chaos.saboteurs.saboteur import saboteur


@saboteur(
    "test_receivers.py::test_a_receiver_that_hangs_is_asked_no_more_at_once_than_its_budget",
    breaks="hammered",
    quick=True,
)
def no_budget(off: pytest.MonkeyPatch) -> None:
    """A platform has a budget of requests under way."""
    off.setattr(Health, "allowance", lambda *_: 1_000)


@saboteur("test_receivers.py::test_a_receiver_that_asks_to_be_left_alone_is_asked_as_the_plan_says", breaks="hammered")
def no_back_off(off: pytest.MonkeyPatch) -> None:
    """After a failure a platform is left alone for longer each time."""
    off.setattr(Health, "failed", lambda *_, **__: None)


@saboteur(
    "test_receivers.py::test_a_receiver_that_does_not_know_the_token_is_left_alone_until_it_is_renewed",
    breaks="hammered",
)
def refused_token_tried_on(off: pytest.MonkeyPatch) -> None:
    """Who answers 401 is sent nothing more until there are new credentials."""
    ordinary = policy._verdict

    def verdict(*given: Any) -> Verdict:
        found = ordinary(*given)
        return Verdict.TROUBLE if found is Verdict.UNAUTHORISED else found

    off.setattr(policy, "_verdict", verdict)


@saboteur("test_receivers.py::test_an_agreement_that_ends_acts_before_the_next_try", breaks="shown")
def agreements_of_yesterday(off: pytest.MonkeyPatch) -> None:
    """Rights are looked at just before a request goes out, not when its object was taken up."""
    ordinary = Dispatcher._rights_to
    first: dict[Any, Any] = {}

    def rights_to(self: Dispatcher, *which: Any) -> Any:
        return first.setdefault(which, ordinary(self, *which))

    off.setattr(Dispatcher, "_rights_to", rights_to)


@saboteur(
    "test_receivers.py::test_a_delivery_that_is_faster_than_the_answer_of_the_handshake_stops_nothing", breaks="lost"
)
def new_tokens_refused_for_good(off: pytest.MonkeyPatch) -> None:
    """A 401 right after a handshake does not stop deliveries: the partner may not know the new token yet."""
    off.setattr(health, "_STOP", text(health._STOP.text.replace("10 seconds", "0 seconds")))
