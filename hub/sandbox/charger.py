"""A simulated charger that speaks OCPP 1.6 with the `ocpp` package, so that nothing of the bridge checks the bridge.

It does what it is told, one message at a time, and takes remote starts and stops, reservations and unlocking. Its
clock runs behind ours by `behind` and moves on by `step` with each meter reading: a session of half an hour is told in
a second, and nothing it says lies in the future. A wall clock is `step=timedelta(0), behind=timedelta(0)`.
"""

import asyncio
import base64
import contextlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from ocpp.v16 import ChargePoint, call, call_result
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

ANSWER_TIMEOUT = 15.0


@dataclass
class Transaction:
    """A transaction as the charger knows it."""

    number: int
    connector: int
    id_tag: str
    id_tag_status: str


@dataclass
class Charger:
    """`async with Charger(url, station_id, password) as charger`: connected, not yet booted."""

    url: str
    station_id: str
    password: str
    behind: timedelta = timedelta(minutes=45)
    step: timedelta = timedelta(minutes=4)
    transaction: Transaction | None = None
    accept_remote: str = "Accepted"
    """What a remote start or stop is answered with."""
    accept_reserve: str = "Accepted"
    """What ReserveNow and CancelReservation are answered with."""
    unlocks: str = "Unlocked"
    """What UnlockConnector is answered with."""

    _remote: "asyncio.Queue[tuple[str, dict[str, Any]]]" = field(default_factory=asyncio.Queue, repr=False)
    _socket: ClientConnection | None = field(default=None, repr=False)
    _point: Any = field(default=None, repr=False)
    _reader: "asyncio.Task[None] | None" = field(default=None, repr=False)

    async def __aenter__(self) -> Self:
        shown = base64.b64encode(f"{self.station_id}:{self.password}".encode()).decode()
        self._socket = await connect(
            self.url,
            subprotocols=[Subprotocol("ocpp1.6")],
            additional_headers={"Authorization": f"Basic {shown}"},
            compression=None,
            proxy=None,
        )
        self._point = ChargePoint(self.station_id, self._socket, response_timeout=ANSWER_TIMEOUT)
        self._point.route_map = {
            "RemoteStartTransaction": {"_on_action": self._on_remote_start},
            "RemoteStopTransaction": {"_on_action": self._on_remote_stop},
            "ReserveNow": {"_on_action": self._on_reserve},
            "CancelReservation": {"_on_action": self._on_cancel},
            "UnlockConnector": {"_on_action": self._on_unlock},
        }
        self._reader = asyncio.create_task(self._read(), name=f"charger {self.station_id}")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._socket is not None:
            await self._socket.close()
        if self._reader is not None:
            await self._reader

    @property
    def now(self) -> datetime:
        """The time on its clock."""
        return datetime.now(UTC) - max(self.behind, timedelta(0))

    # What it tells

    async def boot(self) -> str:
        """BootNotification; the RegistrationStatus."""
        request = call.BootNotification(charge_point_vendor="Knutpunkt", charge_point_model="Sandbox")
        return str((await self._ask(request)).status)

    async def heartbeat(self) -> str:
        """Heartbeat; the time the bridge tells."""
        return str((await self._ask(call.Heartbeat())).current_time)

    async def status(self, connector: int, status: str, error_code: str = "NoError") -> None:
        """StatusNotification."""
        await self._ask(
            call.StatusNotification(
                connector_id=connector, error_code=error_code, status=status, timestamp=self._timestamp()
            )
        )

    async def authorize(self, id_tag: str) -> str:
        """Authorize: a card is held to it; the AuthorizationStatus."""
        return str((await self._ask(call.Authorize(id_tag=id_tag))).id_tag_info["status"])

    async def start(self, connector: int, id_tag: str, meter: int, reservation: int | None = None) -> Transaction:
        """StartTransaction, with the meter in Wh; `reservation` is the id of the one that it uses."""
        answer = await self._ask(
            call.StartTransaction(
                connector_id=connector,
                id_tag=id_tag,
                meter_start=meter,
                timestamp=self._timestamp(),
                reservation_id=reservation,
            )
        )
        status = str(answer.id_tag_info["status"])
        self.transaction = Transaction(int(answer.transaction_id), connector, id_tag, status)
        return self.transaction

    async def meter(self, register: int) -> None:
        """MeterValues: time moves on, and the meter shows `register` Wh."""
        running = self._running
        self.behind -= self.step
        sample = {"value": str(register), "unit": "Wh", "measurand": "Energy.Active.Import.Register"}
        await self._ask(
            call.MeterValues(
                connector_id=running.connector,
                transaction_id=running.number,
                meter_value=[{"timestamp": self._timestamp(), "sampled_value": [sample]}],
            )
        )

    async def stop(self, register: int, reason: str = "Local") -> None:
        """StopTransaction: time moves on, and the meter shows `register` Wh."""
        running = self._running
        self.behind -= self.step
        await self._ask(
            call.StopTransaction(
                transaction_id=running.number,
                meter_stop=register,
                timestamp=self._timestamp(),
                reason=reason,
                id_tag=running.id_tag,
            )
        )
        self.transaction = None

    # What it is told

    async def started_remotely(self) -> tuple[str, int | None]:
        """Wait for a RemoteStartTransaction: its idTag and connectorId."""
        payload = await self._told("RemoteStartTransaction")
        return str(payload["id_tag"]), payload.get("connector_id")

    async def stopped_remotely(self) -> int:
        """Wait for a RemoteStopTransaction: its transactionId."""
        return int((await self._told("RemoteStopTransaction"))["transaction_id"])

    async def reserved(self) -> dict[str, Any]:
        """Wait for a ReserveNow: connector_id, expiry_date, id_tag, reservation_id."""
        return await self._told("ReserveNow")

    async def reservation_cancelled(self) -> int:
        """Wait for a CancelReservation: its reservationId."""
        return int((await self._told("CancelReservation"))["reservation_id"])

    async def unlocked(self) -> int:
        """Wait for an UnlockConnector: its connectorId."""
        return int((await self._told("UnlockConnector"))["connector_id"])

    async def _told(self, action: str) -> dict[str, Any]:
        async with asyncio.timeout(ANSWER_TIMEOUT):
            while True:
                told, payload = await self._remote.get()
                if told == action:
                    return payload

    def _on_remote_start(self, **payload: Any) -> Any:
        self._remote.put_nowait(("RemoteStartTransaction", payload))
        return call_result.RemoteStartTransaction(status=self.accept_remote)

    def _on_remote_stop(self, **payload: Any) -> Any:
        self._remote.put_nowait(("RemoteStopTransaction", payload))
        return call_result.RemoteStopTransaction(status=self.accept_remote)

    def _on_reserve(self, **payload: Any) -> Any:
        self._remote.put_nowait(("ReserveNow", payload))
        return call_result.ReserveNow(status=self.accept_reserve)

    def _on_cancel(self, **payload: Any) -> Any:
        self._remote.put_nowait(("CancelReservation", payload))
        return call_result.CancelReservation(status=self.accept_reserve)

    def _on_unlock(self, **payload: Any) -> Any:
        self._remote.put_nowait(("UnlockConnector", payload))
        return call_result.UnlockConnector(status=self.unlocks)

    @property
    def _running(self) -> Transaction:
        if self.transaction is None:
            raise RuntimeError(f"{self.station_id} has no transaction: call start() first")
        return self.transaction

    def _timestamp(self) -> str:
        return self.now.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"

    async def _ask(self, request: Any) -> Any:
        return await self._point.call(request, suppress=False)

    async def _read(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            await self._point.start()
