"""The bridge process: WebSockets of chargers at ws://HOST:PORT/ocpp/{station_id}, and the loops behind them.

A charger that reconnects before we noticed that its old socket is dead must get in, so the newest authenticated
socket is the station's; its epoch comes from the database, and what an older one does when it finally closes
changes nothing (F1, F2). Pings tell us that a station is there; a station that does not answer them is left alone (F3).
"""

import asyncio
import contextlib
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus

import structlog
from websockets.asyncio.server import Server, ServerConnection
from websockets.asyncio.server import serve as listen_on
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from hub import metrics, tracing
from hub.bridge.authorise import Authoriser
from hub.bridge.door import NO_ENTRY, Door, Turned
from hub.bridge.events import Events, Seat
from hub.bridge.intake import Intake
from hub.bridge.listen import listen
from hub.bridge.outbox import Line, Outbox
from hub.bridge.publish import Publisher
from hub.bridge.rpc import MAX_FRAME, Connection
from hub.bridge.timing import Timing
from hub.exchange.context import Hub
from hub.ocpi.proxies import client_address
from hub.ocpi.types import PartyId
from hub.settings import Settings
from hub.store import bookings, charging, commands, stations
from hub.store.chargers import Station
from hub.store.heartbeats import Pulse
from modules.catalog import CATALOG

log = structlog.get_logger(__name__)

OCPP16 = Subprotocol("ocpp1.6")
REPLACED, GOING_AWAY, NO_PROTOCOL = 1000, 1001, 1002
PINGS_IGNORED = 3
"""A station that has not answered so many pings gets no more; its frames will do."""

_KEEPALIVE = {
    "TCP_KEEPIDLE": 60,
    "TCP_KEEPINTVL": 30,
    "TCP_KEEPCNT": 4,
    "TCP_USER_TIMEOUT": 180_000,
}
"""A dead line is noticed by TCP in about three minutes, where the system has these options."""


class StationSocket(ServerConnection):
    """A WebSocket that knows which station showed the password in its handshake."""

    station: Station | None = None


@dataclass
class Open:
    """An open socket of this bridge: the newest of its station as far as we know."""

    seat: Seat
    socket: StationSocket
    line: Connection
    frames: int = 0
    alive: float = 0.0
    pinged: float = 0.0
    unanswered: int = 0


