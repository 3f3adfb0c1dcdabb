"""Credentials name at least one party."""

from typing import Any

import pytest

from hub.ocpi import types
from hub.ocpi.errors import InvalidParameters
from hub.ocpi.types import Finding
from modules.credentials.schemas import Credentials


def credentials(*roles: dict[str, Any], token: object = "b3Blbi1zZXNhbWU") -> dict[str, Any]:
    return {"token": token, "url": "https://ocpi.voltvagen.example/versions", "roles": list(roles)}


def role(**changes: Any) -> dict[str, Any]:
    return {"role": "CPO", "country_code": "SE", "party_id": "VLT", "business_details": {"name": "Voltvägen"}} | changes


@pytest.mark.catalogue("TYP-015")
def test_a_role_of_another_age_is_noted() -> None:
    assert types.check(Credentials, credentials(role(), role(role="MSP"))) == [
        Finding("roles[1].role", "unknown value")
    ]


def test_credentials_must_be_whole() -> None:
    with pytest.raises(InvalidParameters, match=r"^roles: must have at least one element$"):
        types.check(Credentials, credentials())
    with pytest.raises(InvalidParameters, match=r"^roles\[0\]\.business_details\.name: field required$"):
        types.check(Credentials, credentials(role(business_details={})))


def test_the_token_is_never_repeated() -> None:
    findings = types.check(Credentials, credentials(role(), token="secret" * 11))
    assert findings == [Finding("token", "longer than 64 characters")]
    with pytest.raises(InvalidParameters) as refusal:
        types.check(Credentials, credentials(role(), token=["secret"]))
    assert refusal.value.message == "token: must be a string"
