"""The spec's example objects, in fixtures of our own with the same shapes: taken, kept and passed on as they are.

examples.csv says which file of examples/ stands for which example of the spec, and what happens to it here. Two of the
spec's examples are broken; their like is refused, and the refusal names the field. Every sound one travels with unknown
fields put into each of its objects.
"""

import csv
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from hub.delivery.engine import Engine
from hub.exchange import handshake
from hub.ocpi import json, types
from hub.ocpi.types import PartyId
from hub.sandbox import samples, wire
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp
from hub.sandbox.wire import Answer, Json
from modules.credentials.schemas import Credentials
from modules.locations.schemas import Location
from modules.tokens.schemas import Token
from modules.versions.schemas import Version, VersionDetails

HERE = Path(__file__).parent
with (HERE / "examples.csv").open(newline="") as lines:
    ROWS = list(csv.DictReader(lines))
SOUND, BROKEN = 57, 2


def fixture(name: str) -> Any:
    return json.loads((HERE / "examples" / f"{name}.json").read_bytes())


def those(start: str, how: str = "PUT") -> list[str]:
    """The sound fixtures of one kind."""
    return [
        row["fixture"]
        for row in ROWS
        if row["fixture"].startswith(f"{start}.") and row["how"] == how and row["valid"] == "yes"
    ]


def extended(value: Any) -> Any:
    """The value with a field that the spec does not know in each of its objects."""
    if isinstance(value, dict):
        unknown = {"x_of_ours": {"price": Decimal("2.00"), "list": [None, "å"], "big": 2**63}}
        return {name: extended(child) for name, child in value.items()} | unknown
    return [extended(child) for child in value] if isinstance(value, list) else value


def now(body: Json) -> Json:
    """The body as a change of this moment."""
    return body | {"last_updated": samples.now()}


async def listed(reader: CpoBackend | Emsp, module: str) -> list[Json]:
    return await reader.pull(module, to=reader.hub, date_from="2020-01-01T00:00:00Z")


def test_every_example_of_the_spec_has_its_fixture() -> None:
    assert len({row["example"] for row in ROWS}) == len(ROWS) == SOUND + BROKEN
    assert sum(row["valid"] == "yes" for row in ROWS) == SOUND
    files = {file.stem for file in (HERE / "examples").iterdir()}
    assert {row["fixture"] for row in ROWS} == files
    used = [name for kind, how in TOUCHED for name in those(kind, how)]
    assert sorted(used) == sorted(row["fixture"] for row in ROWS if row["valid"] == "yes"), "each is in a test below"


TOUCHED = [
    ("location", "PUT"), ("tariff", "PUT"), ("token", "PUT"), ("session", "PUT"), ("cdr", "POST"),
    ("location_patch", "PATCH"), ("evse_patch", "PATCH"), ("connector_patch", "PATCH"), ("session_patch", "PATCH"),
    ("token_patch", "PATCH"), ("energy_mix", "part"), ("hours", "part"), ("opening_times", "part"),
    ("display_text", "part"), ("credentials", "handshake"), ("answer", "answer"), ("version_details", "answer"),
    ("versions", "answer"),
]  # fmt: skip


async def test_what_is_broadcast_is_kept_and_delivered_as_it_came(
    delivering: Engine, cpo: CpoBackend, emsp: Emsp, eventually: Any
) -> None:
    sent: dict[str, list[Json]] = {"locations": [], "tariffs": [], "tokens": []}
    for name in those("location"):
        sent["locations"].append(extended(fixture(name)))
        assert (await cpo.put_location(sent["locations"][-1], to=cpo.hub)).ok, name
    for name in those("tariff"):
        sent["tariffs"].append(extended(fixture(name)))
        assert (await cpo.put_tariff(sent["tariffs"][-1], to=cpo.hub)).ok, name
    for name in those("token"):
        sent["tokens"].append(extended(fixture(name)))
        assert (await emsp.put_token(sent["tokens"][-1], to=emsp.hub)).ok, name
    assert await listed(emsp, "locations") == sent["locations"]
    assert await listed(emsp, "tariffs") == sent["tariffs"]
    assert await listed(cpo, "tokens") == sent["tokens"]
    delivering.wake()
    await eventually(
        lambda: (
            len(emsp.locations) == len(sent["locations"])
            and len(emsp.tariffs) == len(sent["tariffs"])
            and len(cpo.tokens) == len(sent["tokens"])
        )
    )
    for held, module in ((emsp.locations, "locations"), (emsp.tariffs, "tariffs"), (cpo.tokens, "tokens")):
        assert _by_id(held.all()) == _by_id(sent[module])


