"""What stands for the content of a CDR in the ledger: a hash that is the same for the same CDR, however its numbers and
keys were written, and that tells nobody whose card it was. Pure.

The canonical form is the CDR as JSON with sorted keys, its numbers as strings without needless digits. What is or may
be a driver's in it is replaced by a pseudonym (an HMAC under HUB_SECRET_KEY): the token's uid and contract_id and
whatever else of it names nobody's roaming party, the authorization_reference, the signed data (which carry the id tag),
the remark, and all that OCPI does not know. The hash is SHA-256 of that. So a body can be erased, and its entry stays
what it was.
"""

import hashlib
from decimal import Decimal
from typing import Any

from hub.ocpi import json
from hub.store.ledger import Content
from hub.store.seal import Seal

IMPERSONAL = frozenset({
    "country_code", "party_id", "id", "start_date_time", "end_date_time", "session_id", "auth_method", "cdr_location",
    "meter_id", "currency", "tariffs", "charging_periods", "total_cost", "total_fixed_cost", "total_energy",
    "total_energy_cost", "total_time", "total_time_cost", "total_parking_time", "total_parking_cost",
    "total_reservation_cost", "invoice_reference_id", "credit", "credit_reference_id", "home_charging_compensation",
    "last_updated",
})  # fmt: skip
"""The fields of a CDR that go into the form as they are."""

IMPERSONAL_OF_TOKEN = frozenset({"country_code", "party_id", "type"})


def content(seal: Seal, body: dict[str, Any]) -> Content:
    """What stands for a CDR."""
    form = _canonical(body)
    return Content(_hash(pseudonymised(seal, form)), _hash(form))


def canonical(body: Any) -> bytes:
    """The one text of a JSON value that does not depend on key order or on how a number is written (TYP-013)."""
    return json.dumps(_canonical(body))


def _hash(form: Any) -> bytes:
    return hashlib.sha256(json.dumps(form)).digest()


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _canonical(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return format(Decimal(value).normalize(), "f")
    return value


def pseudonymised(seal: Seal, form: dict[str, Any]) -> dict[str, Any]:
    """A CDR with pseudonyms in the place of what is or may be a driver's."""
    token = form.get("cdr_token")
    kept = _replaced(seal, form, IMPERSONAL | {"cdr_token"})
    return {**kept, "cdr_token": _replaced(seal, token, IMPERSONAL_OF_TOKEN) if isinstance(token, dict) else token}


def _replaced(seal: Seal, form: dict[str, Any], kept: frozenset[str]) -> dict[str, Any]:
    """All but the `kept` fields as pseudonyms, each for the field's name and value."""
    return {
        name: value if name in kept else seal.pseudonym(f"{name} {json.dumps(value).decode()}")
        for name, value in form.items()
    }
