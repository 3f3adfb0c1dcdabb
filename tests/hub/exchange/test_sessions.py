"""Sessions: to the eMSP they belong to, and the copy that the hub keeps of them, as GET ALL shows it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from hub.ocpi.types import format_datetime
from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp
from hub.sandbox.wire import Answer

Json = dict[str, Any]
BEGUN = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
PATH = ("NL", "CPA", "SESSION1")


def at(minutes: int) -> str:
    """A moment of the session."""
    return format_datetime(BEGUN + timedelta(minutes=minutes))


def period(minutes: int, kwh: str) -> Json:
    return {"start_date_time": at(minutes), "dimensions": [{"type": "ENERGY", "volume": Decimal(kwh)}]}


def session(**changes: Any) -> Json:
    return samples.session(of=samples.token(), at=at(0)) | changes


async def kept(emsp: Emsp) -> Json:
    """The hub's copy."""
    (found,) = await emsp.pull("sessions", to=emsp.hub, date_from="2020-01-01T00:00:00Z")
    return dict(found)


async def put(cpo: CpoBackend, body: Json) -> None:
    assert (await cpo.put_session(body, to="DE*MSA")).ok


async def patch(cpo: CpoBackend, **changes: Any) -> Answer:
    return await cpo.send("PATCH", "sessions", *PATH, to="DE*MSA", body=changes)


@pytest.mark.catalogue("SES-022")
async def test_a_put_replaces_the_session_as_a_whole(cpo: CpoBackend, emsp: Emsp) -> None:
    await put(cpo, session(total_cost={"excl_vat": Decimal("1.00")}, meter_id="M1", ext={"a": 1}))
    again = session(kwh=Decimal(2), last_updated=at(1))
    await put(cpo, again)
    assert await kept(emsp) == again


@pytest.mark.catalogue("SES-023")
@pytest.mark.parametrize("periods", [{}, {"charging_periods": []}])
async def test_a_put_without_periods_removes_them(cpo: CpoBackend, emsp: Emsp, periods: Json) -> None:
    await put(cpo, session(charging_periods=[period(0, "1"), period(5, "2")]))
    again = session(last_updated=at(6))
    del again["charging_periods"]
    await put(cpo, again | periods)
    assert not (await kept(emsp)).get("charging_periods")


@pytest.mark.catalogue("SES-029")
async def test_a_put_changes_periods_that_were_sent(cpo: CpoBackend, emsp: Emsp) -> None:
    await put(cpo, session(charging_periods=[period(0, "1"), period(5, "2")]))
    corrected = [period(0, "0.5")]
    await put(cpo, session(charging_periods=corrected, last_updated=at(6)))
    assert (await kept(emsp))["charging_periods"] == corrected


@pytest.mark.catalogue("SES-027", "SES-031", "SES-002")
async def test_a_patch_appends_periods_and_replaces_the_rest(cpo: CpoBackend, emsp: Emsp, other_emsp: Emsp) -> None:
    await put(cpo, session(charging_periods=[period(0, "1")], total_cost={"excl_vat": 1, "incl_vat": 2}))
    changes = {"kwh": Decimal(3), "total_cost": {"excl_vat": 3}, "charging_periods": [period(5, "2")]}
    assert (await patch(cpo, **changes, last_updated=at(5))).ok
    copy = await kept(emsp)
    assert copy["charging_periods"] == [period(0, "1"), period(5, "2")]
    assert (copy["kwh"], copy["total_cost"], copy["last_updated"]) == (3, {"excl_vat": 3}, at(5))
    assert emsp.sessions.all() == [copy]
    assert [r.method for r in emsp.received if "sessions" in r.path] == ["PUT", "PATCH"]
    assert not [r for r in other_emsp.received if "sessions" in r.path]


@pytest.mark.catalogue("SES-028")
@pytest.mark.parametrize("periods", [{}, {"charging_periods": []}, {"charging_periods": None}])
async def test_a_patch_without_periods_leaves_them_alone(cpo: CpoBackend, emsp: Emsp, periods: Json) -> None:
    await put(cpo, session(charging_periods=[period(0, "1")]))
    assert (await patch(cpo, kwh=Decimal(2), last_updated=at(1), **periods)).ok
    assert (await kept(emsp))["charging_periods"] == [period(0, "1")]


