"""The routes and the catalogue against the spec's method tables."""

import pytest
from fastapi.routing import APIRoute

from hub.app import OCPI_ROUTERS
from hub.ocpi.module import Module
from modules.catalog import CATALOG, FUNCTIONAL

# Copied by hand from "Interfaces and Endpoints" of each module file: (interface, path below the endpoint) -> methods.
OBJECT = "/{country_code}/{party_id}/{id}"
TABLE: dict[str, dict[tuple[str, str], set[str]]] = {
    "locations": {
        ("SENDER", ""): {"GET"},
        ("SENDER", "/{id}"): {"GET"},
        ("SENDER", "/{id}/{evse_uid}"): {"GET"},
        ("SENDER", "/{id}/{evse_uid}/{connector_id}"): {"GET"},
        ("RECEIVER", OBJECT): {"GET", "PUT", "PATCH"},
        ("RECEIVER", OBJECT + "/{evse_uid}"): {"GET", "PUT", "PATCH"},
        ("RECEIVER", OBJECT + "/{evse_uid}/{connector_id}"): {"GET", "PUT", "PATCH"},
    },
    "sessions": {
        ("SENDER", ""): {"GET"},
        ("SENDER", "/{id}/charging_preferences"): {"PUT"},
        ("RECEIVER", OBJECT): {"GET", "PUT", "PATCH"},
    },
    "cdrs": {("SENDER", ""): {"GET"}, ("RECEIVER", ""): {"POST"}, ("RECEIVER", "/{id}"): {"GET"}},
    "tariffs": {("SENDER", ""): {"GET"}, ("RECEIVER", OBJECT): {"GET", "PUT", "DELETE"}},
    "tokens": {
        ("SENDER", ""): {"GET"},
        ("SENDER", "/{id}/authorize"): {"POST"},
        ("RECEIVER", OBJECT): {"GET", "PUT", "PATCH"},
    },
    "commands": {
        ("RECEIVER", f"/{name}"): {"POST"}
        for name in ("START_SESSION", "STOP_SESSION", "RESERVE_NOW", "CANCEL_RESERVATION", "UNLOCK_CONNECTOR")
    },
    "chargingprofiles": {("SENDER", "/{id}"): {"PUT"}, ("RECEIVER", "/{id}"): {"GET", "PUT", "DELETE"}},
    "hubclientinfo": {
        ("SENDER", ""): {"GET"},
        ("RECEIVER", "/{country_code}/{party_id}"): {"GET", "PUT"},
    },
}
ID_NAMES = ("location_id", "session_id", "tariff_id", "token_uid", "cdr_location")


def routes(module: str) -> dict[tuple[str, str], set[str]]:
    found: dict[tuple[str, str], set[str]] = {}
    for router in OCPI_ROUTERS:
        for route in router.routes:
            assert isinstance(route, APIRoute)
            version, interface, name, *rest = [*route.path.strip("/").split("/"), "", "", ""]
            if version == "2.2.1" and name == module:
                below = "".join(f"/{part}" for part in rest if part)
                for id_name in ID_NAMES:
                    below = below.replace("{" + id_name + "}", "{id}")
                found.setdefault((interface.upper(), below), set()).update(route.methods or ())
    return found


MODULES_WITH_ROWS = [
    pytest.param("locations", marks=pytest.mark.catalogue("LOC-012", "LOC-016", "LOC-019")),
    pytest.param("sessions", marks=pytest.mark.catalogue("SES-016", "SES-021")),
    pytest.param("cdrs", marks=pytest.mark.catalogue("CDR-017")),
    pytest.param("tariffs", marks=pytest.mark.catalogue("TAR-004", "TAR-005")),
    pytest.param("tokens", marks=pytest.mark.catalogue("TOK-010", "TOK-018")),
    pytest.param("commands", marks=pytest.mark.catalogue("CMD-007", "CMD-008")),
]
WITH_RESULTS = {("commands", "SENDER"), ("chargingprofiles", "SENDER")}
OTHER_MODULES = sorted(set(TABLE) - {case.values[0] for case in MODULES_WITH_ROWS})


@pytest.mark.parametrize("module", [*MODULES_WITH_ROWS, *OTHER_MODULES])
def test_routes_are_those_of_the_spec(module: str) -> None:
    assert routes(module) == TABLE[module]


@pytest.mark.parametrize("module", FUNCTIONAL, ids=lambda module: module.name)
def test_catalogue_rows_name_the_same_methods(module: Module) -> None:
    name, row = module.name, CATALOG[module.name]
    for interface, methods in (("SENDER", row.sender_methods), ("RECEIVER", row.receiver_methods)):
        offered = set().union(*(m for (i, _), m in TABLE[name].items() if i == interface))
        results = {"POST"} if (name, interface) in WITH_RESULTS else set()  # to a response_url, not below the endpoint
        assert offered | results == methods
