"""What a message of a station changes in the store, and the answer it gets.

The answer to a transaction message waits for the commit of its row and for nothing else: what OCPI should hear of it
is marked as due in the same commit and goes out afterwards (`hub.bridge.publish`). Messages whose order matters are
handled one after the other per station; an authorisation or a heartbeat overtakes them.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import structlog
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.bridge import v16
from hub.bridge.authorise import UNKNOWN, Authoriser, Verdict
from hub.bridge.intake import Intake
from hub.bridge.rpc import CallError
from hub.bridge.timing import Timing
from hub.bridge.translate import STATUSES
from hub.ocpi.types import PartyId
from hub.store import bookings, charging, commands, stations
from hub.store.chargers import Charging, Grant
from hub.store.charging import Metered
from hub.store.db import Database

log = structlog.get_logger(__name__)

Json = dict[str, Any]
ID_TAG_LENGTH = 20


@dataclass
class Seat:
    """A station with an open socket: who it is, and the lock that keeps its messages in order."""

    station_id: str
    owner: PartyId
    location_id: str
    plugs: dict[int, tuple[str, str]]
    epoch: int = 0
    order: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def evse_uids(self) -> list[str]:
        """Its EVSEs."""
        return list(dict.fromkeys(evse_uid for evse_uid, _ in self.plugs.values()))

    def plug(self, connector: int) -> tuple[str, str] | None:
        """EVSE and Connector behind a connectorId; a station with one plug means that one, whatever it says."""
        return self.plugs.get(connector) or (next(iter(self.plugs.values())) if len(self.plugs) == 1 else None)


class Events:
    """Handles the messages of all stations of a bridge. `nudge` wakes the publisher."""

    def __init__(
        self, db: Database, authoriser: Authoriser, intake: Intake, timing: Timing, nudge: Callable[[], None]
    ) -> None:
        self._db, self._authoriser, self._intake = db, authoriser, intake
        self._timing, self._nudge = timing, nudge
        self._unordered: dict[str, Callable[[Seat, Json], Awaitable[Json]]] = {
            "BootNotification": self._boot,
            "Heartbeat": self._heartbeat,
            "Authorize": self._authorize,
        }
        self._ordered: dict[str, Callable[[Seat, Json], Awaitable[Json]]] = {
            "StatusNotification": self._status,
            "StartTransaction": self._start,
            "MeterValues": self._meter,
            "StopTransaction": self._stop,
        }

    async def handle(self, seat: Seat, action: str, payload: Json) -> Json:
        """The payload of the CALLRESULT; raises CallError for what a station has no business to send."""
        if action in self._ordered:
            async with seat.order:
                return await self._ordered[action](seat, payload)
        if action in self._unordered:
            return await self._unordered[action](seat, payload)
        if action in v16.ANSWERED_ONLY:
            return dict(v16.ANSWERED_ONLY[action])
        raise CallError("NotSupported", "this action is not for a central system")

    async def _boot(self, seat: Seat, payload: Json) -> Json:
        boot = v16.boot(payload)
        facts = {"vendor": boot.vendor, "model": boot.model, "serial": boot.serial, "firmware": boot.firmware}
        async with self._db.session() as session:
            await stations.booted(session, seat.station_id, facts)
        log.info("station booted", station=seat.station_id, vendor=boot.vendor, model=boot.model)
        interval = int(self._timing.heartbeat.total_seconds())
        return {"status": "Accepted", "currentTime": _now_text(), "interval": interval}

    async def _heartbeat(self, seat: Seat, payload: Json) -> Json:
        return {"currentTime": _now_text()}

    async def _authorize(self, seat: Seat, payload: Json) -> Json:
        told = str(payload.get("idTag", ""))
        tag = v16.id_tag(told)
        async with self._db.session() as session:
            known = await self._known(session, seat, tag)
        verdict = known or await self._decide(seat, told, offline=False)
        if known is None and verdict.accepted:
            until = datetime.now(UTC) + self._timing.grant
            async with self._db.session() as session:
                await commands.grant(session, _grant(seat, tag, verdict, until))
        return {"idTagInfo": _id_tag_info(verdict)}

    async def _known(self, session: AsyncSession, seat: Seat, tag: str) -> Verdict | None:
        """A card that needs no question: it charges here already (and wants to stop), or there is a grant."""
        for row in await charging.running(session, seat.station_id):
            if row.id_tag == tag and row.id_tag_status == "Accepted":
                return Verdict("Accepted", row.token)
        grant = await commands.granted(session, seat.station_id, tag, datetime.now(UTC))
        return _verdict(grant) if grant else None

    async def _decide(self, seat: Seat, told: str, offline: bool) -> Verdict:
        uid = v16.bare(told)
        if not uid or len(uid) > ID_TAG_LENGTH:
            return UNKNOWN
        return await self._authoriser.decide(seat.owner, uid, seat.location_id, seat.evse_uids, offline)

    async def _status(self, seat: Seat, payload: Json) -> Json:
        told = v16.status(payload, datetime.now(UTC))
        if told.status not in STATUSES:
            log.warning("unknown connector status passed over", station=seat.station_id, connector=told.connector)
            return {}
        settle = self._timing.preparing if told.status == "Preparing" else self._timing.debounce
        async with self._db.session() as session:
            if told.connector == 0:
                await stations.station_status(session, seat.station_id, told.status, settle)
            elif not await stations.connector_status(
                session, seat.station_id, told.connector, told.status, told.error_code, told.at.at, settle
            ):
                log.info("connector state older than the last, or of no known connector", station=seat.station_id)
        return {}

    async def _start(self, seat: Seat, payload: Json) -> Json:
        received = datetime.now(UTC)
        start = v16.start(payload, received)
        tag, session_id = v16.id_tag(start.id_tag), str(uuid4())
        key = _natural_key(seat, start, tag, session_id)
        async with self._db.session() as session:
            begun = await self._begun(session, seat, start, tag, key)
            grant = await commands.granted(session, seat.station_id, tag, received) if begun is None else None
        if begun is not None:
            return _started(begun)
        verdict = _verdict(grant) if grant else await self._decide(seat, start.id_tag, start.at.queued(received))
        plug = seat.plug(start.connector)
        if verdict.evse_uids and plug and plug[0].upper() not in {uid.upper() for uid in verdict.evse_uids}:
            verdict = Verdict("Invalid", verdict.token)
        row = _row(seat, start, tag, session_id, key, verdict, received)
        async with self._db.session() as session:
            if verdict.accepted:
                row |= await _taken_over(session, seat, start, tag, verdict)
            begun, _ = await charging.begin(session, row, self._timing.hold)
            if grant is not None:
                await commands.use_grant(session, seat.station_id, tag)
        log.info(
            "transaction began", station=seat.station_id, transaction=begun.transaction_id, session=begun.session_id,
            status=begun.id_tag_status,
        )  # fmt: skip
        self._nudge()
        return _started(begun)

    async def _begun(self, session: AsyncSession, seat: Seat, start: v16.Start, tag: str, key: str) -> Charging | None:
        """The transaction that this very message began before, if its answer was lost (F43)."""
        if start.at.told:
            return await charging.by_natural_key(session, key)
        for row in await charging.running(session, seat.station_id):
            if (row.ocpp_connector_id, row.id_tag, row.meter_start) == (start.connector, tag, start.meter_start):
                return row
        return None

    async def _meter(self, seat: Seat, payload: Json) -> Json:
        told = v16.meter_values(payload, datetime.now(UTC))
        if told.samples:
            await self._intake.add(_metered(seat, told.connector, told.transaction, told.samples))
        return {}

    async def _stop(self, seat: Seat, payload: Json) -> Json:
        received = datetime.now(UTC)
        stop = v16.stop(payload, received)
        tag = v16.id_tag(stop.id_tag) if stop.id_tag else None
        async with self._db.session() as session:
            row = await charging.by_number(session, seat.station_id, stop.transaction)
            if row is None:
                row = match_stop(stop, tag, await charging.running(session, seat.station_id))
            if row is None:
                parked = _parked(seat, stop, tag, received)
                row, _ = await charging.begin(session, parked, self._timing.hold)
            if stop.samples:
                number = row.transaction_id
                await charging.metered(session, _metered(seat, row.ocpp_connector_id, number, stop.samples))
            ended = await charging.end(session, row.transaction_id or 0, _end(row, stop, received))
        log.info("transaction ended", station=seat.station_id, transaction=row.transaction_id, new=ended)
        self._nudge()
        return {"idTagInfo": {"status": "Accepted"}} if tag is not None and tag == row.id_tag else {}


def match_stop(stop: v16.Stop, tag: str | None, running: list[Charging]) -> Charging | None:
    """The one running transaction that a stop without a valid transactionId can mean (F44, F45): same card, not begun
    later, meter not above. None when there is none or a choice."""
    possible = [
        row
        for row in running
        if (tag is None or row.id_tag == tag)
        and row.started_at <= stop.at.at
        and (row.meter_start is None or stop.meter_stop is None or row.meter_start <= stop.meter_stop)
    ]
    return possible[0] if len(possible) == 1 else None


def _natural_key(seat: Seat, start: v16.Start, tag: str, session_id: str) -> str:
    """What makes a resent StartTransaction the same. A clock that says nothing distinguishes nothing."""
    told_at = start.told_at if start.at.told else session_id
    return f"{seat.station_id}/{start.connector}/{tag}/{told_at}/{start.meter_start}"


def _row(
    seat: Seat, start: v16.Start, tag: str, session_id: str, key: str, verdict: Verdict, received: datetime
) -> Json:
    plug = seat.plug(start.connector)
    return {
        "session_id": session_id,
        "natural_key": key,
        "owner": str(seat.owner),
        "station_id": seat.station_id,
        "location_id": seat.location_id,
        "ocpp_connector_id": start.connector,
        "evse_uid": plug[0] if plug else None,
        "connector_id": plug[1] if plug else None,
        "id_tag": tag,
        "id_tag_status": verdict.status,
        "token": verdict.token,
        "auth_method": verdict.auth_method,
        "authorization_reference": verdict.authorization_reference,
        "started_at": start.at.at,
        "meter_start": start.meter_start,
        "state": "open",
        "remark": None if start.at.told else "the start is when the message came: the station's clock was wrong",
        "updated_at": received,
        "due_at": received if verdict.token else None,
    }


async def _taken_over(session: AsyncSession, seat: Seat, start: v16.Start, tag: str, verdict: Verdict) -> Json:
    """The Session of a reservation that turns into charging, and the reference given with it if none came later."""
    held = await bookings.use(session, seat.station_id, start.connector, start.reservation, tag)
    if held is None:
        return {}
    reference = verdict.authorization_reference or held.authorization_reference
    return {"session_id": held.session_id, "authorization_reference": reference}


def _end(row: Charging, stop: v16.Stop, received: datetime) -> Json:
    return {
        "stopped_at": max(stop.at.at, row.started_at),
        "meter_stop": stop.meter_stop,
        "stop_reason": stop.reason,
        "cdr_id": str(uuid4()),
        "due_at": received if row.token else None,
    }


def _parked(seat: Seat, stop: v16.Stop, tag: str | None, received: datetime) -> Json:
    """A stop that belongs to nothing: kept, so that it can be answered and found, and never published (F44, F45)."""
    return {
        "session_id": str(uuid4()),
        "natural_key": f"{seat.station_id}/stop/{stop.transaction}/{stop.told_at}/{stop.meter_stop}",
        "owner": str(seat.owner),
        "station_id": seat.station_id,
        "location_id": seat.location_id,
        "ocpp_connector_id": 0,
        "id_tag": tag or "",
        "id_tag_status": "Invalid",
        "started_at": stop.at.at,
        "stopped_at": stop.at.at,
        "meter_stop": stop.meter_stop,
        "stop_reason": stop.reason,
        "state": "parked",
        "remark": f"a stop for transaction {stop.transaction}, which is not known here",
        "updated_at": received,
    }


def _metered(seat: Seat, connector: int, named: int | None, samples: tuple[v16.Sample, ...]) -> list[Metered]:
    station_id = seat.station_id
    return [Metered(station_id, connector, named, each.at, each.register_wh, each.raw) for each in samples]


def _grant(seat: Seat, tag: str, verdict: Verdict, until: datetime) -> Json:
    return {
        "station_id": seat.station_id,
        "id_tag": tag,
        "token": verdict.token,
        "auth_method": verdict.auth_method,
        "authorization_reference": verdict.authorization_reference,
        "evse_uids": list(verdict.evse_uids),
        "until": until,
    }


def _verdict(grant: Grant) -> Verdict:
    reference = grant.authorization_reference
    return Verdict("Accepted", grant.token, grant.auth_method, reference, tuple(grant.evse_uids))


def _started(row: Charging) -> Json:
    info = _id_tag_info(Verdict(row.id_tag_status, row.token))
    return {"transactionId": row.transaction_id, "idTagInfo": info}


def _id_tag_info(verdict: Verdict) -> Json:
    group = (verdict.token or {}).get("group_id")
    info = {"status": verdict.status}
    if isinstance(group, str) and len(group) <= ID_TAG_LENGTH:
        info["parentIdTag"] = group
    if verdict.accepted and not verdict.cacheable:
        info["expiryDate"] = _now_text()
    return info


def _now_text() -> str:
    """The time as chargers read it best: UTC with Z and three digits of milliseconds (F64)."""
    return datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
