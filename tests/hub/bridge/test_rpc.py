"""OCPP-J on a raw socket: what is said word by word."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve

from hub.bridge.rpc import CallError, Connection, Gone

Json = dict[str, Any]


class Station:
    """The station's end of a socket whose other end is a Connection."""

    def __init__(self, socket: ClientConnection, connection: Connection, handled: list[tuple[str, Json]]) -> None:
        self.socket, self.connection, self.handled = socket, connection, handled

    async def send(self, frame: object) -> None:
        await self.socket.send(frame if isinstance(frame, str | bytes) else json.dumps(frame))

    async def hear(self) -> list[Any]:
        async with asyncio.timeout(10):
            frame = await self.socket.recv()
        assert isinstance(frame, str), "OCPP-J frames are text"
        heard: list[Any] = json.loads(frame)
        return heard

    async def ask(self, frame: object) -> list[Any]:
        await self.send(frame)
        return await self.hear()


@asynccontextmanager
async def talking(
    answer: Callable[[str, Json], Any] = lambda action, payload: {},
) -> AsyncIterator[Station]:
    """A station connected to a Connection that answers with what `answer` returns, awaits or raises."""
    handled: list[tuple[str, Json]] = []
    connections: asyncio.Queue[Connection] = asyncio.Queue()

    async def handle(action: str, payload: Json) -> Json:
        handled.append((action, payload))
        found = answer(action, payload)
        result: Json = await found if asyncio.iscoroutine(found) else found
        return result

    async def run(socket: ServerConnection) -> None:
        connection = Connection(socket, handle, "CP1")
        connections.put_nowait(connection)
        await connection.run()

    async with serve(run, "127.0.0.1", 0, compression=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with connect(f"ws://127.0.0.1:{port}", compression=None, proxy=None) as socket:
            yield Station(socket, await connections.get(), handled)


async def test_a_call_is_answered() -> None:
    async with talking(lambda action, payload: {"currentTime": "now"}) as station:
        assert await station.ask([2, "1", "Heartbeat", {}]) == [3, "1", {"currentTime": "now"}]


@pytest.mark.parametrize(
    ("frame", "message_id"),
    [
        ("{not json", "-1"),
        ('[2,"a7","Heartbeat",{', "a7"),
        ("[]", "-1"),
        ("42", "-1"),
        ('"text"', "-1"),
        ('[2,["x"],"Heartbeat",{}]', "-1"),
        ('[2,"b1",["Heartbeat"],{}]', "b1"),
        ('["2","b2","Heartbeat",{}]', "-1"),
        (b"\xff\xfe", "-1"),
        ("[" * 5000, "-1"),
    ],
)
async def test_a_broken_frame_gets_an_error_and_the_socket_lives_on(frame: str | bytes, message_id: str) -> None:
    async with talking() as station:
        kind, answered, code, *_ = await station.ask(frame)
        assert (kind, answered, code) == (4, message_id, "FormationViolation")
        assert await station.ask([2, "1", "Heartbeat", {}]) == [3, "1", {}]


async def test_empty_and_foreign_frames_are_passed_over() -> None:
    """F9: an empty frame as a sign of life; types of later versions; answers to nothing."""
    async with talking() as station:
        for frame in ("", "  \n", [6, "1", "NotifyPeriodicEventStream", {}], [3, "x", {}], [4, "x", "GenericError"]):
            await station.send(frame)
        assert await station.ask([2, "1", "Heartbeat", {}]) == [3, "1", {}]
        assert station.connection.received == 6


async def test_an_action_nobody_knows() -> None:
    async with talking() as station:
        kind, message_id, code, text, details = await station.ask([2, "1", "OpenTheDoor", {}])
        assert (kind, message_id, code, details) == (4, "1", "NotImplemented", {})
        assert "OpenTheDoor" not in text
        assert station.handled == []


async def test_a_schema_violation_names_the_field_and_echoes_nothing() -> None:
    async with talking() as station:
        answer = await station.ask([2, "1", "Authorize", {"idTag": {"secret": 1}}])
        assert answer == [4, "1", "TypeConstraintViolation", "idTag", {}]


async def test_nul_padded_text_is_read() -> None:
    async with talking() as station:
        assert await station.ask('[2,"1","Authorize",{"idTag":"AB\\u0000\\u0000"}]') == [3, "1", {}]
        assert station.handled == [("Authorize", {"idTag": "AB"})]


async def test_a_message_id_may_be_a_number() -> None:
    async with talking() as station:
        assert await station.ask([2, 17, "Heartbeat", {}]) == [3, 17, {}]


async def test_the_same_frame_again_gets_the_stored_answer() -> None:
    """F13."""
    numbers = iter(range(10))
    async with talking(lambda action, payload: {"n": next(numbers)}) as station:
        frame = [2, "1", "Heartbeat", {}]
        assert await station.ask(frame) == await station.ask(frame) == [3, "1", {"n": 0}]
        assert len(station.handled) == 1


async def test_the_same_id_around_something_else_is_a_new_message() -> None:
    """F13: stations that count from one again must not lose a message."""
    async with talking(lambda action, payload: {"tag": payload["idTag"]}) as station:
        assert await station.ask([2, "1", "Authorize", {"idTag": "A"}]) == [3, "1", {"tag": "A"}]
        assert await station.ask([2, "1", "Authorize", {"idTag": "B"}]) == [3, "1", {"tag": "B"}]


async def test_only_the_last_answers_are_kept() -> None:
    async with talking() as station:
        for number in range(201):
            await station.ask([2, str(number), "Heartbeat", {}])
        await station.ask([2, "0", "Heartbeat", {}])
        assert len(station.handled) == 202


@pytest.mark.parametrize("action", ["StartTransaction", "MeterValues", "StopTransaction"])
@pytest.mark.parametrize("payload", [{}, [], None, {"meterValue": 3, "transactionId": "x"}])
async def test_a_transaction_message_is_never_answered_with_an_error(action: str, payload: object) -> None:
    """F26: the station would send it for ever."""
    async with talking() as station:
        assert await station.ask([2, "1", action, payload]) == [3, "1", {}]
        assert await station.ask([2, "2", action]) == [3, "2", {}]


async def test_a_transaction_message_that_fails_is_not_answered_and_may_come_again() -> None:
    failures = iter([True, False])

    def answer(action: str, payload: Json) -> Json:
        if action == "StopTransaction" and next(failures):
            raise RuntimeError("the database is away")
        return {"done": True}

    async with talking(answer) as station:
        await station.send([2, "1", "StopTransaction", {}])
        assert await station.ask([2, "2", "Heartbeat", {}]) == [3, "2", {"done": True}]
        assert await station.ask([2, "1", "StopTransaction", {}]) == [3, "1", {"done": True}]


async def test_any_other_message_that_fails_gets_an_error() -> None:
    def answer(action: str, payload: Json) -> Json:
        raise RuntimeError("secret")

    async with talking(answer) as station:
        assert await station.ask([2, "1", "Heartbeat", {}]) == [4, "1", "InternalError", "", {}]


async def test_a_refusal_of_the_handler() -> None:
    def answer(action: str, payload: Json) -> Json:
        raise CallError("NotSupported", "no")

    async with talking(answer) as station:
        assert await station.ask([2, "1", "Reset", {"type": "Hard"}]) == [4, "1", "NotSupported", "no", {}]


async def test_a_slow_message_holds_up_nobody() -> None:
    """An authorisation may take seconds; heartbeats, and answers to our calls, go on (F40)."""
    release = asyncio.Event()

    async def answer(action: str, payload: Json) -> Json:
        if action == "Authorize":
            await release.wait()
        return {"action": action}

    async with talking(answer) as station:
        await station.send([2, "1", "Authorize", {"idTag": "A"}])
        assert await station.ask([2, "2", "Heartbeat", {}]) == [3, "2", {"action": "Heartbeat"}]
        ours = asyncio.create_task(station.connection.call("RemoteStopTransaction", {"transactionId": 7}))
        kind, message_id, action, payload = await station.hear()
        assert (kind, action, payload) == (2, "RemoteStopTransaction", {"transactionId": 7})
        await station.send([3, message_id, {"status": "Accepted"}])
        assert await ours == {"status": "Accepted"}
        release.set()
        assert await station.hear() == [3, "1", {"action": "Authorize"}]


async def test_one_call_at_a_time() -> None:
    async with talking() as station:
        calls = [station.connection.call("RemoteStopTransaction", {"transactionId": n}) for n in (1, 2)]
        tasks = [asyncio.create_task(call) for call in calls]
        _, first, _, payload = await station.hear()
        assert payload == {"transactionId": 1}
        assert await station.ask([2, "1", "Heartbeat", {}]) == [3, "1", {}]
        await station.send([3, first, {"status": "Accepted"}])
        _, second, _, payload = await station.hear()
        assert payload == {"transactionId": 2}
        await station.send([4, second, "InternalError", "no", {}])
        assert await tasks[0] == {"status": "Accepted"}
        with pytest.raises(CallError) as error:
            await tasks[1]
        assert error.value.code == "InternalError"


async def test_a_call_that_is_not_answered() -> None:
    async with talking() as station:
        with pytest.raises(TimeoutError):
            await station.connection.call("RemoteStopTransaction", {"transactionId": 1}, timeout=0.05)
        _, message_id, *_ = await station.hear()
        await station.send([3, message_id, {"status": "Accepted"}])  # too late
        assert await station.ask([2, "1", "Heartbeat", {}]) == [3, "1", {}]


async def test_a_call_on_a_socket_that_closes() -> None:
    async with talking() as station:
        ours = asyncio.create_task(station.connection.call("RemoteStopTransaction", {"transactionId": 1}))
        await station.hear()
        await station.socket.close()
        with pytest.raises(Gone):
            await ours
        with pytest.raises(Gone):
            await station.connection.call("RemoteStopTransaction", {"transactionId": 1})


async def test_what_does_not_fit_the_schema_is_not_sent() -> None:
    async with talking() as station:
        with pytest.raises(ValueError, match="RemoteStartTransaction"):
            await station.connection.call("RemoteStartTransaction", {"idTag": "x" * 21})


async def test_what_has_begun_is_finished_when_the_socket_closes() -> None:
    finished: list[str] = []

    async def answer(action: str, payload: Json) -> Json:
        await asyncio.sleep(0.05)
        finished.append(action)
        return {}

    async with talking(answer) as station:
        await station.send([2, "1", "StopTransaction", {}])
        assert await station.ask([2, "2", "Heartbeat", {}])
        await station.send([2, "3", "MeterValues", {}])
        await station.socket.close()
    assert sorted(finished) == ["Heartbeat", "MeterValues", "StopTransaction"]
