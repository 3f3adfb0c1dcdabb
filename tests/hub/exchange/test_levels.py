"""PUT and PATCH of EVSEs and Connectors, and DELETE of Tariffs: to one party while the owner waits, and to all."""

from typing import Any

import pytest

from hub.ocpi import headers
from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp

EVSE = ("NL", "CPA", "LOC1", "EVSE1")
CONNECTOR = (*EVSE, "1")


def held(emsp: Emsp) -> Any:
    """EVSE1 of LOC1 as an eMSP has it."""
    location = emsp.locations.get("NL", "CPA", "LOC1")
    return location["evses"][0] if location else None


@pytest.mark.parametrize("to", ["DE*MSA", "all"])
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
@pytest.mark.parametrize("level", [EVSE, CONNECTOR], ids=["evse", "connector"])
async def test_a_part_of_a_location_reaches_its_receivers(
    running: Any, delivering: Any, cpo: CpoBackend, emsp: Emsp, to: str, method: str, level: tuple[str, ...]
) -> None:
    receiver = emsp.hub if to == "all" else to
    assert (await cpo.put_location(samples.location(), to=receiver)).ok
    await emsp.until(lambda: held(emsp), 15, "the Location")
    at = samples.now()
    field, value = ("status", "CHARGING") if level is EVSE else ("max_amperage", 16)
    whole = samples.evse(at=at) if level is EVSE else samples.evse(at=at)["connectors"][0]
    body = (whole if method == "PUT" else {"last_updated": at}) | {field: value}
    answer = await cpo.send(method, "locations", *level, to=receiver, body=body)
    assert (answer.http_status, answer.status_code) == (200, 1000)
    assert answer.headers[headers.FROM_PARTY] == ("HUB" if to == "all" else "MSA")

    def arrived() -> bool:
        part = held(emsp) if level is EVSE else held(emsp)["connectors"][0]
        return bool(part[field] == value)

    await emsp.until(arrived, 15, "the change")
    assert emsp.locations.get("NL", "CPA", "LOC1")["last_updated"] == at  # type: ignore[index]
    assert not emsp.faults


@pytest.mark.catalogue("TAR-010", "TF-118")
@pytest.mark.parametrize("to", ["hub", None])
async def test_a_deleted_tariff_is_withdrawn_from_all_that_got_it(
    running: Any, delivering: Any, cpo: CpoBackend, emsp: Emsp, other_emsp: Emsp, to: str | None
) -> None:
    receiver = cpo.hub if to else None
    assert (await cpo.put_tariff(samples.tariff(), to=cpo.hub)).ok
    assert (await cpo.put_tariff(samples.tariff(id="ONLY"), to="DE*MSA")).ok
    await emsp.until(lambda: len(emsp.tariffs.all()) == 2, 15, "both Tariffs")
    await other_emsp.until(lambda: other_emsp.tariffs.all(), 15, "the Tariff of all")
    for tariff_id in ("TARIFF1", "ONLY"):
        answer = await cpo.delete_tariff(tariff_id, to=receiver)
        assert (answer.http_status, answer.headers[headers.FROM_PARTY]) == (200, "HUB")
    await emsp.until(lambda: not emsp.tariffs.all(), 15, "DELETE of both")
    await other_emsp.until(lambda: not other_emsp.tariffs.all(), 15, "DELETE of one")
    deleted = [r for r in other_emsp.received if r.method == "DELETE"]
    assert {r.path.rpartition("/")[2] for r in deleted} == {"TARIFF1"}, "it never had the other one"
    assert {(str(r.sender), str(r.to)) for r in deleted} == {("NL*HUB", "FR*MSB")}


async def test_a_tariff_is_deleted_at_one_party(running: Any, cpo: CpoBackend, emsp: Emsp, other_emsp: Emsp) -> None:
    for to in ("DE*MSA", "FR*MSB"):
        await cpo.put_tariff(samples.tariff(), to=to)
    assert (await cpo.delete_tariff("TARIFF1", to="DE*MSA")).http_status == 200
    assert (emsp.tariffs.all(), len(other_emsp.tariffs.all())) == ([], 1)


# Charging preferences


@pytest.mark.catalogue("SES-016", "SES-017")
async def test_preferences_are_put_below_the_session(running: Any, station: Any, emsp: Emsp) -> None:
    wish = {"profile_type": "GREEN", "departure_time": "2099-01-01T00:00:00Z", "x_more": 1}
    url = ("sessions", "S1", "charging_preferences")
    station.said = "ACCEPTED"
    answer = await emsp.send("PUT", *url, interface="SENDER", to="NL*CPA", body=wish)
    assert answer.data == "ACCEPTED"
    [seen] = station.asked("/sender/sessions/S1/charging_preferences")
    assert (seen.method, seen.body, str(seen.sender)) == ("PUT", wish, "DE*MSA")
    for method in ("GET", "POST", "PATCH", "DELETE"):
        assert (await emsp.send(method, *url, interface="SENDER", to="NL*CPA")).http_status == 405
    for path in (("S1",), ("S1", "preferences")):
        other = await emsp.send("PUT", "sessions", *path, interface="SENDER", to="NL*CPA", body=wish)
        assert other.http_status == 404


@pytest.mark.catalogue("SES-018")
@pytest.mark.parametrize(
    "said",
    ["ACCEPTED", "DEPARTURE_REQUIRED", "ENERGY_NEED_REQUIRED", "NOT_POSSIBLE", "PROFILE_TYPE_NOT_SUPPORTED"],
)
async def test_the_answer_to_preferences_is_a_plain_string(running: Any, station: Any, emsp: Emsp, said: str) -> None:
    station.said = said
    path = ("S1", "charging_preferences")
    body = {"profile_type": "FAST"}
    answer = await emsp.send("PUT", "sessions", *path, interface="SENDER", to="NL*CPA", body=body)
    assert (answer.http_status, answer.data) == (200, said)


@pytest.mark.catalogue("SES-019")
async def test_preferences_are_never_broadcast(running: Any, station: Any, emsp: Emsp) -> None:
    path = ("S1", "charging_preferences")
    body = {"profile_type": "FAST"}
    assert (await emsp.send("PUT", "sessions", *path, interface="SENDER", to=emsp.hub, body=body)).status_code == 2001
    assert not station.asked("charging_preferences")
