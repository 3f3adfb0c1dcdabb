"""Lists and single objects: GET ALL from the store, direct from the owner, and what each party may see."""

from typing import Any

import pytest

from hub.ocpi import headers
from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp


@pytest.mark.catalogue("TF-120", "TF-121", "TF-122")
async def test_get_all_pages_through_everything_once(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    names = [f"LOC{n}" for n in range(7)]
    for name in names:
        assert (await cpo.put_location(samples.location(id=name), to=cpo.hub)).ok
    first = await emsp.send("GET", "locations", interface="SENDER", to=emsp.hub, query={"limit": "3"})
    assert first.headers[headers.TOTAL_COUNT] == "7"
    assert first.headers[headers.FROM_PARTY] == "HUB"
    assert first.next_url is not None
    await cpo.put_location(samples.location(id="LOC0"), to=cpo.hub)  # an update never moves an object
    assert [o["id"] for o in await emsp.pull("locations", to=emsp.hub, limit="3")] == names


@pytest.mark.catalogue("TF-024", "TF-025", "TF-026")
async def test_windows_join_without_gap_or_overlap(cpo: CpoBackend, emsp: Emsp) -> None:
    for hour in range(4):
        at = f"2026-01-01T0{hour}:00:00Z"
        await cpo.put_location(samples.location(id=f"LOC{hour}", at=at), to=cpo.hub)
    early = await emsp.pull("locations", to=emsp.hub, date_to="2026-01-01T02:00:00")
    late = await emsp.pull("locations", to=emsp.hub, date_from="2026-01-01T02:00:00Z")
    assert [o["id"] for o in early + late] == ["LOC0", "LOC1", "LOC2", "LOC3"]
    assert len(early) == 2
    nothing = await emsp.send("GET", "locations", interface="SENDER", to=emsp.hub, query={"date_to": "2020-01-01"})
    assert nothing.status_code in (1000, 2001)


async def test_a_party_sees_the_data_of_the_other_side_only(cpo: CpoBackend, emsp: Emsp) -> None:
    await cpo.put_location(samples.location(), to=cpo.hub)
    await emsp.put_token(samples.token(), to=emsp.hub)
    assert await cpo.pull("locations", to=cpo.hub) == []
    assert [t["uid"] for t in await cpo.pull("tokens", to=cpo.hub)] == [samples.token()["uid"]]
    assert await emsp.pull("tokens", to=emsp.hub) == []


async def test_a_direct_push_differs_from_the_broadcast_for_its_receiver_only(
    cpo: CpoBackend, emsp: Emsp, other_emsp: Emsp
) -> None:
    await cpo.put_tariff(samples.tariff(at="2026-01-01T00:00:00Z"), to=cpo.hub)
    special = samples.tariff(at="2026-01-01T00:00:01Z") | {"currency": "SEK"}
    assert (await cpo.put_tariff(special, to="DE*MSA")).ok
    assert [t["currency"] for t in await emsp.pull("tariffs", to=emsp.hub)] == ["SEK"]
    assert [t["currency"] for t in await other_emsp.pull("tariffs", to=emsp.hub)] == ["EUR"]


@pytest.mark.catalogue("TF-043", "TF-044", "TF-045")
async def test_a_list_of_one_owner_comes_from_it_and_its_links_from_the_hub(
    running: Any, cpo: CpoBackend, emsp: Emsp
) -> None:
    for number in range(70):  # more than a page of the sandbox
        cpo.locations.put(("NL", "CPA", f"L{number}"), samples.location(id=f"L{number}"))
    first = await emsp.send("GET", "locations", interface="SENDER", to="NL*CPA")
    assert first.next_url is not None
    assert first.next_url.startswith(running.url)
    assert first.headers[headers.TOTAL_COUNT] == "70"
    assert len(await emsp.pull("locations", to="NL*CPA")) == 70
    repeated = [await emsp.call("GET", first.next_url, emsp.registered.token_out) for _ in range(2)]
    assert repeated[0].data == repeated[1].data
    stranger = await cpo.call("GET", first.next_url, cpo.registered.token_out)
    assert stranger.http_status == 404


async def test_single_objects_come_from_their_owner(cpo: CpoBackend, emsp: Emsp) -> None:
    location = samples.location()
    await cpo.put_location(location, to=cpo.hub)
    uid = location["evses"][0]["uid"]
    found = await emsp.send("GET", "locations", "LOC1", uid, interface="SENDER", to="NL*CPA")
    assert found.data["uid"] == uid
    assert found.headers[headers.FROM_PARTY] == "CPA"
    missing = await emsp.send("GET", "locations", "NONE", interface="SENDER", to="NL*CPA")
    assert missing.http_status == 404


@pytest.mark.catalogue("SES-012", "SES-013")
async def test_sessions_need_date_from(emsp: Emsp) -> None:
    assert (await emsp.send("GET", "sessions", interface="SENDER", to=emsp.hub)).status_code == 2001
    assert await emsp.pull("sessions", to=emsp.hub, date_from="2026-01-01T00:00:00Z") == []


@pytest.mark.catalogue("LOC-020")
async def test_the_owner_looks_at_what_the_receiver_holds(cpo: CpoBackend, emsp: Emsp) -> None:
    session = samples.session(of=samples.token())
    await cpo.put_session(session, to="DE*MSA")
    held = await cpo.send("GET", "sessions", "NL", "CPA", session["id"], to="DE*MSA")
    assert held.data == session
