"""The OCPI objects as JSON Schema, with examples."""

from decimal import Decimal
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from hub.openapi import reference
from hub.sandbox import samples
from modules.catalog import CATALOG
from modules.chargingprofiles.schemas import (
    ActiveChargingProfile,
    ActiveChargingProfileResult,
    ChargingProfileResponse,
    ChargingProfileResult,
    ClearProfileResult,
)
from modules.commands.schemas import CommandResponse
from modules.sessions.schemas import ChargingPreferences
from modules.tokens.schemas import AuthorizationInfo, LocationReferences
from modules.versions.schemas import Version, VersionDetails

AT = "2026-01-01T12:00:00Z"
CALLBACK = "https://partner.example/ocpi/2.2.1/commands/result/1"

_MODELS: tuple[type[BaseModel], ...] = (
    *(module.model for module in CATALOG.values()),
    *(part.model for module in CATALOG.values() for part in module.parts),
    *(model for module in CATALOG.values() for model in module.command_models.values()),
    *(ActiveChargingProfile, ActiveChargingProfileResult, ChargingProfileResponse, ChargingProfileResult),
    *(
        ClearProfileResult,
        CommandResponse,
        ChargingPreferences,
        AuthorizationInfo,
        LocationReferences,
        Version,
        VersionDetails,
    ),
)


def definitions() -> dict[str, Any]:
    """Every OCPI object and what it is made of, by name; for those that can be patched the patch as well."""
    models: list[tuple[type[BaseModel], JsonSchemaMode]] = [(model, "validation") for model in dict.fromkeys(_MODELS)]
    _, found = models_json_schema(models, ref_template=reference("{model}")["$ref"])
    schemas: dict[str, Any] = found["$defs"]
    for name, value in examples().items():
        schemas[name]["examples"] = [value]
    for module in CATALOG.values():
        if "PATCH" in module.receiver_methods:
            for model in (module.model, *(part.model for part in module.parts)):
                schemas[patch_name(model)] = _patch(model.__name__, schemas[model.__name__])
    return schemas


def patch_name(model: type[BaseModel]) -> str:
    """What the patch of an object is called."""
    return f"{model.__name__}Patch"


def examples() -> dict[str, Any]:
    """An example of each object that somebody sends, always the same."""
    location, tariff, token = samples.location(at=AT), samples.tariff(at=AT), samples.token(at=AT)
    session = samples.session(of=token, at=AT)
    ended = session | {"kwh": Decimal("7.25"), "end_date_time": "2026-01-01T13:00:00Z", "status": "COMPLETED"}
    place = {"location_id": location["id"], "evse_uid": "EVSE1", "connector_id": "1"}
    profile = {"charging_rate_unit": "W", "charging_profile_period": [{"start_period": 0, "limit": Decimal("11000.0")}]}
    role = {"role": "CPO", **samples.owned(samples.CPO), "business_details": {"name": "Example CPO"}}
    found = {
        "Location": location,
        "EVSE": location["evses"][0],
        "Connector": location["evses"][0]["connectors"][0],
        "Tariff": tariff,
        "Token": token,
        "Session": session,
        "CDR": samples.cdr(ended, location, tariff, at=AT),
        "Credentials": {"token": "token-of-yours", "url": "https://partner.example/ocpi/versions", "roles": [role]},
        "LocationReferences": {"location_id": location["id"], "evse_uids": ["EVSE1"]},
        "ChargingPreferences": {"profile_type": "FAST", "departure_time": "2026-01-01T17:00:00Z"},
        "ClientInfo": {**samples.owned(samples.CPO), "role": "CPO", "status": "CONNECTED", "last_updated": AT},
        "ChargingProfileResult": {"result": "ACCEPTED"},
        "ActiveChargingProfile": {"start_date_time": AT, "charging_profile": profile},
        "SetChargingProfile": {"response_url": CALLBACK, "charging_profile": profile},
        "CommandResult": {"result": "ACCEPTED"},
        "StartSession": {"response_url": CALLBACK, "token": token, **place},
        "StopSession": {"response_url": CALLBACK, "session_id": session["id"]},
        "ReserveNow": {
            "response_url": CALLBACK,
            "token": token,
            "expiry_date": "2026-01-01T12:30:00Z",
            "reservation_id": "RESERVATION1",
            "location_id": location["id"],
        },
        "CancelReservation": {"response_url": CALLBACK, "reservation_id": "RESERVATION1"},
        "UnlockConnector": {"response_url": CALLBACK, **place},
    }
    return {name: plain(value) for name, value in found.items()}


def plain(value: Any) -> Any:
    """A value as any JSON writer takes it."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value


def _patch(name: str, whole: dict[str, Any]) -> dict[str, Any]:
    changed = {"status": "CHARGING"} if name == "EVSE" else {}
    return {
        **{key: whole[key] for key in ("type", "properties", "additionalProperties") if key in whole},
        "title": f"{name}Patch",
        "description": f"The changed fields of a {name}, and always last_updated.",
        "required": ["last_updated"],
        "examples": [{**changed, "last_updated": AT}],
    }
