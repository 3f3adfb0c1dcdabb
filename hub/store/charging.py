"""Transactions of chargers: begun, metered, ended, published (tables: `chargers`).

Every function is part of the transaction whose commit the station's answer waits for, or of the publisher's work
after it. Nothing here overwrites a reading or gives a transactionId twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import text, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.store.chargers import Charging, HeldCdr, Reading
from hub.store.db import Statements

LATE = timedelta(seconds=60)
"""A reading this long after the stop, or before the start, still belongs to the transaction (F48)."""

# Meter readings of any number of stations in one statement. A reading belongs to the transaction it names, unless that
# ended before it was taken; else to the one that is open on its connector (F22, F45, F47); else to none, and is kept.
_METERED = text(
    "WITH told AS (SELECT * FROM unnest(CAST(:stations AS text[]), CAST(:connectors AS int[]),"
    "   CAST(:transactions AS bigint[]), CAST(:times AS timestamptz[]), CAST(:registers AS numeric[]),"
    "   CAST(:raws AS text[])) AS t(station_id, ocpp_connector_id, named, at, register_wh, raw)),"
    " placed AS (SELECT told.*, c.transaction_id, c.state FROM told LEFT JOIN LATERAL ("
    "   SELECT transaction_id, state, 0 AS rank FROM charging WHERE transaction_id = told.named"
    "    AND station_id = told.station_id"
    "    AND (state <> 'closed' OR told.at <= stopped_at + CAST(:late AS interval))"
    "   UNION ALL SELECT transaction_id, state, 1 FROM charging WHERE station_id = told.station_id"
    "    AND ocpp_connector_id = told.ocpp_connector_id AND state = 'open'"
    "    AND told.at >= started_at - CAST(:late AS interval)"
    "   ORDER BY rank, transaction_id DESC LIMIT 1) c ON true),"
    " kept AS (INSERT INTO reading (station_id, ocpp_connector_id, transaction_id, at, register_wh, raw)"
    "  SELECT station_id, ocpp_connector_id, transaction_id, at, register_wh, raw FROM placed)"
    " UPDATE charging c SET state = 'open', stopped_at = NULL, meter_stop = NULL, stop_reason = NULL,"
    "  changes = changes + 1, updated_at = clock_timestamp(), register_wh = n.register_wh, register_at = n.at,"
    "  due_at = CASE WHEN c.token IS NOT NULL THEN LEAST(c.due_at, CASE"
    "   WHEN n.register_wh - COALESCE(c.published_wh, c.meter_start) >= 1000 THEN now()"
    "   ELSE GREATEST(c.quiet_until, now()) END) END"
    " FROM (SELECT DISTINCT ON (transaction_id) transaction_id, at, register_wh FROM placed"
    "  WHERE state IN ('open', 'estimated') AND register_wh IS NOT NULL ORDER BY transaction_id, at DESC) n"
    " WHERE c.transaction_id = n.transaction_id AND c.state IN ('open', 'estimated')"
    " AND (c.register_at IS NULL OR c.register_at <= n.at)"
)
_STATUS_AT_START = text(
    "INSERT INTO reading (station_id, ocpp_connector_id, transaction_id, at, status)"
    " SELECT station_id, ocpp_connector_id, :transaction_id, GREATEST(status_at, :started_at), status"
    " FROM station_connector WHERE station_id = :station_id AND ocpp_connector_id = :connector AND status IS NOT NULL"
)
# A transaction whose stop will not come: another began on its connector, or the connector has been free for a while
# without energy, or the station has been away for days. The last register counts, and the stop may still come.
_ASSUME_STOP = (
    "UPDATE charging c SET state = 'estimated', stopped_at = COALESCE(register_at, started_at),"
    " meter_stop = COALESCE(register_wh, meter_start), stop_reason = 'Other',"
    " remark = concat_ws('; ', remark, 'the end is estimated: ' || CAST(:why AS text)),"
    " changes = changes + 1, updated_at = clock_timestamp(),"
    " due_at = CASE WHEN token IS NOT NULL THEN now() + CAST(:hold AS interval) END"
    " WHERE c.state = 'open' AND "
)
_SUPERSEDED = text(
    _ASSUME_STOP
    + "c.station_id = :station_id AND c.ocpp_connector_id = :connector AND c.transaction_id <> :transaction_id"
)
_FREE = text(
    _ASSUME_STOP + "EXISTS (SELECT FROM station_connector k WHERE k.station_id = c.station_id"
    " AND k.ocpp_connector_id = c.ocpp_connector_id AND k.status = 'Available'"
    " AND k.status_at > COALESCE(c.register_at, c.started_at) AND k.status_at < now() - interval '10 min')"
)
_LOST = text(
    _ASSUME_STOP + "EXISTS (SELECT FROM station s WHERE s.station_id = c.station_id"
    " AND s.away AND s.last_seen_at < now() - interval '48 h')"
)
_CLAIM_DUE = text(
    "UPDATE charging SET due_at = now() + CAST(:lease AS interval),"
    " state = CASE WHEN state = 'estimated' THEN 'closed' ELSE state END"
    " WHERE transaction_id IN (SELECT transaction_id FROM charging"
    "  WHERE due_at <= now() ORDER BY due_at LIMIT :most FOR UPDATE SKIP LOCKED) RETURNING transaction_id"
)
_PUBLISHED = text(
    "UPDATE charging SET published = :changes, published_wh = :register_wh,"
    " quiet_until = now() + CAST(:quiet AS interval), due_at = CASE WHEN due_at IS DISTINCT FROM :claimed THEN due_at"
    "  WHEN changes > :changes THEN now() + CAST(:quiet AS interval) END"
    " WHERE transaction_id = :transaction_id"
)
_TRY_AGAIN = text(
    "UPDATE charging SET due_at = now() + CAST(:after AS interval)"
    " WHERE transaction_id = :transaction_id AND due_at = :claimed"
)


@dataclass(frozen=True)
class Metered:
    """One meter reading on its way to the database; `named` is the transactionId the station gave."""

    station_id: str
    connector: int
    named: int | None
    at: datetime
    register_wh: Decimal | None
    raw: str


async def metered(session: Statements, readings: Sequence[Metered]) -> None:
    """Keep meter readings, and what they mean for the transactions they belong to."""
    columns = {
        "stations": [reading.station_id for reading in readings],
        "connectors": [reading.connector for reading in readings],
        "transactions": [reading.named for reading in readings],
        "times": [reading.at for reading in readings],
        "registers": [reading.register_wh for reading in readings],
        "raws": [reading.raw for reading in readings],
        "late": LATE,
    }
    await session.execute(_METERED, columns)


async def begin(session: AsyncSession, values: Mapping[str, Any], hold: timedelta) -> tuple[Charging, bool]:
    """Begin a transaction, or find the one that the same message began before; says whether it is new (F43)."""
    fresh = insert(Charging).values(**values).on_conflict_do_nothing(index_elements=["natural_key"])
    row = (await session.execute(fresh.returning(Charging))).scalar_one_or_none()
    if row is None:
        query = select(Charging).where(Charging.natural_key == values["natural_key"])
        return (await session.exec(query)).one(), False
    names = {"station_id": row.station_id, "connector": row.ocpp_connector_id, "transaction_id": row.transaction_id}
    await session.execute(_STATUS_AT_START, {**names, "started_at": row.started_at})
    await session.execute(_SUPERSEDED, {**names, "why": "another transaction began", "hold": hold})
    return row, True


async def by_natural_key(session: AsyncSession, key: str) -> Charging | None:
    """The transaction that a StartTransaction with this content began."""
    return (await session.exec(select(Charging).where(Charging.natural_key == key))).one_or_none()


async def by_number(session: AsyncSession, station_id: str, transaction_id: int | None) -> Charging | None:
    """The transaction of a station with this transactionId."""
    if transaction_id is None or not 0 < transaction_id < 2**31:
        return None
    query = select(Charging).where(Charging.transaction_id == transaction_id, Charging.station_id == station_id)
    return (await session.exec(query)).one_or_none()


async def of_session(session: AsyncSession, owner: str, session_id: str) -> Charging | None:
    """The transaction behind an OCPI Session."""
    query = select(Charging).where(Charging.owner == owner, Charging.session_id == session_id.lower())
    return (await session.exec(query)).one_or_none()


async def running(session: AsyncSession, station_id: str) -> list[Charging]:
    """What a station has not stopped yet, newest first."""
    query = select(Charging).where(Charging.station_id == station_id, col(Charging.state).in_(("open", "estimated")))
    return list(await session.exec(query.order_by(col(Charging.transaction_id).desc())))


async def end(session: AsyncSession, transaction_id: int, values: Mapping[str, Any]) -> bool:
    """Close a transaction; False if it is closed already. A real stop takes the place of an assumed one."""
    statement = (
        update(Charging)
        .where(col(Charging.transaction_id) == transaction_id, col(Charging.state).in_(("open", "estimated")))
        .values(state="closed", changes=Charging.changes + 1, updated_at=func.clock_timestamp(), **values)
        .returning(col(Charging.transaction_id))
    )
    return (await session.execute(statement)).scalar_one_or_none() is not None


async def assume_stops(session: AsyncSession, hold: timedelta, hold_away: timedelta) -> None:
    """Close, provisionally, the transactions whose stop will not come (mapping 5.6; F49)."""
    await session.execute(_FREE, {"why": "the connector became free", "hold": hold})
    await session.execute(_LOST, {"why": "the station is gone", "hold": hold_away})


async def claim_due(session: AsyncSession, lease: timedelta, most: int = 100) -> list[Charging]:
    """Transactions of which something has to go out now. Nobody else gets them during the lease."""
    claimed = list((await session.execute(_CLAIM_DUE, {"lease": lease, "most": most})).scalars())
    query = select(Charging).where(col(Charging.transaction_id).in_(claimed)).order_by(col(Charging.transaction_id))
    return list(await session.exec(query)) if claimed else []


async def readings(session: AsyncSession, transaction_id: int) -> list[Reading]:
    """Everything seen of a transaction, in the order of time."""
    query = select(Reading).where(Reading.transaction_id == transaction_id)
    return list(await session.exec(query.order_by(col(Reading.at), col(Reading.id))))


async def published(session: AsyncSession, claimed: Charging, quiet: timedelta) -> None:
    """The token's owner has been told what `claimed` shows; what happened meanwhile stays due."""
    names = {"transaction_id": claimed.transaction_id, "changes": claimed.changes, "claimed": claimed.due_at}
    await session.execute(_PUBLISHED, {**names, "register_wh": claimed.register_wh, "quiet": quiet})


