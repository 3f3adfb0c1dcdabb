"""What of a Token may be odd, and what may not."""

from typing import Any

import pytest

from hub.ocpi import types
from hub.ocpi.errors import InvalidParameters
from hub.ocpi.types import Finding
from modules.tokens.schemas import AuthorizationInfo, LocationReferences, Token


def token(**changes: Any) -> dict[str, Any]:
    return {
        "country_code": "NO",
        "party_id": "FJD",
        "uid": "04e2A19c",
        "type": "RFID",
        "contract_id": "NO-FJD-C00012345-K",
        "issuer": "Fjordlading",
        "valid": True,
        "whitelist": "ALLOWED",
        "last_updated": "2026-03-14T08:30:00Z",
    } | changes


@pytest.mark.catalogue("TYP-002")
def test_the_uid_keeps_its_case() -> None:
    assert types.check(Token, token()) == []
    assert Token.model_validate(token()).uid == "04e2A19c"


@pytest.mark.catalogue("TOK-031")
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"uid": ""}, "uid: must not be empty"),
        ({"valid": "true"}, "valid: must be true or false"),
        ({"valid": 1}, "valid: must be true or false"),
        ({"type": 1}, "type: must be a string"),
        ({"energy_contract": {}}, "energy_contract.supplier_name: field required"),
    ],
)
def test_what_no_one_could_authorise(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidParameters) as refusal:
        types.check(Token, token(**changes))
    assert refusal.value.message == message


@pytest.mark.catalogue("TOK-033")
def test_odd_tokens_are_noted() -> None:
    odd = token(type="MAC_ADDRESS", whitelist="allowed", language="nob", issuer="x" * 65, group_id=7)
    assert types.check(Token, odd) == [
        Finding("type", "unknown value"),
        Finding("issuer", "longer than 64 characters"),
        Finding("group_id", "must be a string"),
        Finding("whitelist", "unknown value"),
        Finding("language", "longer than 2 characters"),
    ]


@pytest.mark.catalogue("TOK-029", "TOK-039")
def test_authorization() -> None:
    assert types.check(LocationReferences, {"location_id": "U-2", "evse_uids": None}) == []
    with pytest.raises(InvalidParameters, match=r"^token\.country_code: field required"):
        types.check(AuthorizationInfo, {"allowed": "ALLOWED", "token": {}})
