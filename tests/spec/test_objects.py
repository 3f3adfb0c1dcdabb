"""Objects on their way through the hub: PUT, PATCH, ids, owners and times, from outside (transport_and_format)."""

from typing import Any

import pytest

from hub.ocpi import json
from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp

Json = dict[str, Any]
LOC1 = ("NL", "CPA", "LOC1")


def moment(hour: int) -> str:
    """A last_updated on one day."""
    return f"2026-01-01T{hour:02}:00:00Z"


async def locations(emsp: Emsp) -> list[Json]:
    """What everybody's list shows to this eMSP."""
    return await emsp.pull("locations", to=emsp.hub)


@pytest.mark.catalogue("TF-048")
@pytest.mark.parametrize("field", ["country_code", "city", "coordinates", "time_zone", "last_updated"])
async def test_a_put_without_a_required_field_is_2001_and_kept_nowhere(cpo: CpoBackend, emsp: Emsp, field: str) -> None:
    body = {name: value for name, value in samples.location().items() if name != field}
    answer = await cpo.send("PUT", "locations", *LOC1, to=cpo.hub, body=body)
    assert (answer.http_status, answer.status_code, field in answer.message) == (200, 2001, True)
    assert await locations(emsp) == []


@pytest.mark.catalogue("TF-049")
async def test_a_put_carries_nothing_over(cpo: CpoBackend, emsp: Emsp) -> None:
    full = samples.location(at=moment(1)) | {"directions": [{"language": "en", "text": "Left"}], "x_own": 1}
    await cpo.put_location(full, to=cpo.hub)
    bare = {name: value for name, value in samples.location(at=moment(2)).items() if name not in ("name", "evses")}
    await cpo.put_location(bare, to=cpo.hub)
    assert await locations(emsp) == [bare]


@pytest.mark.catalogue("LOC-026")
async def test_a_put_of_a_location_replaces_its_list_of_evses(cpo: CpoBackend, emsp: Emsp) -> None:
    before = samples.location(at=moment(1))
    await cpo.put_location(before, to=cpo.hub)
    await cpo.put_location(before | {"evses": before["evses"][1:], "last_updated": moment(2)}, to=cpo.hub)
    assert [evse["uid"] for evse in (await locations(emsp))[0]["evses"]] == ["EVSE2"]


@pytest.mark.catalogue("TF-051")
async def test_a_patch_changes_what_it_names_and_nothing_else(cpo: CpoBackend, emsp: Emsp) -> None:
    before = samples.location(at=moment(1)) | {"x_own": [1, 2]}
    await cpo.put_location(before, to=cpo.hub)
    changes = {"name": "Renamed", "last_updated": moment(2)}
    assert (await cpo.send("PATCH", "locations", *LOC1, to=cpo.hub, body=changes)).ok
    assert await locations(emsp) == [before | changes]


@pytest.mark.catalogue("TF-055")
async def test_only_a_put_takes_a_field_away(cpo: CpoBackend, emsp: Emsp) -> None:
    whole = samples.location(at=moment(1))
    await cpo.put_location(whole, to=cpo.hub)
    await cpo.send("PATCH", "locations", *LOC1, to=cpo.hub, body={"city": "Utrecht", "last_updated": moment(2)})
    assert "name" in (await locations(emsp))[0]
    await cpo.put_location({n: v for n, v in whole.items() if n != "name"} | {"last_updated": moment(3)}, to=cpo.hub)
    assert "name" not in (await locations(emsp))[0]


@pytest.mark.catalogue("TF-056", "TF-059")
async def test_the_path_of_an_object_names_its_owner_at_the_receiver(cpo: CpoBackend, emsp: Emsp) -> None:
    location = samples.location(id="Loc 1~é".encode("ascii", "ignore").decode())
    assert (await cpo.put_location(location, to="DE*MSA")).http_status == 201
    assert emsp.received[-1].path == f"/ocpi/2.2.1/receiver/locations/NL/CPA/{location['id']}"
    assert emsp.locations.all() == [location]


