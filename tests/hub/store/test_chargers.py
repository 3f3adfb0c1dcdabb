"""Stations, transactions, grants and commands in a real database."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlmodel import col, select

from hub.store import charging, commands, stations
from hub.store.chargers import Charging, HeldCdr, Reading, Station, StationConnector
from hub.store.charging import Metered
from hub.store.db import Database

Json = dict[str, Any]
OWNER, CP = "NL*LOC", "Cp-1"
NOW = datetime.now(UTC).replace(microsecond=0)
START = NOW - timedelta(minutes=30)
SOON, HOLD = timedelta(seconds=2), timedelta(hours=1)
TOKEN = {"country_code": "DE", "party_id": "MSA", "uid": "CARD", "type": "RFID", "contract_id": "C1"}
LOCATION: Json = {
    "id": "SQUARE",
    "evses": [
        {"uid": "E1", "connectors": [{"id": "1"}, {"id": "2"}]},
        {"uid": "E2", "connectors": [{"id": "1"}]},
    ],
}


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    """The store with one station at SQUARE."""
    database = Database(database_url)
    async with database.unit_of_work() as session:
        await stations.enrol(session, OWNER, CP, LOCATION)
    yield database
    await database.close()


def start(**values: object) -> Json:
    return {
        "session_id": str(uuid4()),
        "natural_key": f"{CP}/1/CARD/{START}/1000",
        "owner": OWNER,
        "station_id": CP,
        "location_id": "SQUARE",
        "ocpp_connector_id": 1,
        "evse_uid": "E1",
        "connector_id": "1",
        "id_tag": "CARD",
        "id_tag_status": "Accepted",
        "token": TOKEN,
        "auth_method": "AUTH_REQUEST",
        "started_at": START,
        "meter_start": Decimal(1000),
        "state": "open",
        "due_at": NOW,
        **values,
    }


async def begin(db: Database, **values: object) -> Charging:
    async with db.unit_of_work() as session:
        row, new = await charging.begin(session, start(**values), HOLD)
        assert new
    return row


async def fetch(db: Database, transaction_id: int | None) -> Charging:
    async with db.unit_of_work() as session:
        return (await session.exec(select(Charging).where(Charging.transaction_id == transaction_id))).one()


async def meter(db: Database, named: int | None, register: int | None, at: datetime, connector: int = 1) -> None:
    value = Decimal(register) if register is not None else None
    async with db.unit_of_work() as session:
        await charging.metered(session, [Metered(CP, connector, named, at, value, "[]")])


async def owners_of_readings(db: Database) -> list[int | None]:
    async with db.unit_of_work() as session:
        rows = await session.exec(select(Reading).where(col(Reading.status).is_(None)).order_by("id"))
        return [row.transaction_id for row in rows]


# Stations


async def test_a_station_is_enrolled_with_the_plugs_of_its_location(db: Database) -> None:
    async with db.unit_of_work() as session:
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
    ("station_id", "location", "evse_uids"),
    [("cP-1", LOCATION, []), ("CP-2", {"id": "EMPTY"}, []), ("CP-2", LOCATION, ["E9"])],
)
async def test_what_cannot_be_enrolled(db: Database, station_id: str, location: Json, evse_uids: list[str]) -> None:
    with pytest.raises(ValueError, match=r"exists already|no EVSEs|no such EVSE"):
        async with db.unit_of_work() as session:
            await stations.enrol(session, OWNER, station_id, location, evse_uids)


async def test_passwords() -> None:
    password, stored = stations.new_password()
    assert stations.password_fits(stored, password.encode())
    assert stations.password_fits(stored, password.upper().encode())
    assert stations.password_fits(stored, bytes.fromhex(password))
    assert not stations.password_fits(stored, b"")
    assert not stations.password_fits(stored, password[:-1].encode())


async def test_only_the_newest_socket_may_let_go(db: Database) -> None:
    """F1."""
    async with db.unit_of_work() as session:
        old = await stations.take_over(session, CP, SOON)
    async with db.unit_of_work() as session:
        new = await stations.take_over(session, CP, SOON)
        await stations.release(session, CP, old)
        station = await session.get_one(Station, CP, populate_existing=True)
        assert (new, station.connected) == (old + 1, True)
        await stations.release(session, CP, new)
        await session.refresh(station)
        assert not station.connected


async def test_who_is_not_seen_is_away_and_its_connectors_are_due(db: Database) -> None:
    async with db.unit_of_work() as session:
        await stations.take_over(session, CP, SOON)
        assert await stations.mark_away(session, timedelta(minutes=1)) == []
        await session.execute(text("UPDATE station_connector SET due_at = NULL"))
        await session.execute(text("UPDATE station SET last_seen_at = now() - interval '2 min'"))
        assert await stations.mark_away(session, timedelta(minutes=1)) == [CP]
        assert await stations.mark_away(session, timedelta(minutes=1)) == []
        claims = await stations.claim_due(session, HOLD)
        assert sorted(claim.connector for claim in claims) == [1, 2, 3]


async def test_a_sign_of_life_keeps_a_station(db: Database) -> None:
    async with db.unit_of_work() as session:
        await stations.take_over(session, CP, SOON)
        await session.execute(text("UPDATE station SET last_seen_at = now() - interval '2 min'"))
        await stations.seen(session, [CP])
        assert await stations.mark_away(session, timedelta(minutes=1)) == []


async def told(db: Database, status: str, at: datetime, settle: timedelta = SOON) -> bool:
    async with db.unit_of_work() as session:
        return await stations.connector_status(session, CP, 1, status, "NoError", at, settle)


async def due(db: Database) -> datetime | None:
    async with db.unit_of_work() as session:
        return (await session.get_one(StationConnector, (CP, 1))).due_at


async def test_states_in_their_own_order(db: Database) -> None:
    """F66: what is older than the newest is dropped, the same state again is no change."""
    assert await told(db, "Preparing", NOW)
    first = await due(db)
    assert await told(db, "Preparing", NOW + SOON)
    assert await due(db) == first
    assert not await told(db, "Available", NOW - SOON)
    assert await told(db, "Charging", NOW + SOON)
    assert await due(db) != first
    async with db.unit_of_work() as session:
        assert not await stations.connector_status(session, CP, 9, "Charging", "NoError", NOW, SOON)


async def test_a_claim_is_let_go_only_if_nothing_happened_meanwhile(db: Database) -> None:
    await told(db, "Charging", NOW, timedelta(0))
    async with db.unit_of_work() as session:
        (claim,) = await stations.claim_due(session, HOLD)
    async with db.unit_of_work() as session:
        assert await stations.claim_due(session, HOLD) == []
    await told(db, "Available", NOW, timedelta(0))
    async with db.unit_of_work() as session:
        await stations.looked(session, claim, None)
        (again,) = await stations.claim_due(session, HOLD)
    async with db.unit_of_work() as session:
        await stations.looked(session, again, None)
    assert await due(db) is None


# Transactions


async def test_the_same_start_again_is_the_same_transaction(db: Database) -> None:
    """F43: the answer was lost."""
    row = await begin(db)
    async with db.unit_of_work() as session:
        again, new = await charging.begin(session, start(), HOLD)
    assert (again.transaction_id, again.session_id, new) == (row.transaction_id, row.session_id, False)


async def test_ten_at_once_are_one(db: Database) -> None:
    async def one() -> int | None:
        async with db.unit_of_work() as session:
            row, _ = await charging.begin(session, start(), HOLD)
            return row.transaction_id

    assert len(set(await asyncio.gather(*(one() for _ in range(10))))) == 1


async def test_numbers_are_positive_and_never_given_twice(db: Database) -> None:
    numbers = [(await begin(db, natural_key=str(n))).transaction_id or 0 for n in range(5)]
    assert numbers == sorted(set(numbers))
    assert numbers[0] > 0


async def test_readings_find_their_transaction(db: Database) -> None:
    """F22, F45, F47: by id; by connector when the id means nothing; to none when nothing fits."""
    row = await begin(db)
    late = START + timedelta(minutes=5)
    for named in (row.transaction_id, None, -1, 0, 2**63 - 1):
        await meter(db, named, 1500, late)
    await meter(db, row.transaction_id, 1600, late, connector=0)
    assert set(await owners_of_readings(db)) == {row.transaction_id}
    await meter(db, None, 1500, late, connector=2)
    await meter(db, None, 1500, START - timedelta(hours=1))
    assert (await owners_of_readings(db))[-2:] == [None, None]


async def test_readings_under_an_old_id_belong_to_the_new_transaction(db: Database) -> None:
    """F47, F48: shortly after the stop they are its closing values, later they are not."""
    old = await begin(db)
    stopped = START + timedelta(minutes=10)
    async with db.unit_of_work() as session:
        assert await charging.end(session, old.transaction_id or 0, {"stopped_at": stopped, "meter_stop": 2000})
    new = await begin(db, natural_key="2", started_at=stopped + timedelta(minutes=2))
    await meter(db, old.transaction_id, 2000, stopped + timedelta(seconds=30))
    await meter(db, old.transaction_id, 2500, stopped + timedelta(minutes=5))
    assert await owners_of_readings(db) == [old.transaction_id, new.transaction_id]
    closed = await fetch(db, old.transaction_id)
    assert (closed.state, closed.register_wh, closed.meter_stop) == ("closed", None, Decimal(2000))


async def test_another_stations_id_is_no_id(db: Database) -> None:
    row = await begin(db)
    async with db.unit_of_work() as session:
        await stations.enrol(session, OWNER, "CP-2", LOCATION)
        await charging.metered(session, [Metered("CP-2", 1, row.transaction_id, NOW, Decimal(5), "[]")])
        assert await charging.by_number(session, "CP-2", row.transaction_id) is None
    assert await owners_of_readings(db) == [None]


async def test_the_newest_register_counts(db: Database) -> None:
    row = await begin(db)
    for register, minutes in ((1500, 5), (1800, 8), (1600, 6), (None, 9)):
        await meter(db, row.transaction_id, register, START + timedelta(minutes=minutes))
    found = await fetch(db, row.transaction_id)
    assert (found.register_wh, found.changes) == (Decimal(1800), 3)


async def test_a_session_is_due_at_once_after_a_kilowatt_hour_and_else_when_it_is_quiet(db: Database) -> None:
    row = await begin(db)
    quiet = timedelta(minutes=5)

    async def publish() -> None:
        async with db.unit_of_work() as session:
            (claimed,) = await charging.claim_due(session, HOLD)
        async with db.unit_of_work() as session:
            await charging.published(session, claimed, quiet)

    await publish()
    assert (await fetch(db, row.transaction_id)).due_at is None
    await meter(db, row.transaction_id, 1900, START + timedelta(minutes=1))
    later = (await fetch(db, row.transaction_id)).due_at
    assert later is not None
    assert later > datetime.now(UTC) + timedelta(minutes=4)
    await meter(db, row.transaction_id, 2000, START + timedelta(minutes=2))
    await publish()
    found = await fetch(db, row.transaction_id)
    assert (found.due_at, found.published_wh) == (None, Decimal(2000))


async def test_what_comes_while_it_is_published_stays_due(db: Database) -> None:
    row = await begin(db)
    async with db.unit_of_work() as session:
        (claimed,) = await charging.claim_due(session, HOLD)
        assert await charging.claim_due(session, HOLD) == []
    await meter(db, row.transaction_id, 1100, START + timedelta(minutes=1))
    async with db.unit_of_work() as session:
        await charging.published(session, claimed, timedelta(0))
    found = await fetch(db, row.transaction_id)
    assert found.due_at is not None
    assert found.published < found.changes


async def test_what_a_crash_left_is_due_again_after_the_lease(db: Database) -> None:
    await begin(db)
    async with db.unit_of_work() as session:
        assert len(await charging.claim_due(session, timedelta(seconds=-1))) == 1
    async with db.unit_of_work() as session:
        assert len(await charging.claim_due(session, HOLD)) == 1


async def test_an_end_is_an_end(db: Database) -> None:
    row = await begin(db)
    ended = {"stopped_at": NOW, "meter_stop": Decimal(3000)}
    async with db.unit_of_work() as session:
        assert await charging.end(session, row.transaction_id or 0, ended)
        assert not await charging.end(session, row.transaction_id or 0, ended | {"meter_stop": Decimal(9000)})
    found = await fetch(db, row.transaction_id)
    assert (found.state, found.meter_stop) == ("closed", Decimal(3000))


async def test_a_start_on_a_busy_connector_ends_what_ran_there_for_the_time_being(db: Database) -> None:
    """F49, F50: the real stop may still come, and readings bring it back."""
    old = await begin(db)
    await meter(db, old.transaction_id, 1700, START + timedelta(minutes=5))
    await begin(db, natural_key="2", started_at=START + timedelta(minutes=20))
    found = await fetch(db, old.transaction_id)
    assert (found.state, found.meter_stop, found.stopped_at) == (
        "estimated",
        Decimal(1700),
        START + timedelta(minutes=5),
    )
    assert found.remark is not None
    await meter(db, old.transaction_id, 1900, START + timedelta(minutes=25))
    revived = await fetch(db, old.transaction_id)
    assert (revived.state, revived.meter_stop, revived.register_wh) == ("open", None, Decimal(1900))


async def test_an_assumed_end_becomes_final_when_nobody_contradicts(db: Database) -> None:
    old = await begin(db)
    async with db.unit_of_work() as session:
        await charging.begin(session, start(natural_key="2"), timedelta(seconds=-1))
        claimed = {row.transaction_id: row for row in await charging.claim_due(session, HOLD)}
    assert claimed[old.transaction_id].state == "closed"
    assert claimed[old.transaction_id].changes > claimed[old.transaction_id].published


async def test_stops_that_will_not_come(db: Database) -> None:
    row = await begin(db)
    await told(db, "Available", datetime.now(UTC) - timedelta(minutes=9))
    async with db.unit_of_work() as session:
        await charging.assume_stops(session, HOLD, HOLD)
    assert (await fetch(db, row.transaction_id)).state == "open"
    async with db.unit_of_work() as session:
        await session.execute(text("UPDATE station_connector SET status_at = now() - interval '11 min'"))
        await charging.assume_stops(session, HOLD, HOLD)
    assert (await fetch(db, row.transaction_id)).state == "estimated"


async def test_a_station_that_is_gone_for_days(db: Database) -> None:
    row = await begin(db)
    async with db.unit_of_work() as session:
        await session.execute(text("UPDATE station SET away = true, last_seen_at = now() - interval '49 h'"))
        await charging.assume_stops(session, HOLD, HOLD)
    assert (await fetch(db, row.transaction_id)).state == "estimated"


async def test_states_are_noted_in_the_transaction_they_happen_in(db: Database) -> None:
    await told(db, "Charging", START + timedelta(seconds=5))
    row = await begin(db)
    await told(db, "SuspendedEV", START + timedelta(minutes=10))
    async with db.unit_of_work() as session:
        seen = await charging.readings(session, row.transaction_id or 0)
    assert [(each.at, each.status) for each in seen] == [
        (START + timedelta(seconds=5), "Charging"),
        (START + timedelta(minutes=10), "SuspendedEV"),
    ]


async def test_a_cdr_is_settled_once(db: Database) -> None:
    row = await begin(db)
    async with db.unit_of_work() as session:
        await charging.settle_tariff(session, row.transaction_id or 0, "first")
        await charging.settle_tariff(session, row.transaction_id or 0, "second")
        await charging.keep_cdr(session, row.transaction_id or 0, "body", "ready")
        await charging.keep_cdr(session, row.transaction_id or 0, "other", "ready")
    found = await fetch(db, row.transaction_id)
    assert (found.tariff, found.cdr_body, found.cdr_state) == ("first", "body", "ready")
    async with db.unit_of_work() as session:
        await charging.hold_cdr(session, found, "{}", "why")
        await charging.hold_cdr(session, found, "{}", "why")
        assert [(held.reason, held.owner) for held in await charging.held(session)] == [("why", OWNER)]
        assert isinstance((await charging.held(session))[0], HeldCdr)


# Commands and grants


def command(**values: object) -> Json:
    return {
        "station_id": CP,
        "owner": OWNER,
        "sender": "DE*MSA",
        "kind": "STOP_SESSION",
        "action": "RemoteStopTransaction",
        "payload": {"transactionId": 1},
        "response_url": "https://msa.example/r/1",
        "correlation_id": "c1",
        "deadline": datetime.now(UTC) + timedelta(seconds=30),
        **values,
    }


async def test_a_command_is_for_the_newest_socket_and_has_one_result(db: Database) -> None:
    async with db.unit_of_work() as session:
        epoch = await stations.take_over(session, CP, SOON)
        await commands.submit(session, command())
        await commands.submit(session, command(correlation_id="c2"))
        assert await commands.waiting(session) == [CP]
        assert await commands.claim(session, CP, epoch - 1) == []
        first, second = await commands.claim(session, CP, epoch)
        assert (first.correlation_id, second.correlation_id) == ("c1", "c2")
        assert await commands.claim(session, CP, epoch) == []
        assert await commands.answered(session, first.id or 0, {"result": "ACCEPTED"})
        assert not await commands.answered(session, first.id or 0, {"result": "REJECTED"})
        (to_post,) = await commands.claim_answered(session, HOLD)
        assert to_post.result == {"result": "ACCEPTED"}
        assert await commands.claim_answered(session, HOLD) == []
        await commands.posted(session, first.id or 0)


async def test_what_nobody_answered_times_out_once(db: Database) -> None:
    past = datetime.now(UTC) - timedelta(seconds=10)
    async with db.unit_of_work() as session:
        epoch = await stations.take_over(session, CP, SOON)
        await commands.submit(session, command(deadline=past))
        assert await commands.waiting(session) == []
        assert await commands.claim(session, CP, epoch) == []
        await commands.expire(session)
        (late,) = await commands.claim_answered(session, HOLD)
        assert late.result == {"result": "TIMEOUT"}
        assert not await commands.answered(session, late.id or 0, {"result": "ACCEPTED"})


async def test_grants_are_used_once_and_forgotten(db: Database) -> None:
    now = datetime.now(UTC)
    given = {"station_id": CP, "id_tag": "CARD", "token": TOKEN, "auth_method": "COMMAND", "until": now + SOON}
    async with db.unit_of_work() as session:
        await commands.grant(session, given)
        await commands.grant(session, given | {"authorization_reference": "newer", "until": now + HOLD})
        found = await commands.granted(session, CP, "CARD", now)
        assert found is not None
        assert await commands.granted(session, CP, "CARD", now + HOLD) is None
        assert await commands.granted(session, CP, "OTHER", now) is None
        await commands.use_grant(session, CP, "CARD")
        assert await commands.granted(session, CP, "CARD", now) is None
        await commands.grant(session, given | {"until": now - SOON})
        await commands.forget_old_grants(session)
