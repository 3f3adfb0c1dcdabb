"""Commands carry a complete token, and answers a result."""

import pytest

from hub.ocpi import types
from hub.ocpi.errors import InvalidParameters
from hub.ocpi.types import Finding
from modules.commands.schemas import CommandResponse, CommandResult, StartSession, UnlockConnector

URL = "https://ocpi.fjordlading.example/2.2.1/commands/1"


@pytest.mark.catalogue("CMD-038", "CMD-048")
def test_a_command_must_be_whole() -> None:
    with pytest.raises(InvalidParameters, match=r"^token\.country_code: field required; .*; and 4 more$"):
        types.check(StartSession, {"response_url": URL, "token": {}, "location_id": "U-2"})
    with pytest.raises(InvalidParameters, match=r"^evse_uid: field required; connector_id: field required$"):
        types.check(UnlockConnector, {"response_url": URL, "location_id": "U-2"})


@pytest.mark.catalogue("CMD-024", "CMD-026")
def test_answers() -> None:
    assert types.check(CommandResponse, {"result": "ACCEPTED", "timeout": 30, "message": None}) == []
    assert types.check(CommandResult, {"result": "OK", "message": "done"}) == [
        Finding("result", "unknown value"),
        Finding("message", "must be a list"),
    ]
    with pytest.raises(InvalidParameters, match=r"^timeout: must be a whole number$"):
        types.check(CommandResponse, {"result": "ACCEPTED", "timeout": "30"})