async def test_what_is_for_one_party_reaches_it_as_it_came(cpo: CpoBackend, emsp: Emsp) -> None:
    sessions = [extended(fixture(name)) for name in those("session")]
    for session in sessions:
        assert (await cpo.put_session(session, to="DE*MSA")).http_status == 201
    cdrs = [extended(fixture(name)) for name in those("cdr", "POST")]
    for cdr in cdrs:
        assert (await cpo.post_cdr(cdr, to="DE*MSA")).ok
    assert await listed(emsp, "sessions") == emsp.sessions.all() == sessions
    assert await listed(emsp, "cdrs") == [held.body for held in emsp.received if held.method == "POST"] == cdrs


@pytest.mark.catalogue("TF-051", "LOC-029")
async def test_patches_change_what_they_say_and_keep_the_rest(cpo: CpoBackend, emsp: Emsp) -> None:
    location = extended(fixture("location.street"))
    assert (await cpo.put_location(location, to=cpo.hub)).ok
    evse, connector = location["evses"][0], location["evses"][0]["connectors"][0]
    for start, level, held in (
        ("location_patch", (), location),
        ("evse_patch", (evse["uid"],), evse),
        ("connector_patch", (evse["uid"], connector["id"]), connector),
    ):
        for name in those(start, "PATCH"):
            change = now(extended(fixture(name)))
            path = ("NL", "CPA", location["id"], *level)
            assert (await cpo.send("PATCH", "locations", *path, to=cpo.hub, body=change)).ok, name
            held |= change
            evse["last_updated"] = location["last_updated"] = change["last_updated"]
            if not level:
                evse["last_updated"] = location["evses"][0]["last_updated"]
            [seen] = await listed(emsp, "locations")
            assert _without_times(seen) == _without_times(location), name
            assert seen["last_updated"] == change["last_updated"], name


async def test_a_patch_of_a_session_or_token_changes_what_it_says(cpo: CpoBackend, emsp: Emsp) -> None:
    session, token = extended(fixture("session.started")), extended(fixture("token.card"))
    assert (await cpo.put_session(session, to="DE*MSA")).ok
    for name in those("session_patch", "PATCH"):
        change = now(extended(fixture(name)))
        path = ("NL", "CPA", session["id"])
        assert (await cpo.send("PATCH", "sessions", *path, to="DE*MSA", body=change)).ok, name
        periods = session.get("charging_periods", []) + change.get("charging_periods", [])
        session |= change | ({"charging_periods": periods} if periods else {})
        assert await listed(emsp, "sessions") == [session], name
    assert (await emsp.put_token(token, to=emsp.hub)).ok
    for name in those("token_patch", "PATCH"):
        change = now(extended(fixture(name)))
        path = ("DE", "MSA", token["uid"])
        assert (await emsp.send("PATCH", "tokens", *path, to=emsp.hub, body=change)).ok, name
        token |= change
        assert await listed(cpo, "tokens") == [token], name


async def test_parts_of_a_location_are_kept_as_they_are(cpo: CpoBackend, emsp: Emsp) -> None:
    for start, field in (("energy_mix", ""), ("hours", "opening_times"), ("opening_times", ""), ("display_text", "")):
        for name in those(start, "part"):
            part = extended(fixture(name))
            if field:
                part = {field: part}
            if start == "display_text":
                part = {"directions": [part]}
            location = samples.location() | part
            assert types.check(Location, location) == [], name
            assert (await cpo.put_location(location, to=cpo.hub)).ok, name
            assert await listed(emsp, "locations") == [location], name