@pytest.mark.catalogue("SES-030")
async def test_a_repeated_patch_does_not_double_a_period(cpo: CpoBackend, emsp: Emsp) -> None:
    await put(cpo, session(charging_periods=[period(0, "1")]))
    for minutes in (5, 5, 6):
        assert (await patch(cpo, charging_periods=[period(5, "2")], last_updated=at(minutes))).ok
    assert (await kept(emsp))["charging_periods"] == [period(0, "1"), period(5, "2")]


@pytest.mark.catalogue("SES-025")
async def test_a_patch_says_when(cpo: CpoBackend, emsp: Emsp) -> None:
    await put(cpo, session())
    answer = await patch(cpo, kwh=Decimal(2))
    assert (answer.status_code, "last_updated" in answer.message) == (2001, True)
    assert (await kept(emsp))["kwh"] == 0


@pytest.mark.catalogue("SES-026")
async def test_a_session_has_no_parts_to_patch(cpo: CpoBackend, emsp: Emsp) -> None:
    await put(cpo, session(charging_periods=[period(0, "1")]))
    for below in ("charging_periods", "1"):
        body = {"kwh": Decimal(2), "last_updated": at(1)}
        assert (await cpo.send("PATCH", "sessions", *PATH, below, to="DE*MSA", body=body)).http_status == 404
    assert (await kept(emsp))["kwh"] == 0


@pytest.mark.catalogue("SES-021", "SES-003")
async def test_a_session_is_never_deleted(cpo: CpoBackend, emsp: Emsp) -> None:
    await put(cpo, session())
    for method, body in (("DELETE", None), ("POST", session())):
        assert (await cpo.send(method, "sessions", *PATH, to="DE*MSA", body=body)).http_status == 405
    seen = await cpo.send("GET", "sessions", *PATH, to="DE*MSA")
    assert seen.data == session()
    assert await kept(emsp) == session()


@pytest.mark.catalogue("SES-024")
@pytest.mark.parametrize("name", ["country_code", "party_id", "id"])
async def test_url_and_body_name_the_same_session(cpo: CpoBackend, emsp: Emsp, name: str) -> None:
    other = session(**{name: "XX" if name == "country_code" else "XXX"})
    answer = await cpo.send("PUT", "sessions", *PATH, to="DE*MSA", body=other)
    assert (answer.http_status, answer.status_code, name in answer.message) == (200, 2001, True)
    assert not emsp.sessions.all()


@pytest.mark.catalogue("SES-012", "SES-013")
async def test_a_list_of_sessions_says_from_when(cpo: CpoBackend, emsp: Emsp) -> None:
    await put(cpo, session())
    answer = await emsp.send("GET", "sessions", interface="SENDER", to=emsp.hub)
    assert (answer.http_status, answer.status_code, "date_from" in answer.message) == (200, 2001, True)
    query = {"date_from": at(-1), "date_to": at(1), "offset": "0", "limit": "5"}
    assert (await emsp.send("GET", "sessions", interface="SENDER", to=emsp.hub, query=query)).data == [session()]


@pytest.mark.catalogue("SES-014")
async def test_the_list_is_filtered_by_last_updated(cpo: CpoBackend, emsp: Emsp) -> None:
    """Not by its start, nor by when the hub had it."""
    for minutes in (1, 2, 3):
        await put(cpo, session(id=f"S{minutes}", last_updated=at(minutes)))
    found = await emsp.pull("sessions", to=emsp.hub, date_from=at(2), date_to=at(3))
    assert [each["id"] for each in found] == ["S2"]


@pytest.mark.catalogue("SES-038")
async def test_free_is_not_the_same_as_not_known(cpo: CpoBackend, emsp: Emsp) -> None:
    free = session(total_cost={"excl_vat": Decimal("0.00")})
    await put(cpo, free)
    assert await kept(emsp) == free
    assert "total_cost" not in session()
    await put(cpo, session(last_updated=at(1)))
    assert "total_cost" not in await kept(emsp)


@pytest.mark.catalogue("SES-037")
async def test_the_auth_method_may_change(cpo: CpoBackend, emsp: Emsp) -> None:
    await put(cpo, session(status="RESERVATION", auth_method="COMMAND", evse_uid="#NA", connector_id="#NA"))
    await put(cpo, session(auth_method="WHITELIST", last_updated=at(1)))
    assert [(s["status"], s["auth_method"]) for s in emsp.sessions.all()] == [("ACTIVE", "WHITELIST")]
