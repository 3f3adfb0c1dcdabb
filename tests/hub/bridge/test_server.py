"""The handshake, and the end of the process."""

import asyncio
import base64
import json
import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from ipaddress import ip_network
from typing import Any
from urllib.request import urlopen

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from hub import metrics
from hub.bridge import door
from hub.bridge.server import Bridge
from hub.bridge.timing import Timing
from hub.exchange.context import Hub
from tests.hub.bridge.conftest import TIMING

OCPP = [Subprotocol("ocpp1.6")]


async def status(
    stage: Any, path: str = "/ocpp/Cp-1", user: str = "Cp-1", password: str = "", forwarded: str = ""
) -> int:
    """The HTTP status of a handshake."""
    url = f"ws://127.0.0.1:{stage.port}{path}"
    shown = {"Authorization": door_key(user, password)} if password else {}
    shown |= {"X-Forwarded-For": forwarded} if forwarded else {}
    try:
        async with connect(url, additional_headers=shown, subprotocols=OCPP, proxy=None):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


def door_key(user: str, password: str) -> str:
    """HTTP Basic."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


async def test_who_gets_in(stage: Any) -> None:
    assert await status(stage, password=stage.password) == 101
    assert await status(stage, "/ocpp/CP%2D1", "cp-1", stage.password) == 101
    assert await status(stage) == 401
    assert await status(stage, password="wrong") == 401
    assert await status(stage, user="Other", password=stage.password) == 401
    assert await status(stage, "/ocpp/Nobody", "Nobody", stage.password) == 404
    assert await status(stage, "/ocpp/", "Cp-1", stage.password) == 404
    assert await status(stage, "/elsewhere", "Cp-1", stage.password) == 404


async def test_guessing_is_slowed_down(stage: Any) -> None:
    for _ in range(door.FAILURES):
        assert await status(stage, password="wrong") == 401
    assert await status(stage, password=stage.password) == 429
    assert await status(stage, "/ocpp/Nobody", "Nobody", "x") == 404


async def test_behind_a_proxy_each_client_has_its_own_tries(stage: Any, hub: Hub) -> None:
    hub.settings = hub.settings.model_copy(update={"trusted_proxies": (ip_network("127.0.0.0/8"),)})
    for invented in range(door.FAILURES):
        assert await status(stage, password="wrong", forwarded=f"198.51.100.{invented}, 192.0.2.1") == 401
    assert await status(stage, password=stage.password, forwarded="192.0.2.1") == 429
    assert await status(stage, password=stage.password, forwarded="192.0.2.2") == 101


async def test_without_a_trusted_proxy_nobody_can_pretend_to_be_many(stage: Any) -> None:
    for invented in range(door.FAILURES):
        assert await status(stage, password="wrong", forwarded=f"192.0.2.{invented}") == 401
    assert await status(stage, password=stage.password, forwarded="192.0.2.99") == 429


async def test_a_good_login_forgets_the_bad_ones(stage: Any) -> None:
    for _ in range(3):
        for _ in range(door.FAILURES - 1):
            assert await status(stage, password="wrong") == 401
        assert await status(stage, password=stage.password) == 101


async def test_livez(stage: Any) -> None:
    def get() -> int:
        with urlopen(f"http://127.0.0.1:{stage.port}/livez") as response:
            return int(response.status)

    assert await asyncio.to_thread(get) == 200


async def test_a_charger_without_our_protocol(stage: Any) -> None:
    for offered in ([Subprotocol("ocpp2.0.1")], None):
        shown = {"Authorization": door_key("Cp-1", stage.password)}
        async with connect(stage.url, additional_headers=shown, subprotocols=offered, proxy=None) as socket:
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1002


async def test_a_frame_that_is_too_long(stage: Any) -> None:
    raw = await stage.raw()
    await raw.send("x" * (64 * 1024 + 1))
    with pytest.raises(ConnectionClosed) as closed:
        await raw.hear()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


async def test_the_end_of_the_bridge(stage: Any) -> None:
    """Sockets close with 1001, and the stations are free for the next bridge."""
    raw = await stage.raw()
    async with Bridge.running(stage.hub, "127.0.0.1", 0) as other:
        shown = {"Authorization": door_key("Cp-1", stage.password)}
        url = f"ws://127.0.0.1:{other.port}/ocpp/Cp-1"
        moved = await connect(url, additional_headers=shown, subprotocols=OCPP, proxy=None)
        with pytest.raises(ConnectionClosed) as closed:  # the first bridge hears that the station is elsewhere
            await raw.hear()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1000
    with pytest.raises(ConnectionClosed) as closed:
        await moved.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1001


async def test_pings_that_are_not_answered_close_nothing(stage: Any) -> None:
    """F3: a station without pongs, spoken to in bare bytes, is served long after the last ping it got."""
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.port)
    key = base64.b64encode(secrets.token_bytes(16)).decode()
    lines = [
        "GET /ocpp/Cp-1 HTTP/1.1",
        "Host: bridge",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Protocol: ocpp1.6",
        f"Authorization: {door_key('Cp-1', stage.password)}",
    ]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    ping = bytes([0x89, 4])
    for _ in range(3):
        assert (await reader.readexactly(6)).startswith(ping)
    frame = json.dumps([2, "1", "Heartbeat", {}]).encode()
    writer.write(bytes([0x81, 0x80 | len(frame), 0, 0, 0, 0]) + frame)  # a mask of zeros changes nothing
    assert b'[3,"1",' in await reader.readuntil(b"}]")
    writer.close()
    await writer.wait_closed()


async def test_a_station_that_is_silent_is_away_until_it_speaks(stage: Any) -> None:
    """The socket stays open all the while."""
    short = timedelta(milliseconds=50)
    timing = Timing(debounce=short, seen=short, sweep=short, silence=timedelta(seconds=1), grace=timedelta(seconds=1))
    async with Bridge.running(stage.hub, "127.0.0.1", 0, replace(timing, ping=timedelta(hours=1))) as bridge:
        stage.port = bridge.port
        raw = await stage.raw()
        told = {"connectorId": 1, "errorCode": "NoError", "status": "Charging"}
        await raw.ask("StatusNotification", told)
        await stage.until(stage.evse_status, lambda status: status == "CHARGING")
        await stage.until(stage.evse_status, lambda status: status == "UNKNOWN")
        await raw.ask("Heartbeat", {})
        await stage.until(stage.evse_status, lambda status: status == "CHARGING")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/ocpp/CP1", "CP1"),
        ("/ocpp/CP1?x=1", "CP1"),
        ("/ocpp/AA%3ABB", "AA:BB"),
        ("/ocpp/a%2Fb", None),
        ("/ocpp/a/b", None),
        ("/ocpp/", None),
        ("/", None),
        ("/ocpp/%00", None),
        ("/ocpp/" + "x" * 256, None),
    ],
)
def test_ids_in_paths(path: str, expected: str | None) -> None:
    """F14."""
    assert door.station_id(path) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, ("", b"")),
        ("Bearer x", ("", b"")),
        ("Basic !!!", ("", b"")),
        ("basic Q1A6cDpx", ("CP", b"p:q")),
        ("Basic Q1A=", ("CP", b"")),
    ],
)
def test_http_basic(header: str | None, expected: tuple[str, bytes]) -> None:
    assert door.credentials(header) == expected


async def test_what_a_bridge_tells_of_itself(stage: Any) -> None:
    def told(name: str, **labels: str) -> float:
        samples = metrics.figures(metrics.BRIDGE)[name]
        return sum(value for _, found, value in samples if found == labels)

    before = told("knutpunkt_ocpp_messages", action="Heartbeat"), told("knutpunkt_ocpp_messages", action="other")
    shown = {"Authorization": door_key("Cp-1", stage.password)}
    url = f"ws://127.0.0.1:{stage.port}/ocpp/Cp-1"
    async with connect(url, additional_headers=shown, subprotocols=OCPP, proxy=None) as socket:
        for message_id, action in (("1", "Heartbeat"), ("2", "MadeUp")):
            await socket.send(json.dumps([2, message_id, action, {}]))
            await socket.recv()
        assert told("knutpunkt_ocpp_sockets") == 1
    assert told("knutpunkt_ocpp_messages", action="Heartbeat") == before[0] + 1
    assert told("knutpunkt_ocpp_messages", action="other") == before[1] + 1


@pytest.mark.catalogue("SES-034")
async def test_a_growing_session_is_told_now_and_then(backdrop: Any, hub: Hub) -> None:
    """Not at every reading, unless it grew by a kWh."""
    assert timedelta(minutes=1) < Timing().quiet_ac
    assert Timing().quiet_dc < timedelta(minutes=30)
    rarely = replace(TIMING, quiet_ac=timedelta(hours=1))
    async with Bridge.running(hub, "127.0.0.1", 0, rarely) as bridge:
        backdrop.port = bridge.port
        async with backdrop.charger(step=timedelta(minutes=2)) as charger:
            await charger.authorize("CARD1")
            await charger.start(1, "CARD1", 1000)
            await backdrop.until(backdrop.sessions, lambda found: found)
            await charger.meter(1100)
            (row,) = await backdrop.until(backdrop.transactions, lambda rows: rows[0].due_at is not None)
            assert row.due_at > datetime.now(UTC) + timedelta(minutes=50)
            assert [session["kwh"] for session in await backdrop.sessions()] == [0]
            await charger.meter(2100)
            await backdrop.until(backdrop.sessions, lambda found: found[0]["kwh"] == Decimal("1.100"))