class Bridge:
    """One bridge: `async with Bridge.running(hub, host, port) as bridge`."""

    def __init__(self, hub: Hub, timing: Timing) -> None:
        self._hub, self._timing = hub, timing
        self._door = Door(hub.db)
        self._open: dict[str, Open] = {}
        self._intake = Intake(hub.db)
        self.publisher = Publisher(hub, timing)
        self.outbox = Outbox(hub, timing, self._lines)
        self._events = Events(hub.db, Authoriser(hub), self._intake, timing, self.publisher.nudge)
        self._server: Server | None = None
        metrics.OCPP_SOCKETS.set_function(lambda: len(self._open))

    @classmethod
    @asynccontextmanager
    async def running(cls, hub: Hub, host: str, port: int, timing: Timing | None = None) -> AsyncIterator["Bridge"]:
        """Serve until the block ends; then close every socket with 1001 and finish what was begun."""
        bridge = cls(hub, timing or Timing())
        loops = [
            asyncio.create_task(work, name=name)
            for name, work in (
                ("intake", bridge._intake.run()),
                ("publisher", bridge.publisher.run()),
                ("outbox", bridge.outbox.run()),
                ("watch", bridge._watch()),
                ("listen", listen(hub.db.url, bridge._channels())),
            )
        ]
        try:
            async with listen_on(
                bridge._serve_socket,
                host,
                port,
                create_connection=StationSocket,
                process_request=bridge._handshake,
                select_subprotocol=_select,
                compression=None,
                ping_interval=None,
                max_size=MAX_FRAME,
                server_header=None,
                open_timeout=10,
                close_timeout=5,
            ) as server:
                bridge._server = server
                yield bridge
                server.close(code=GOING_AWAY, reason="the bridge is going down")
                await server.wait_closed()
        finally:
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert self._server is not None
        return int(next(iter(self._server.sockets)).getsockname()[1])

    # Handshake

    async def _handshake(self, connection: ServerConnection, request: Request) -> Response | None:
        if request.path == "/livez":
            return connection.respond(HTTPStatus.OK, "ok\n")
        peer = str(connection.remote_address[0]) if connection.remote_address else ""
        forwarded = request.headers.get_all("X-Forwarded-For")
        address = client_address(peer, forwarded, self._hub.settings.trusted_proxies)
        try:
            found = await self._door.admit(request.path, request.headers.get("Authorization"), address)
        except Exception as error:  # the database may be away: the station will come again
            log.error("handshake not decided", error=repr(error))
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "try again later\n")
        if isinstance(found, Turned):
            log.warning("charger turned away", path=request.path, address=address, status=found.status.value)
            response = connection.respond(found.status, f"{found.text}\n")
            if found is NO_ENTRY:
                response.headers["WWW-Authenticate"] = 'Basic realm="ocpp"'
            return response
        assert isinstance(connection, StationSocket)
        connection.station = found
        return None

    # A socket's life

    async def _serve_socket(self, connection: ServerConnection) -> None:
        assert isinstance(connection, StationSocket)
        assert connection.station is not None
        station = connection.station
        if connection.subprotocol is None and station.settings.get("assume_protocol") != OCPP16:
            log.warning("charger offers no protocol we speak", station=station.station_id)
            await connection.close(NO_PROTOCOL, "offer the subprotocol ocpp1.6")
            return
        _keep_alive(connection)
        seat = await self._sit_down(station)
        line = Connection(
            connection, lambda action, payload: self._events.handle(seat, action, payload), seat.station_id
        )
        mine = Open(seat, connection, line, alive=time.monotonic(), pinged=time.monotonic())
        if not self._register(mine):
            await connection.close(REPLACED, "a newer connection took over")
            return
        log.info("charger connected", station=seat.station_id, epoch=seat.epoch)
        self.outbox.nudge()
        try:
            await line.run()
        finally:
            await self._stand_up(mine)

    async def _sit_down(self, station: Station) -> Seat:
        async with self._hub.db.session() as session:
            rows = await stations.connectors(session, station.station_id)
            epoch = await stations.take_over(session, station.station_id, self._timing.settle)
        plugs = {row.ocpp_connector_id: (row.evse_uid, row.connector_id) for row in rows}
        return Seat(station.station_id, PartyId.parse(station.owner), station.location_id, plugs, epoch)

    def _register(self, mine: Open) -> bool:
        """Make this the station's socket here; False when a newer one has been faster."""
        held = self._open.get(mine.seat.station_id)
        if held is not None and held.seat.epoch > mine.seat.epoch:
            return False
        self._open[mine.seat.station_id] = mine
        if held is not None:
            _close_soon(held, "a newer connection took over")
        return True

    async def _stand_up(self, mine: Open) -> None:
        if self._open.get(mine.seat.station_id) is mine:
            del self._open[mine.seat.station_id]
        log.info("charger disconnected", station=mine.seat.station_id, epoch=mine.seat.epoch)
        try:
            async with self._hub.db.session() as session:
                await stations.release(session, mine.seat.station_id, mine.seat.epoch)
        except Exception as error:  # then it is away after the grace time, as after a crash
            log.error("disconnection not noted", station=mine.seat.station_id, error=repr(error))

    def _lines(self) -> Mapping[str, tuple[int, Line]]:
        return {name: (held.seat.epoch, held.line) for name, held in self._open.items()}

    def _channels(self) -> dict[str, Callable[[str], None]]:
        return {stations.ARRIVED: self._arrived, commands.WAITING: lambda _: self.outbox.nudge()}

    def _arrived(self, message: str) -> None:
        """A station connected, perhaps to another bridge: let go of an older socket."""
        epoch, _, station_id = message.partition(" ")
        held = self._open.get(station_id)
        if held is not None and held.seat.epoch < int(epoch):
            _close_soon(held, "a newer connection took over")

    # Who is there

    async def _watch(self) -> None:
        """Tell the database who is alive, find those who are not, and end transactions whose stop will not come."""
        while True:
            await asyncio.sleep(self._timing.seen.total_seconds())
            try:
                async with self._hub.db.session() as session:
                    await stations.seen(session, self._alive())
                    gone = await stations.mark_away(session, self._timing.grace)
                    await charging.assume_stops(session, self._timing.hold, self._timing.hold_away)
                    await commands.forget_old_grants(session)
                    await bookings.expire(session)
            except Exception as error:  # the database may be away; nothing is concluded from that
                log.warning("nobody looked after, will try again", error=repr(error))
                continue
            for station_id in gone:
                log.warning("charger is away, its EVSEs become UNKNOWN", station=station_id)
            if gone:
                self.publisher.nudge()
            await self._ping_all()

    def _alive(self) -> list[str]:
        """The stations that sent a frame or a pong not too long ago."""
        now = time.monotonic()
        for held in self._open.values():
            if held.line.received != held.frames:
                held.frames, held.alive = held.line.received, now
        silence = self._timing.silence.total_seconds()
        return [name for name, held in self._open.items() if now - held.alive < silence]

    async def _ping_all(self) -> None:
        now = time.monotonic()
        for held in list(self._open.values()):
            if now - held.pinged >= self._timing.ping.total_seconds() and held.unanswered < PINGS_IGNORED:
                held.pinged = now
                held.unanswered += 1
                with contextlib.suppress(ConnectionClosed):
                    pong = asyncio.ensure_future(await held.socket.ping())
                    pong.add_done_callback(partial(_ponged, held))


async def serve(settings: Settings) -> None:
    """The bridge as a process, until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with (
        tracing.running(settings.otlp_url, "bridge"),
        Hub.open(settings, CATALOG) as hub,
        Bridge.running(hub, settings.bridge_host, settings.bridge_port) as bridge,
        Pulse.beating(hub.db, "bridge", partial(metrics.figures, metrics.BRIDGE)),
    ):
        log.info("bridge listening", host=settings.bridge_host, port=bridge.port)
        await stop.wait()
        log.info("bridge going down")


def _select(connection: ServerConnection, offered: object) -> Subprotocol | None:
    """OCPP 1.6 if the station offers it; without a common protocol the handshake ends well and the socket closes."""
    return OCPP16 if isinstance(offered, list | tuple) and OCPP16 in offered else None


def _ponged(held: Open, done: "asyncio.Future[float]") -> None:
    if not done.cancelled() and done.exception() is None:
        held.alive, held.unanswered = time.monotonic(), 0


_closing: set[asyncio.Task[None]] = set()


def _close_soon(held: Open, why: str) -> None:
    """Close a socket beside the work at hand; its side may be dead and take its time."""
    task = asyncio.create_task(held.socket.close(REPLACED, why))
    _closing.add(task)
    task.add_done_callback(_closing.discard)


def _keep_alive(connection: ServerConnection) -> None:
    tcp = connection.transport.get_extra_info("socket")
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        if hasattr(socket, name):
            tcp.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