async def try_again(session: AsyncSession, claimed: Charging, after: timedelta) -> None:
    """It could not be published now; what happened meanwhile stays due as it is."""
    names = {"transaction_id": claimed.transaction_id, "claimed": claimed.due_at, "after": after}
    await session.execute(_TRY_AGAIN, names)


async def settle_tariff(session: AsyncSession, transaction_id: int, tariff: str) -> None:
    """This tariff was in force when the session was first told; later changes of it do not matter."""
    statement = update(Charging).where(col(Charging.transaction_id) == transaction_id, col(Charging.tariff).is_(None))
    await session.execute(statement.values(tariff=tariff))


async def settle_place(session: AsyncSession, transaction_id: int, place: str) -> None:
    """The Location as it was when the session was first told; later changes of it do not matter (CDR-027)."""
    statement = update(Charging).where(col(Charging.transaction_id) == transaction_id, col(Charging.place).is_(None))
    await session.execute(statement.values(place=place))


async def keep_cdr(session: AsyncSession, transaction_id: int, body: str, state: str) -> None:
    """The CDR is final: whatever happens from here, this text goes out (`state` ready) or is not needed (none)."""
    statement = update(Charging).where(
        col(Charging.transaction_id) == transaction_id, col(Charging.cdr_state).is_(None)
    )
    await session.execute(statement.values(cdr_body=body, cdr_state=state))


async def cdr_sent(session: AsyncSession, transaction_id: int) -> None:
    """The CDR is in the ledger."""
    await session.execute(
        update(Charging).where(col(Charging.transaction_id) == transaction_id).values(cdr_state="sent")
    )


async def hold_cdr(session: AsyncSession, charging: Charging, body: str, reason: str) -> None:
    """The CDR cannot go out: keep it where an operator sees it."""
    held = insert(HeldCdr).values(
        session_id=charging.session_id,
        owner=charging.owner,
        transaction_id=charging.transaction_id,
        reason=reason,
        body=body,
    )
    await session.execute(held.on_conflict_do_nothing(index_elements=["session_id"]))
    statement = update(Charging).where(col(Charging.transaction_id) == charging.transaction_id)
    await session.execute(statement.values(cdr_state="held"))


async def held(session: AsyncSession) -> list[HeldCdr]:
    """The CDRs that wait for an operator, oldest first."""
    return list(await session.exec(select(HeldCdr).order_by(col(HeldCdr.held_at))))
