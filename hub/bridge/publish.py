"""What goes out: EVSE states to everybody, Sessions and CDRs to the owner of the token, through `exchange.push`.

Nothing is published from a message handler. The store says what is due; this loop claims it for the length of a lease,
publishes what is there *now*, and clears the mark only if nothing newer came meanwhile. A crash anywhere leaves the
mark, so the next look finishes the work: a Session twice is one Session, and a CDR is kept as text before it goes out,
so that it is the same CDR each time.

A CDR that cannot be finished, because no tariff fits or the meter cannot be believed, is held with the reason, for
an operator to see; it is never guessed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import structlog
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.bridge import party, sitting, translate
from hub.bridge.sitting import Bill, Picture
from hub.bridge.timing import Timing
from hub.exchange import cdr as cdrs
from hub.exchange import keep, push
from hub.exchange.context import Hub
from hub.exchange.keep import Change
from hub.ocpi import headers, json
from hub.ocpi.errors import ConnectionProblem, OcpiError, RequestTimeout
from hub.ocpi.module import Ref
from hub.ocpi.types import PartyId, parse_datetime
from hub.store import bookings, charging, objects, stations
from hub.store.chargers import Charging, Station, StationReservation
from hub.store.stations import Claimed

log = structlog.get_logger(__name__)

Json = dict[str, Any]
AT_ONCE = 8
LATER = (ConnectionProblem, RequestTimeout)
"""What may be different in half a minute; other refusals stay."""


@dataclass(frozen=True)
class Place:
    """Where a transaction is: the stored Location and, in it, the EVSE and the Connector."""

    location: Json
    plug: tuple[Json, Json]


class Publisher:
    """The loop of one bridge. Several bridges may run it side by side."""

    def __init__(self, hub: Hub, timing: Timing) -> None:
        self._hub, self._timing = hub, timing
        self._wake = asyncio.Event()

    def nudge(self) -> None:
        """Something may be due: look now."""
        self._wake.set()

    async def run(self) -> None:
        """Publish what is due, for ever."""
        while True:
            self._wake.clear()
            try:
                busy = await self.once()
            except Exception as error:  # the database may be away; what is due stays due
                log.warning("nothing published, will try again", error=repr(error))
                busy = False
            if not busy:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._timing.sweep.total_seconds()):
                        await self._wake.wait()

    async def once(self) -> bool:
        """One look; says whether there was anything to do."""
        async with self._hub.db.session() as session:
            claims = await stations.claim_due(session, self._timing.lease)
            rows = await charging.claim_due(session, self._timing.lease)
            held = await bookings.claim_due(session, self._timing.lease)
        work = [partial(self._evse, claim) for claim in claims] + [partial(self._charging, row) for row in rows]
        await _side_by_side(work + [partial(self._reservation, row) for row in held])
        return bool(claims or rows or held)

    # EVSE states

    async def _evse(self, claim: Claimed) -> None:
        """Compare the stored EVSE with what its station says, and patch it if they differ."""
        now = datetime.now(UTC)
        async with self._hub.db.session() as session:
            station = await session.get_one(Station, claim.station_id)
            plugs = {plug.ocpp_connector_id: plug for plug in await stations.connectors(session, claim.station_id)}
            busy = {row.ocpp_connector_id for row in await charging.running(session, claim.station_id)}
            location = await self._location(session, station.owner, station.location_id)
            key = self._hub.catalog["locations"].key(station.location_id)
            is_public = await objects.is_broadcast(session, station.owner, "locations", key)
        if claim.connector not in plugs:
            return  # taken out of service a moment ago
        evse_uid = plugs[claim.connector].evse_uid
        seen = [
            (plug.evse_uid, translate.Plug(plug.status, plug.status_at, plug.ocpp_connector_id in busy))
            for plug in plugs.values()
        ]
        together = [plug for uid, plug in seen if uid == evse_uid]
        status, next_look = translate.evse_status(station.away, station.status, together, now, self._timing.finishing)
        if station.settings.get("shared"):
            status = translate.beside(status, [plug for uid, plug in seen if uid != evse_uid])
        evse = translate.find_evse(location, evse_uid)
        if location is None or evse is None:
            log.warning("EVSE state not told: the location is not stored, put it", station=claim.station_id)
        elif status is not None and evse["status"] not in {status, *translate.SET_BY_OPERATOR}:
            owner, location_id = PartyId.parse(station.owner), str(location["id"])
            await (self._patch if is_public else self._note)(owner, location_id, evse, status, now)
        async with self._hub.db.session() as session:
            await stations.looked(session, claim, next_look)

    async def _patch(self, owner: PartyId, location_id: str, evse: Json, status: str, now: datetime) -> None:
        at = max(now, parse_datetime(evse["last_updated"]))
        tail = f"/{'/'.join(owner)}/{location_id}/{evse['uid']}"
        body = json.dumps(translate.evse_patch(status, at))
        call = await party.call(
            self._hub, owner, "PATCH", "locations", "RECEIVER", to=self._hub.code, tail=tail, body=body
        )
        module = self._hub.catalog["locations"]
        await push.patch(self._hub, call, module, Ref(owner, location_id, (str(evse["uid"]),)))
        log.info("EVSE state told", evse=evse["uid"], status=status, correlation_id=call.correlation_id)

    async def _note(self, owner: PartyId, location_id: str, evse: Json, status: str, now: datetime) -> None:
        """The same where the Location is private: nobody else hears of it (LOC-006)."""
        ref = Ref(owner, location_id, (str(evse["uid"]),))
        body = translate.evse_patch(status, max(now, parse_datetime(evse["last_updated"])))
        change = Change("PATCH", self._hub.catalog["locations"], ref, body, str(owner), headers.new_id(), False)
        async with self._hub.db.unit_of_work(owner) as session:
            await keep.apply(session, change)

    # Sessions and CDRs

    async def _charging(self, row: Charging) -> None:
        """Tell the token's owner where a transaction stands, and send its CDR when it is over."""
        number = row.transaction_id or 0
        owner, receiver = PartyId.parse(row.owner), _owner_of(row.token or {})
        place, tariff = await self._surroundings(row, owner, receiver)
        if place is None:
            await self._hold(row, sitting.without_plug(row))
            return
        async with self._hub.db.session() as session:
            readings = await charging.readings(session, number)
        seen = sitting.picture(row, readings, place.plug[1], tariff)
        later = row.published < row.changes and not await self._session(owner, receiver, sitting.session(seen))
        if seen.status == "COMPLETED" and row.cdr_state in (None, "ready"):
            later |= not await self._cdr(row, owner, receiver, seen, place)
        async with self._hub.db.session() as session:
            if later:
                await charging.try_again(session, row, self._timing.retry)
            else:
                await charging.published(session, row, self._quiet(place.plug[1]))

    def _quiet(self, connector: Json) -> timedelta:
        return self._timing.quiet_dc if connector.get("power_type") == "DC" else self._timing.quiet_ac

    async def _reservation(self, row: StationReservation) -> None:
        """Tell the token's owner that a connector is kept free for it, or no longer."""
        owner, receiver = PartyId.parse(row.owner), _owner_of(row.token)
        async with self._hub.db.session() as session:
            location = await self._location(session, row.owner, row.location_id)
            plug = translate.find_connector(location, row.evse_uid, row.connector_id)
            tariff = await self._tariff(session, owner, receiver, plug[1], row.began_at) if plug else None
        told = await self._session(owner, receiver, sitting.reserved(row, tariff))
        async with self._hub.db.session() as session:
            if told:
                await bookings.published(session, row)

    async def _session(self, owner: PartyId, receiver: PartyId, body: Json) -> bool:
        """PUT a Session; False when it should be tried again soon."""
        session_id, status = str(body["id"]), str(body["status"])
        tail = f"/{'/'.join(owner)}/{session_id}"
        text = json.dumps(body)
        try:
            call = await party.call(self._hub, owner, "PUT", "sessions", "RECEIVER", to=receiver, tail=tail, body=text)
            await push.put(self._hub, call, self._hub.catalog["sessions"], Ref(owner, session_id))
        except OcpiError as error:
            log.warning("session not told", session=session_id, receiver=str(receiver), reason=str(error))
            return not isinstance(error, LATER)
        log.info("session told", session=session_id, status=status, correlation_id=call.correlation_id)
        return True

    async def _cdr(self, row: Charging, owner: PartyId, receiver: PartyId, seen: Picture, place: Place) -> bool:
        """Send the CDR, or hold it; False when it should be tried again soon."""
        body = row.cdr_body
        if body is None:
            bill = sitting.bill(seen, row.cdr_id or seen.sitting.session_id, place.location, place.plug, row.remark)
            if bill.hold is not None:
                await self._hold(row, bill)
                return True
            body = json.dumps(bill.body).decode()
            async with self._hub.db.session() as session:
                await charging.keep_cdr(session, row.transaction_id or 0, body, "none" if bill.trifle else "ready")
            if bill.trifle:
                return True
        try:
            call = await party.call(self._hub, owner, "POST", "cdrs", "RECEIVER", to=receiver, body=body.encode())
            await cdrs.post(self._hub, call)
        except LATER as error:
            log.warning("CDR not handed over yet", session=row.session_id, receiver=str(receiver), reason=str(error))
            return False
        except OcpiError as error:
            await self._hold(row, Bill(json.loads(body.encode()), hold=f"refused by the hub: {error}"))
            return True
        async with self._hub.db.session() as session:
            await charging.cdr_sent(session, row.transaction_id or 0)
        log.info("CDR handed over", session=row.session_id, receiver=str(receiver), correlation_id=call.correlation_id)
        return True

    async def _hold(self, row: Charging, bill: Bill) -> None:
        """Put the CDR of a transaction that is over where an operator sees it; a running one is looked at later."""
        async with self._hub.db.session() as session:
            if row.state == "closed" and row.id_tag_status == "Accepted":
                log.error("CDR held", session=row.session_id, owner=row.owner, reason=bill.hold)
                await charging.hold_cdr(session, row, json.dumps(bill.body).decode(), bill.hold or "")
            await charging.published(session, row, self._timing.quiet_ac)

    async def _surroundings(self, row: Charging, owner: PartyId, receiver: PartyId) -> tuple[Place | None, Json | None]:
        """The place and the tariff of a transaction; both are settled when they are first found (CDR-027)."""
        number = row.transaction_id or 0
        async with self._hub.db.session() as session:
            if row.place is not None:
                location: Json | None = json.loads(row.place.encode())
            else:
                location = await self._location(session, row.owner, row.location_id)
            plug = translate.find_connector(location, row.evse_uid, row.connector_id)
            if location is None or plug is None:
                return None, None
            if row.place is None:
                await charging.settle_place(session, number, json.dumps(translate.only(location, *plug)).decode())
            if row.tariff is not None:
                return Place(location, plug), json.loads(row.tariff.encode())
            tariff = await self._tariff(session, owner, receiver, plug[1], row.started_at)
            if tariff is not None:
                await charging.settle_tariff(session, number, json.dumps(tariff).decode())
        return Place(location, plug), tariff

    async def _tariff(
        self, session: AsyncSession, owner: PartyId, receiver: PartyId, connector: Json, at: datetime
    ) -> Json | None:
        """The tariff of a Connector for a driver of `receiver`."""
        module = self._hub.catalog["tariffs"]
        names = [str(name) for name in connector.get("tariff_ids") or ()]
        stored = [await keep.visible(session, module, Ref(owner, name), receiver) for name in names]
        return sitting.choose_tariff([each for each in stored if each is not None], at)

    async def _location(self, session: AsyncSession, owner: str, location_id: str) -> Json | None:
        party_id = PartyId.parse(owner)
        return await keep.visible(session, self._hub.catalog["locations"], Ref(party_id, location_id), party_id)


def _owner_of(token: Json) -> PartyId:
    return PartyId.of(str(token["country_code"]), str(token["party_id"]))


async def _side_by_side(work: Iterable[Callable[[], Awaitable[None]]]) -> None:
    """Do everything, a few at a time; what fails stays due and is taken up again when its lease ends."""
    room = asyncio.Semaphore(AT_ONCE)

    async def one(task: Callable[[], Awaitable[None]]) -> None:
        async with room:
            try:
                await task()
            except Exception as error:
                log.error("not published, will try again", error=repr(error), exc_info=True)

    await asyncio.gather(*(one(task) for task in work))
