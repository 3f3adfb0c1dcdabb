"""A car at an EVSE of the simulated CPO: the Session from its first push to its CDR.

Source: mod_sessions.asciidoc > Flow; mod_cdrs.asciidoc > Flow and Lifecycle.
"""

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING

from hub.ocpi.types import PartyId
from hub.sandbox import samples
from hub.sandbox.wire import Answer, Json

if TYPE_CHECKING:
    from hub.sandbox.cpo import CpoBackend


class Charging:
    """One Session: it goes to the eMSP of its driver, the state of the EVSE to everybody."""

    def __init__(self, cpo: "CpoBackend", session: Json) -> None:
        self.session = session
        self.cdr: Json | None = None
        self.answers: list[Answer] = []
        """What came back for each push, in order; the last one is that of the CDR."""
        self._cpo = cpo
        self._stopped = asyncio.Event()

    @property
    def owner(self) -> PartyId:
        """The CPO party."""
        return PartyId.of(self.session["country_code"], self.session["party_id"])

    @property
    def driver(self) -> PartyId:
        """The eMSP whose token it is."""
        token = self.session["cdr_token"]
        return PartyId.of(token["country_code"], token["party_id"])

    def stop(self) -> None:
        """End it at the next tick."""
        self._stopped.set()

    async def begin(self) -> None:
        """The first push, and the EVSE is CHARGING."""
        await self._push(status="ACTIVE")
        await self._occupy("CHARGING")

    async def run(self, step: Decimal, full: Decimal, tick: float) -> None:
        """Grow to the end, then send the CDR."""
        while not self._stopped.is_set() and self.session["kwh"] < full:
            try:
                async with asyncio.timeout(tick):
                    await self._stopped.wait()
            except TimeoutError:
                await self._push(kwh=min(self.session["kwh"] + step, full))
        await self.finish()

    async def finish(self) -> None:
        """The final state, the CDR, and the EVSE is free again."""
        at = samples.now()
        await self._push(status="COMPLETED", end_date_time=at)
        place = self._cpo.locations.get(*self.owner, self.session["location_id"]) or {}
        tariff = self._cpo.tariffs.get(*self.owner, self._tariff_id(place)) or {}
        self.cdr = samples.cdr(self.session, place, tariff, id=self.session["id"])
        self.answers.append(await self._cpo.post_cdr(self.cdr, to=self.driver))
        await self._occupy("AVAILABLE")

    async def _push(self, **changes: object) -> None:
        self.session = {**self.session, **changes, "last_updated": samples.now()}
        kwh, start = self.session["kwh"], self.session["start_date_time"]
        if kwh:
            dimensions = [{"type": "ENERGY", "volume": kwh}]
            self.session["charging_periods"] = [{"start_date_time": start, "dimensions": dimensions}]
        self.answers.append(await self._cpo.put_session(self.session, to=self.driver))

    async def _occupy(self, status: str) -> None:
        location_id, evse_uid = self.session["location_id"], self.session["evse_uid"]
        changes = {"status": status}
        await self._cpo.patch_evse(location_id, evse_uid, changes, to=self._cpo.hub, sender=self.owner)

    def _tariff_id(self, place: Json) -> str:
        evse = next(e for e in place["evses"] if e["uid"] == self.session["evse_uid"])
        connector = next(c for c in evse["connectors"] if c["id"] == self.session["connector_id"])
        return str(connector["tariff_ids"][0])