@pytest.mark.catalogue("TF-058")
async def test_one_id_of_two_owners_is_two_objects(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    async with CpoBackend("BE*CPB") as other:
        await running.join(other, "CPO")
        ours, theirs = samples.tariff(at=moment(1)), samples.tariff("BE*CPB", at=moment(2)) | {"currency": "SEK"}
        assert (await cpo.put_tariff(ours, to=cpo.hub)).http_status == 201
        assert (await other.put_tariff(theirs, to=other.hub)).http_status == 201
        assert await emsp.pull("tariffs", to=emsp.hub) == [ours, theirs]
        await other.delete_tariff("TARIFF1", to=other.hub)
    assert await emsp.pull("tariffs", to=emsp.hub) == [ours]


@pytest.mark.catalogue("TF-063")
@pytest.mark.parametrize("change", [{"id": "OTHER"}, {"country_code": "DE"}, {"party_id": "CPB"}], ids=str)
async def test_a_body_that_is_of_another_object_than_its_url_is_2001(cpo: CpoBackend, change: Json) -> None:
    answer = await cpo.send("PUT", "locations", *LOC1, to=cpo.hub, body=samples.location() | change)
    assert (answer.http_status, answer.status_code, next(iter(change)) in answer.message) == (200, 2001, True)


@pytest.mark.catalogue("TF-064", "TYP-003", "TYP-002")
async def test_ids_are_the_same_in_any_case_and_keep_the_one_they_came_in(cpo: CpoBackend, emsp: Emsp) -> None:
    first = samples.location(id="Loc-One", at=moment(1))
    await cpo.put_location(first, to=cpo.hub)
    again = first | {"name": "Again", "last_updated": moment(2)}
    answer = await cpo.send("PUT", "locations", "nl", "cpa", "LOC-ONE", to=cpo.hub, body=again)
    assert (answer.http_status, answer.status_code) == (200, 1000)
    assert await locations(emsp) == [again]
    patched = await cpo.patch_evse("loc-one", "evse1", {"status": "CHARGING", "last_updated": moment(3)}, to=cpo.hub)
    assert patched.ok
    (found,) = await locations(emsp)
    assert (found["id"], found["evses"][0]["uid"], found["evses"][0]["status"]) == ("Loc-One", "EVSE1", "CHARGING")


@pytest.mark.catalogue("TF-126")
async def test_last_updated_is_nobodys_but_the_owners(cpo: CpoBackend, emsp: Emsp) -> None:
    location = samples.location(at="2026-01-01T01:02:03.40Z")
    for to in ("DE*MSA", cpo.hub):
        await cpo.put_location(location, to=to)
    pulled = (await locations(emsp))[0]
    direct = (await emsp.pull("locations", to="NL*CPA"))[0]
    for found in (pulled, direct, emsp.locations.all()[0]):
        assert found["last_updated"] == found["evses"][0]["last_updated"] == "2026-01-01T01:02:03.40Z"


ODD_FORMS = (
    b'"x_price": 2.00, "x_tiny": 0.10000, "x_list": [3, 1, 2], "x_date": "2026-01-01T01:02:03.4500", "x_null": null'
)


@pytest.mark.catalogue("TF-127", "TYP-009", "TYP-013")
async def test_a_body_arrives_byte_for_byte(cpo: CpoBackend, emsp: Emsp) -> None:
    tariff = samples.tariff(at="2026-01-01T01:02:03")
    raw = json.dumps(tariff)[:-1] + b", " + ODD_FORMS + b"}"
    assert (await cpo.send("PUT", "tariffs", "NL", "CPA", "TARIFF1", to=cpo.hub, body=raw)).ok
    listed = await emsp.send("GET", "tariffs", interface="SENDER", to=emsp.hub)
    for form in (b'"x_price":2.00', b'"x_tiny":0.10000', b'"x_list":[3,1,2]', b'"2026-01-01T01:02:03.4500"'):
        assert form in listed.body.replace(b": ", b":").replace(b", ", b",")
    assert b'"last_updated":"2026-01-01T01:02:03"' in listed.body.replace(b": ", b":")
    assert (await cpo.send("PUT", "tariffs", "NL", "CPA", "TARIFF1", to="DE*MSA", body=raw)).ok
    held = emsp.tariffs.get("NL", "CPA", "TARIFF1") or {}
    assert (str(held["x_price"]), str(held["x_tiny"]), held["x_date"]) == (
        "2.00",
        "0.10000",
        "2026-01-01T01:02:03.4500",
    )


@pytest.mark.catalogue("TF-128")
async def test_not_available_is_taken_for_a_required_text(cpo: CpoBackend, emsp: Emsp) -> None:
    location = samples.location() | {"city": "#NA"}
    assert (await cpo.put_location(location, to=cpo.hub)).ok
    assert (await locations(emsp))[0]["city"] == "#NA"


@pytest.mark.catalogue("TF-185")
async def test_of_two_versions_the_newer_one_wins_in_whichever_order_they_come(cpo: CpoBackend, emsp: Emsp) -> None:
    newer = samples.location(at=moment(2)) | {"name": "Newer"}
    await cpo.put_location(newer, to=cpo.hub)
    answer = await cpo.put_location(samples.location(at=moment(1)), to=cpo.hub)
    assert (answer.http_status, answer.status_code) == (200, 1000)
    assert await locations(emsp) == [newer]


@pytest.mark.catalogue("TYP-007")
async def test_an_offset_is_converted_to_tell_what_is_newer(cpo: CpoBackend, emsp: Emsp) -> None:
    newer = samples.location(at="2026-01-01T01:30:00Z")
    await cpo.put_location(newer, to=cpo.hub)
    older = samples.location(at="2026-01-01T02:00:00+01:00")  # half an hour before
    assert (await cpo.put_location(older, to=cpo.hub)).status_code == 1000
    assert await locations(emsp) == [newer]


@pytest.mark.catalogue("VER-030", "VER-031")
async def test_null_is_the_same_as_nothing(cpo: CpoBackend, emsp: Emsp) -> None:
    empty: Json = {"name": None, "directions": None, "images": [], "operator": None, "evses": None}
    assert (await cpo.put_location(samples.location(at=moment(1)) | empty, to=cpo.hub)).ok
    evse = samples.evse(at=moment(2))
    assert (await cpo.send("PUT", "locations", *LOC1, "EVSE1", to=cpo.hub, body=evse)).ok
    assert (await locations(emsp))[0]["evses"] == [evse]