@pytest.mark.parametrize("name", those("credentials", "handshake"))
async def test_a_platform_registers_with_such_credentials(running: Any, name: str) -> None:
    told = extended(fixture(name))
    assert types.check(Credentials, told) == []
    invited = [(f"{role['country_code']}*{role['party_id']}", role["role"]) for role in told["roles"]]

    class Platform(CpoBackend):
        def credentials(self, token: str) -> Json:
            body: Json = told | {"token": token, "url": self.versions_url}
            return body

    async with Platform(*dict.fromkeys(code for code, _ in invited)) as platform:
        roles = [(PartyId.parse(code), role) for code, role in invited]
        await platform.register(running.hub.versions_url, await handshake.invite(running.hub, platform.name, roles))
        await running.hub.directory.refresh()
        for code, role in roles:
            party = running.hub.directory.now.party(code)
            assert party is not None
            assert role in party.roles


ANSWERED: dict[str, Any] = {
    "answer.token": Token,
    "answer.tokens": Token,
    "answer.versions": Version,
    "answer.version_details": VersionDetails,
    "version_details.cpo": VersionDetails,
    "version_details.both_sides": VersionDetails,
    "versions.two": Version,
}


async def test_answers_of_a_party_pass_through_the_hub_as_they_are(
    cpo: CpoBackend, emsp: Emsp, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [name for start in ("answer", "version_details", "versions") for name in those(start, "answer")]
    assert set(names) == set(ANSWERED)
    for name in names:
        whole = extended(fixture(name))
        data = whole["data"] if name.startswith("answer.") else whole
        for item in data if isinstance(data, list) else [data]:
            assert types.check(ANSWERED[name], item) == [], name
        said = json.dumps(whole if name.startswith("answer.") else {"data": whole, "status_code": 1000})
        monkeypatch.setattr(wire, "ok", partial(_said, said))
        token = samples.token()
        assert cpo.tokens.put(("DE", "MSA", token["uid"]), token, kind="RFID") is not None
        answer: Answer = await emsp.send("GET", "tokens", "DE", "MSA", token["uid"], to="NL*CPA")
        assert answer.body == said, "the envelope too"
        assert answer.data == data


@pytest.mark.catalogue("LOC-055")
async def test_the_broken_evse_is_refused_and_its_fields_are_named(cpo: CpoBackend, emsp: Emsp) -> None:
    location, evse = fixture("location.street"), fixture("evse.broken")
    assert (await cpo.put_location(location, to=cpo.hub)).ok
    path = ("NL", "CPA", location["id"], evse["uid"])
    answer = await cpo.send("PUT", "locations", *path, to=cpo.hub, body=evse)
    assert (answer.http_status, answer.status_code) == (200, 2001)
    for field in ("power_type", "max_voltage", "max_amperage", "last_updated"):
        assert f"connectors[0].{field}: field required" in answer.message
    assert await listed(emsp, "locations") == [location]


@pytest.mark.catalogue("TAR-011")
async def test_the_broken_tariff_is_refused_and_its_field_is_named(cpo: CpoBackend, emsp: Emsp) -> None:
    tariff = fixture("tariff.broken")
    answer = await cpo.send("PUT", "tariffs", "NL", "CPA", tariff["id"], to=cpo.hub, body=tariff)
    assert (answer.status_code, answer.message) == (2001, "last_updated: field required")
    elsewhere = await cpo.send("PUT", "tariffs", "NL", "CPA", "ANOTHER", to=cpo.hub, body=now(tariff))
    assert (elsewhere.status_code, elsewhere.message) == (2001, "id: differs from the URL")
    assert await listed(emsp, "tariffs") == []


def _said(body: bytes, *_: object, **__: object) -> web.Response:
    return web.Response(body=body, content_type="application/json")


def _by_id(bodies: list[Json]) -> dict[str, Json]:
    return {body.get("id") or body["uid"]: body for body in bodies}


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_times(child) for name, child in value.items() if name != "last_updated"}
    return [_without_times(child) for child in value] if isinstance(value, list) else value
