"""ClientInfo against its table in the spec; the spec's own sample lacks a required field."""

from typing import Any

import pytest

from hub.ocpi.errors import InvalidParameters
from hub.ocpi.types import check
from modules.hubclientinfo.schemas import ClientInfo

INFO = {
    "country_code": "NL",
    "party_id": "ALL",
    "role": "CPO",
    "status": "PLANNED",
    "last_updated": "2026-01-01T00:00:00Z",
}


def test_a_whole_one_is_taken_with_what_the_spec_does_not_know() -> None:
    assert check(ClientInfo, INFO | {"remark": "new in spring"}) == []


@pytest.mark.parametrize("field", sorted(INFO))
def test_every_field_is_required(field: str) -> None:
    body: dict[str, Any] = {name: value for name, value in INFO.items() if name != field}
    with pytest.raises(InvalidParameters, match=f"{field}: field required"):
        check(ClientInfo, body)


@pytest.mark.parametrize(("field", "value"), [("status", "GONE"), ("role", "DSO"), ("party_id", "LONG")])
def test_values_of_newer_versions_are_told_as_findings(field: str, value: str) -> None:
    assert [finding.path for finding in check(ClientInfo, INFO | {field: value})] == [field]
