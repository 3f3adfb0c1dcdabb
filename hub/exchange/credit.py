"""A Credit CDR of a hosted party: what it takes back is a CDR that has been sent, which is never changed itself.

It repeats the CDR; only the amounts of total_cost are negated (CDR-005..CDR-007, CDR-010). Its id is that of the CDR
with a suffix, which the three characters more of a Credit CDR's id are for; so the ledger takes only one.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from hub.exchange import cdr
from hub.exchange.call import Call
from hub.exchange.context import Hub
from hub.ocpi import json
from hub.ocpi.errors import Conflict, NotFound
from hub.ocpi.types import PartyId, format_datetime
from hub.store import ledger
from hub.store.directory import PartyView

SUFFIX = "-C"

Body = dict[str, Any]


def credit_of(original: Mapping[str, Any], at: datetime) -> Body:
    """The Credit CDR for a CDR, made at `at`."""
    total = {name: _negated(amount) for name, amount in original["total_cost"].items()}
    return {
        **original,
        "id": f"{original['id']}{SUFFIX}",
        "total_cost": total,
        "credit": True,
        "credit_reference_id": original["id"],
        "last_updated": format_datetime(at),
    }


async def issue(hub: Hub, owner: PartyView, cdr_id: str) -> Body:
    """Take a CDR of a hosted party back: its Credit CDR, on its way to the same receiver.

    NotFound when there is no such CDR, Conflict when it is credited already or is a Credit CDR itself.
    """
    key = hub.catalog["cdrs"].key(cdr_id)
    async with hub.db.unit_of_work() as session:
        known = await ledger.find(session, str(owner.code), key)
        credited = await ledger.is_credited(session, str(owner.code), key, key)
    if known is None or known.body is None:
        raise NotFound(f"{owner.code} has sent no CDR with this id" if known is None else "this CDR has been erased")
    original = json.loads(known.body.encode())
    if credited or original.get("credit"):
        raise Conflict("this CDR is credited already, or is a Credit CDR itself")
    body = credit_of(original, datetime.now(UTC))
    call = Call(
        sender=owner.code,
        to=PartyId.parse(known.receiver),
        platform=owner.platform,
        method="POST",
        module="cdrs",
        interface="RECEIVER",
        body=json.dumps(body),
    )
    await cdr.post(hub, call)
    return body


def _negated(amount: Any) -> Any:
    return -amount if isinstance(amount, int | Decimal) else amount
