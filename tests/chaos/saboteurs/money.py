"""Guards of CDRs."""

from types import SimpleNamespace
from typing import Any

import pytest

from hub.delivery.settle import Settler
from hub.exchange import cdr
from hub.store import ledger
from tests.chaos.saboteurs.saboteur import saboteur

_MAYBE = "test_money.py::test_a_cdr_that_may_have_arrived_comes_again_only_as_it_was"


@saboteur(_MAYBE, breaks="twice", quick=True)
def attempt_not_recorded(off: pytest.MonkeyPatch) -> None:
    """An attempt to hand over a CDR is on record before it goes out."""

    async def claim(*_: Any, **__: Any) -> bool:
        return False  # nothing stands in the way, and nothing is in doubt

    off.setattr(ledger, "claim", claim)


@saboteur(_MAYBE, breaks="twice", quick=True)
def unclear_answer_taken_for_a_refusal(off: pytest.MonkeyPatch) -> None:
    """Where nobody knows whether a CDR was taken, only the same may be sent again."""
    ordinary = ledger.settle

    async def settle(session: Any, owner: str, key: str, state: str, **_: Any) -> None:
        await ordinary(session, owner, key, "refused" if state == "ambiguous" else state)

    off.setattr(ledger, "settle", settle)


@saboteur("test_money.py::test_a_cdr_for_a_receiver_that_is_away_arrives_when_it_is_back", breaks="lost", quick=True)
def custody_without_a_debt(off: pytest.MonkeyPatch) -> None:
    """A CDR in custody is owed to its receiver from the same commit on."""

    async def add(*_: Any, **__: Any) -> None:
        """Nobody owes anything."""

    off.setattr(cdr, "owed", SimpleNamespace(add=add))


@saboteur("test_money.py::test_a_cdr_that_arrived_while_the_database_failed_is_not_sent_again", breaks="twice")
def outcome_forgotten(off: pytest.MonkeyPatch) -> None:
    """What became of a request is remembered until the database takes it."""
    off.setattr(Settler, "_undo", lambda *_: None)
