"""Guards of sessions, CDRs and the chargers of hosted CPOs."""

from typing import Any

import pytest

from hub.bridge import authorise, control
from hub.bridge.authorise import Plan
from hub.exchange import cdr, cdr_findings, credit
from hub.ocpi import patch
from hub.store import bookings, ledger
from tests.spec.guard import guard


@guard("SES-030")
def a_repeated_period_is_not_doubled(off: pytest.MonkeyPatch) -> None:
    """What a PATCH brings is put at the end, whatever is there."""

    def merge(stored: dict[str, Any], change: dict[str, Any], append: frozenset[str]) -> dict[str, Any]:
        added = {name: [*(stored.get(name) or []), *(change[name] or [])] for name in append & change.keys()}
        return {**stored, **change, **added}

    off.setattr(patch, "_merge", merge)


@guard("SES-028", "SES-031")
def a_patch_appends_periods(off: pytest.MonkeyPatch) -> None:
    """It replaces them, as it does every other field."""
    off.setattr(patch, "_merge", lambda stored, change, append: {**stored, **change})


@guard("CDR-024")
def a_cdr_is_never_replaced(off: pytest.MonkeyPatch) -> None:
    """Another content under the same id counts as the same, and may try its luck with anybody."""

    async def claim(*_: object) -> bool:
        return False

    off.setattr(cdr, "contradiction", lambda known, content, receiver: None)
    off.setattr(ledger, "claim", claim)


@guard("CDR-041", "CDR-009")
def findings_are_told(off: pytest.MonkeyPatch) -> None:
    """Nothing is noticed about a CDR."""

    async def nothing(*_: object) -> list[str]:
        return []

    off.setattr(cdr, "findings", nothing)
    off.setattr(cdr_findings, "of", lambda body: [])
    off.setattr(cdr_findings, "of_credit", lambda body, original: [])


@guard("CDR-010")
def a_credit_cdr_takes_back_the_whole_amount(off: pytest.MonkeyPatch) -> None:
    """The amounts stay as they were, and nobody notices."""
    off.setattr(credit, "_negated", lambda amount: amount)
    off.setattr(cdr_findings, "_amount", lambda price, part: None)


@guard("TOK-045", "TOK-047")
def never_means_that_the_emsp_is_asked(off: pytest.MonkeyPatch) -> None:
    """What is kept of a card decides."""
    off.setattr(authorise, "plan", lambda token, offline: Plan.ACCEPT if token and token["valid"] else Plan.REFUSE)


@guard("CMD-046")
def nobody_stops_the_session_of_another(off: pytest.MonkeyPatch) -> None:
    """Whoever knows its id may."""
    off.setattr(control, "_is_party", lambda code, token: True)


@guard("CMD-031")
def a_reservation_is_known_by_its_emsp_and_its_id(off: pytest.MonkeyPatch) -> None:
    """By its id alone."""
    ordinary = bookings.standing

    async def standing(session: Any, owner: str, sender: str, reservation_id: str) -> list[Any]:
        return [row for emsp in ("DE*MSA", "FR*MSB") for row in await ordinary(session, owner, emsp, reservation_id)]

    off.setattr(bookings, "standing", standing)
