"""Transactions of chargers in a real database."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

from sqlalchemy import text
from sqlmodel import col, select

from hub.store import charging, stations
from hub.store.chargers import Charging, HeldCdr, Reading
from hub.store.charging import Metered
from hub.store.db import Database

Json = dict[str, Any]
OWNER, CP = "NL*LOC", "Cp-1"
NOW = datetime.now(UTC).replace(microsecond=0)
START = NOW - timedelta(minutes=30)
SOON, HOLD = timedelta(seconds=2), timedelta(hours=1)
TOKEN = {"country_code": "DE", "party_id": "MSA", "uid": "CARD", "type": "RFID", "contract_id": "C1"}


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


async def begin(enrolled: Database, **values: object) -> Charging:
    async with enrolled.session() as session:
        row, new = await charging.begin(session, start(**values), HOLD)
        assert new
    return row


async def fetch(enrolled: Database, transaction_id: int | None) -> Charging:
    async with enrolled.session() as session:
        return (await session.exec(select(Charging).where(Charging.transaction_id == transaction_id))).one()


async def meter(enrolled: Database, named: int | None, register: int | None, at: datetime, connector: int = 1) -> None:
    value = Decimal(register) if register is not None else None
    async with enrolled.session() as session:
        await charging.metered(session, [Metered(CP, connector, named, at, value, "[]")])


async def owners_of_readings(enrolled: Database) -> list[int | None]:
    async with enrolled.session() as session:
        rows = await session.exec(select(Reading).where(col(Reading.status).is_(None)).order_by("id"))
        return [row.transaction_id for row in rows]


async def told(enrolled: Database, status: str, at: datetime, settle: timedelta = SOON) -> bool:
    async with enrolled.session() as session:
        return await stations.connector_status(session, CP, 1, status, "NoError", at, settle)


async def test_the_same_start_again_is_the_same_transaction(enrolled: Database) -> None:
    """F43: the answer was lost."""
    row = await begin(enrolled)
    async with enrolled.session() as session:
        again, new = await charging.begin(session, start(), HOLD)
    assert (again.transaction_id, again.session_id, new) == (row.transaction_id, row.session_id, False)


async def test_ten_at_once_are_one(enrolled: Database) -> None:
    async def one() -> int | None:
        async with enrolled.session() as session:
            row, _ = await charging.begin(session, start(), HOLD)
            return row.transaction_id

    assert len(set(await asyncio.gather(*(one() for _ in range(10))))) == 1


async def test_numbers_are_positive_and_never_given_twice(enrolled: Database) -> None:
    numbers = [(await begin(enrolled, natural_key=str(n))).transaction_id or 0 for n in range(5)]
    assert numbers == sorted(set(numbers))
    assert numbers[0] > 0


async def test_readings_find_their_transaction(enrolled: Database) -> None:
    """F22, F45, F47: by id; by connector when the id means nothing; to none when nothing fits."""
    row = await begin(enrolled)
    late = START + timedelta(minutes=5)
    for named in (row.transaction_id, None, -1, 0, 2**63 - 1):
        await meter(enrolled, named, 1500, late)
    await meter(enrolled, row.transaction_id, 1600, late, connector=0)
    assert set(await owners_of_readings(enrolled)) == {row.transaction_id}
    await meter(enrolled, None, 1500, late, connector=2)
    await meter(enrolled, None, 1500, START - timedelta(hours=1))
    assert (await owners_of_readings(enrolled))[-2:] == [None, None]


async def test_readings_under_an_old_id_belong_to_the_new_transaction(enrolled: Database) -> None:
    """F47, F48: shortly after the stop they are its closing values, later they are not."""
    old = await begin(enrolled)
    stopped = START + timedelta(minutes=10)
    async with enrolled.session() as session:
        assert await charging.end(session, old.transaction_id or 0, {"stopped_at": stopped, "meter_stop": 2000})
    new = await begin(enrolled, natural_key="2", started_at=stopped + timedelta(minutes=2))
    await meter(enrolled, old.transaction_id, 2000, stopped + timedelta(seconds=30))
    await meter(enrolled, old.transaction_id, 2500, stopped + timedelta(minutes=5))
    assert await owners_of_readings(enrolled) == [old.transaction_id, new.transaction_id]
    closed = await fetch(enrolled, old.transaction_id)
    assert (closed.state, closed.register_wh, closed.meter_stop) == ("closed", None, Decimal(2000))


async def test_another_stations_id_is_no_id(enrolled: Database, location: Json) -> None:
    row = await begin(enrolled)
    async with enrolled.session() as session:
        await stations.enrol(session, OWNER, "CP-2", location)
        await charging.metered(session, [Metered("CP-2", 1, row.transaction_id, NOW, Decimal(5), "[]")])
        assert await charging.by_number(session, "CP-2", row.transaction_id) is None
    assert await owners_of_readings(enrolled) == [None]


async def test_the_newest_register_counts(enrolled: Database) -> None:
    row = await begin(enrolled)
    for register, minutes in ((1500, 5), (1800, 8), (1600, 6), (None, 9)):
        await meter(enrolled, row.transaction_id, register, START + timedelta(minutes=minutes))
    found = await fetch(enrolled, row.transaction_id)
    assert (found.register_wh, found.changes) == (Decimal(1800), 3)


async def test_a_session_is_due_at_once_after_a_kilowatt_hour_and_else_when_it_is_quiet(enrolled: Database) -> None:
    row = await begin(enrolled)
    quiet = timedelta(minutes=5)

    async def publish() -> None:
        async with enrolled.session() as session:
            (claimed,) = await charging.claim_due(session, HOLD)
        async with enrolled.session() as session:
            await charging.published(session, claimed, quiet)

    await publish()
    assert (await fetch(enrolled, row.transaction_id)).due_at is None
    await meter(enrolled, row.transaction_id, 1900, START + timedelta(minutes=1))
    later = (await fetch(enrolled, row.transaction_id)).due_at
    assert later is not None
    assert later > datetime.now(UTC) + timedelta(minutes=4)
    await meter(enrolled, row.transaction_id, 2000, START + timedelta(minutes=2))
    await publish()
    found = await fetch(enrolled, row.transaction_id)
    assert (found.due_at, found.published_wh) == (None, Decimal(2000))


async def test_what_comes_while_it_is_published_stays_due(enrolled: Database) -> None:
    row = await begin(enrolled)
    async with enrolled.session() as session:
        (claimed,) = await charging.claim_due(session, HOLD)
        assert await charging.claim_due(session, HOLD) == []
    await meter(enrolled, row.transaction_id, 1100, START + timedelta(minutes=1))
    async with enrolled.session() as session:
        await charging.published(session, claimed, timedelta(0))
    found = await fetch(enrolled, row.transaction_id)
    assert found.due_at is not None
    assert found.published < found.changes


async def test_what_a_crash_left_is_due_again_after_the_lease(enrolled: Database) -> None:
    await begin(enrolled)
    async with enrolled.session() as session:
        assert len(await charging.claim_due(session, timedelta(seconds=-1))) == 1
    async with enrolled.session() as session:
        assert len(await charging.claim_due(session, HOLD)) == 1


async def test_an_end_is_an_end(enrolled: Database) -> None:
    row = await begin(enrolled)
    ended = {"stopped_at": NOW, "meter_stop": Decimal(3000)}
    async with enrolled.session() as session:
        assert await charging.end(session, row.transaction_id or 0, ended)
        assert not await charging.end(session, row.transaction_id or 0, ended | {"meter_stop": Decimal(9000)})
    found = await fetch(enrolled, row.transaction_id)
    assert (found.state, found.meter_stop) == ("closed", Decimal(3000))


async def test_a_start_on_a_busy_connector_ends_what_ran_there_for_the_time_being(enrolled: Database) -> None:
    """F49, F50: the real stop may still come, and readings bring it back."""
    old = await begin(enrolled)
    await meter(enrolled, old.transaction_id, 1700, START + timedelta(minutes=5))
    await begin(enrolled, natural_key="2", started_at=START + timedelta(minutes=20))
    found = await fetch(enrolled, old.transaction_id)
    assert (found.state, found.meter_stop, found.stopped_at) == (
        "estimated",
        Decimal(1700),
        START + timedelta(minutes=5),
    )
    assert found.remark is not None
    await meter(enrolled, old.transaction_id, 1900, START + timedelta(minutes=25))
    revived = await fetch(enrolled, old.transaction_id)
    assert (revived.state, revived.meter_stop, revived.register_wh) == ("open", None, Decimal(1900))


async def test_an_assumed_end_becomes_final_when_nobody_contradicts(enrolled: Database) -> None:
    old = await begin(enrolled)
    async with enrolled.session() as session:
        await charging.begin(session, start(natural_key="2"), timedelta(seconds=-1))
        claimed = {row.transaction_id: row for row in await charging.claim_due(session, HOLD)}
    assert claimed[old.transaction_id].state == "closed"
    assert claimed[old.transaction_id].changes > claimed[old.transaction_id].published


async def test_stops_that_will_not_come(enrolled: Database) -> None:
    row = await begin(enrolled)
    await told(enrolled, "Available", datetime.now(UTC) - timedelta(minutes=9))
    async with enrolled.session() as session:
        await charging.assume_stops(session, HOLD, HOLD)
    assert (await fetch(enrolled, row.transaction_id)).state == "open"
    async with enrolled.session() as session:
        await session.execute(text("UPDATE station_connector SET status_at = now() - interval '11 min'"))
        await charging.assume_stops(session, HOLD, HOLD)
    assert (await fetch(enrolled, row.transaction_id)).state == "estimated"


async def test_a_station_that_is_gone_for_days(enrolled: Database) -> None:
    row = await begin(enrolled)
    async with enrolled.session() as session:
        await session.execute(text("UPDATE station SET away = true, last_seen_at = now() - interval '49 h'"))
        await charging.assume_stops(session, HOLD, HOLD)
    assert (await fetch(enrolled, row.transaction_id)).state == "estimated"


async def test_states_are_noted_in_the_transaction_they_happen_in(enrolled: Database) -> None:
    await told(enrolled, "Charging", START + timedelta(seconds=5))
    row = await begin(enrolled)
    await told(enrolled, "SuspendedEV", START + timedelta(minutes=10))
    async with enrolled.session() as session:
        seen = await charging.readings(session, row.transaction_id or 0)
    assert [(each.at, each.status) for each in seen] == [
        (START + timedelta(seconds=5), "Charging"),
        (START + timedelta(minutes=10), "SuspendedEV"),
    ]


async def test_a_cdr_is_settled_once(enrolled: Database) -> None:
    row = await begin(enrolled)
    async with enrolled.session() as session:
        await charging.settle_tariff(session, row.transaction_id or 0, "first")
        await charging.settle_tariff(session, row.transaction_id or 0, "second")
        await charging.keep_cdr(session, row.transaction_id or 0, "body", "ready")
        await charging.keep_cdr(session, row.transaction_id or 0, "other", "ready")
    found = await fetch(enrolled, row.transaction_id)
    assert (found.tariff, found.cdr_body, found.cdr_state) == ("first", "body", "ready")
    async with enrolled.session() as session:
        await charging.hold_cdr(session, found, "{}", "why")
        await charging.hold_cdr(session, found, "{}", "why")
        assert [(held.reason, held.owner) for held in await charging.held(session)] == [("why", OWNER)]
        assert isinstance((await charging.held(session))[0], HeldCdr)
