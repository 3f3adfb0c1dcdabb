"""Stations in a real database."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from hub.store import stations
from hub.store.chargers import Station, StationConnector
from hub.store.db import Database

Json = dict[str, Any]
OWNER, CP = "NL*LOC", "Cp-1"
NOW = datetime.now(UTC).replace(microsecond=0)
SOON, HOLD = timedelta(seconds=2), timedelta(hours=1)


async def test_a_station_is_enrolled_with_the_plugs_of_its_location(enrolled: Database) -> None:
    async with enrolled.session() as session:
        plugs = await stations.connectors(session, CP)
        assert [(p.ocpp_connector_id, p.evse_uid, p.connector_id) for p in plugs] == [
            (1, "E1", "1"),
            (2, "E1", "2"),
            (3, "E2", "1"),
        ]
        found = await stations.find(session, "CP-1")
        assert found is not None
        assert found.station_id == CP
        assert [s.station_id for s, _ in await stations.at_location(session, OWNER, "square")] == [CP] * 3


@pytest.mark.parametrize(
    ("station_id", "other", "evse_uids"),
    [("cP-1", {}, []), ("CP-2", {"evses": []}, []), ("CP-2", {}, ["E9"])],
)
async def test_what_cannot_be_enrolled(
    enrolled: Database, location: Json, station_id: str, other: Json, evse_uids: list[str]
) -> None:
    with pytest.raises(ValueError, match=r"exists already|no EVSEs|no such EVSE"):
        async with enrolled.session() as session:
            await stations.enrol(session, OWNER, station_id, location | other, evse_uids)


async def test_passwords() -> None:
    password, stored = stations.new_password()
    assert stations.password_fits(stored, password.encode())
    assert stations.password_fits(stored, password.upper().encode())
    assert stations.password_fits(stored, bytes.fromhex(password))
    assert not stations.password_fits(stored, b"")
    assert not stations.password_fits(stored, password[:-1].encode())


async def test_only_the_newest_socket_may_let_go(enrolled: Database) -> None:
    """F1."""
    async with enrolled.session() as session:
        old = await stations.take_over(session, CP, SOON)
    async with enrolled.session() as session:
        new = await stations.take_over(session, CP, SOON)
        await stations.release(session, CP, old)
        station = await session.get_one(Station, CP, populate_existing=True)
        assert (new, station.connected) == (old + 1, True)
        await stations.release(session, CP, new)
        await session.refresh(station)
        assert not station.connected


async def test_who_is_not_seen_is_away_and_its_connectors_are_due(enrolled: Database) -> None:
    async with enrolled.session() as session:
        await stations.take_over(session, CP, SOON)
        assert await stations.mark_away(session, timedelta(minutes=1)) == []
        await session.execute(text("UPDATE station_connector SET due_at = NULL"))
        await session.execute(text("UPDATE station SET last_seen_at = now() - interval '2 min'"))
        assert await stations.mark_away(session, timedelta(minutes=1)) == [CP]
        assert await stations.mark_away(session, timedelta(minutes=1)) == []
        claims = await stations.claim_due(session, HOLD)
        assert sorted(claim.connector for claim in claims) == [1, 2, 3]


async def test_a_sign_of_life_keeps_a_station(enrolled: Database) -> None:
    async with enrolled.session() as session:
        await stations.take_over(session, CP, SOON)
        await session.execute(text("UPDATE station SET last_seen_at = now() - interval '2 min'"))
        await stations.seen(session, [CP])
        assert await stations.mark_away(session, timedelta(minutes=1)) == []


async def told(enrolled: Database, status: str, at: datetime, settle: timedelta = SOON) -> bool:
    async with enrolled.session() as session:
        return await stations.connector_status(session, CP, 1, status, "NoError", at, settle)


async def due(enrolled: Database) -> datetime | None:
    async with enrolled.session() as session:
        return (await session.get_one(StationConnector, (CP, 1))).due_at


async def test_states_in_their_own_order(enrolled: Database) -> None:
    """F66: what is older than the newest is dropped, the same state again is no change."""
    assert await told(enrolled, "Preparing", NOW)
    first = await due(enrolled)
    assert await told(enrolled, "Preparing", NOW + SOON)
    assert await due(enrolled) == first
    assert not await told(enrolled, "Available", NOW - SOON)
    assert await told(enrolled, "Charging", NOW + SOON)
    assert await due(enrolled) != first
    async with enrolled.session() as session:
        assert not await stations.connector_status(session, CP, 9, "Charging", "NoError", NOW, SOON)


async def test_a_claim_is_let_go_only_if_nothing_happened_meanwhile(enrolled: Database) -> None:
    await told(enrolled, "Charging", NOW, timedelta(0))
    async with enrolled.session() as session:
        (claim,) = await stations.claim_due(session, HOLD)
    async with enrolled.session() as session:
        assert await stations.claim_due(session, HOLD) == []
    await told(enrolled, "Available", NOW, timedelta(0))
    async with enrolled.session() as session:
        await stations.looked(session, claim, None)
        (again,) = await stations.claim_due(session, HOLD)
    async with enrolled.session() as session:
        await stations.looked(session, again, None)
    assert await due(enrolled) is None
