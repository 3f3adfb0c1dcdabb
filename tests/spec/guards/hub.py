"""Guards of what only a hub does, module by module: forwarding, callbacks, who is announced, who may register."""

from typing import Any

import pytest

from hub.delivery import send
from hub.exchange import admission, callbacks, gather, keep
from hub.ocpi import headers, patch
from hub.ocpi.errors import NotFound
from hub.ocpi.module import Module
from hub.ocpi.response_url import ProfileQuery
from hub.ocpi.types import PartyId
from hub.store import messages
from tests.spec.guard import guard


@guard("TF-088")
def the_token_onward_is_the_targets(off: pytest.MonkeyPatch) -> None:
    """It is some other."""
    ordinary = send.onward

    def another(*given: Any, **more: Any) -> dict[str, str]:
        return ordinary(*given, **more) | {"Authorization": headers.encode_token("another")}

    off.setattr(send, "onward", another)


@guard("CMD-019")
def a_result_is_taken_from_who_was_asked(off: pytest.MonkeyPatch) -> None:
    """Whoever knows the URL may use it."""

    async def anybody(hub: Any, kind: str, callback_id: str, caller: PartyId) -> Any:
        async with hub.db.unit_of_work() as session:
            callback = await messages.find_callback(session, callback_id, kind)
        if callback is None:
            raise NotFound
        return callback

    off.setattr(callbacks, "find", anybody)


@guard("CHP-010")
def a_url_in_a_query_is_the_hubs(off: pytest.MonkeyPatch) -> None:
    """It goes on as it came."""
    ordinary = ProfileQuery.with_url
    off.setattr(ProfileQuery, "with_url", lambda self, url: ordinary(self, self.response_url))


@guard("TAR-009")
def what_is_unknown_cannot_be_deleted(off: pytest.MonkeyPatch) -> None:
    """It is gone, so all is well."""
    ordinary = keep.bury

    async def bury(*given: Any) -> bool:
        await ordinary(*given)
        return True

    off.setattr(keep, "bury", bury)


@guard("TOK-012")
def one_uid_is_a_token_for_each_type(off: pytest.MonkeyPatch) -> None:
    """The type does not count."""
    off.setattr(Module, "key", lambda self, object_id, kind=None: object_id.upper())


@guard("LOC-021", "LOC-022", "LOC-032")
def a_parent_takes_the_time_of_its_part(off: pytest.MonkeyPatch) -> None:
    """It keeps its own."""
    off.setattr(patch, "_later", lambda one, other: one)


@guard("LOC-015")
def changes_say_nothing_of_what_is_missing(off: pytest.MonkeyPatch) -> None:
    """What is not in an incremental list is gone."""
    off.setattr(gather, "concludes", lambda *given: True)


@guard("CRED-048", "CRED-049")
def only_who_is_invited_registers(off: pytest.MonkeyPatch) -> None:
    """Everybody may bring any party."""

    async def anybody(session: Any, platform_id: int, body: dict[str, Any]) -> Any:
        return admission.roles_of(body)

    off.setattr(admission, "admit", anybody)
