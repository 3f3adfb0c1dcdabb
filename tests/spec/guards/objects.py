"""Guards of objects: what PUT and PATCH do, ids, and what is newer."""

from datetime import UTC, datetime
from typing import Any

import pytest

from hub.exchange import routing
from hub.ocpi import patch
from hub.ocpi.patch import Outcome
from hub.ocpi.types import format_datetime
from tests.spec.guard import guard


@guard("TF-049")
def a_put_replaces(off: pytest.MonkeyPatch) -> None:
    """It adds to what is there."""
    ordinary = patch._put_object

    def adding(state: Any, new: Any, module: Any) -> Any:
        return ordinary(state, {**state.body, **new} if state else new, module)

    off.setattr(patch, "_put_object", adding)


@guard("TF-126")
def last_updated_is_the_owners(off: pytest.MonkeyPatch) -> None:
    """It is when the hub got it."""
    ordinary = patch._put_object

    def stamping(state: Any, new: Any, module: Any) -> Any:
        return ordinary(state, {**new, "last_updated": format_datetime(datetime.now(UTC))}, module)

    off.setattr(patch, "_put_object", stamping)


@guard("TF-185", "LOC-033")
def the_newer_version_wins(off: pytest.MonkeyPatch) -> None:
    """The last one to come does."""
    off.setattr(patch, "_judge", lambda stored, own, new: Outcome.APPLIED if stored else Outcome.CREATED)


@guard("TF-110")
def sessions_and_bills_are_not_broadcast(off: pytest.MonkeyPatch) -> None:
    """What is for one is told to all."""
    off.setattr(routing, "_is_broadcast_push", lambda call, module: call.interface == "RECEIVER")
