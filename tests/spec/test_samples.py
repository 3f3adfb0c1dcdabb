"""Sound objects, one per file in samples/ and named after their class, pass the check and survive the wire.

They follow the cases that the spec's own examples show (its faulty ones put right), and add those it leaves out:
commands, AuthorizationInfo, a Credit CDR, signed data, a hub's Credentials.
"""

from pathlib import Path

import pytest

from hub.ocpi import json, types
from hub.ocpi.errors import InvalidParameters
from modules.cdrs import schemas as cdrs
from modules.commands import schemas as commands
from modules.credentials import schemas as credentials
from modules.locations import schemas as locations
from modules.sessions import schemas as sessions
from modules.tariffs import schemas as tariffs
from modules.tokens import schemas as tokens
from modules.versions import schemas as versions

HOMES = (versions, credentials, locations, sessions, cdrs, tariffs, tokens, commands)
SAMPLES = sorted((Path(__file__).parent / "samples").glob("*.json"))


def model_of(sample: Path) -> type[types.Schema]:
    name = sample.name.split(".")[0]
    found: type[types.Schema] = next(getattr(home, name) for home in HOMES if hasattr(home, name))
    return found


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.stem)
def test_a_sound_object_is_taken_as_it_is(sample: Path) -> None:
    body = json.loads(sample.read_bytes())
    model = model_of(sample)
    assert types.check(model, body) == []
    assert json.loads(json.dumps(body)) == body
    assert set(body) <= set(model.model_fields), "no field that the spec does not know"


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.stem)
def test_a_model_gives_back_what_it_read(sample: Path) -> None:
    body = json.loads(sample.read_bytes())
    assert json.loads(json.dumps(model_of(sample).model_validate(body).model_dump(exclude_unset=True))) == body


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.stem)
def test_a_missing_required_field_is_named(sample: Path) -> None:
    body = json.loads(sample.read_bytes())
    for field, info in model_of(sample).model_fields.items():
        if info.is_required():
            with pytest.raises(InvalidParameters, match=f"^{field}: field required$"):
                types.check(model_of(sample), {name: value for name, value in body.items() if name != field})


def test_every_object_has_a_sample() -> None:
    whole = {"Version", "Endpoint", "Credentials", "Location", "EVSE", "Connector", "Session", "CDR", "Tariff", "Token"}
    asked = {"ChargingPreferences", "AuthorizationInfo", "LocationReferences", "CommandResponse", "CommandResult"}
    ordered = {"StartSession", "StopSession", "ReserveNow", "CancelReservation", "UnlockConnector"}
    assert whole | asked | ordered <= {model_of(sample).__name__ for sample in SAMPLES}
