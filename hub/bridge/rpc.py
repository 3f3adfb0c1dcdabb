"""OCPP-J 1.6 on one socket: calls in, calls out, answers matched to questions.

Every incoming CALL is handled in a task of its own, so a slow authorisation never holds up a heartbeat or the answer
to a call of ours (F40). The other way there is one open CALL per station, as OCPP-J wants it. A frame that cannot
be read gets a CALLERROR and the socket lives on. The same frame once more gets the stored answer (F13); the same
message id around other content is a new message, because some stations count from one after each hiccup.

A handler that fails leaves a transaction message unanswered: the station then sends it again, while an
error would make it repeat for ever or drop it (F26). Error texts name a field and never repeat what was sent.
"""

import asyncio
import re
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from enum import IntEnum
from typing import Any, Protocol
from uuid import uuid4

import structlog
from websockets.exceptions import ConnectionClosed

from hub import metrics
from hub.bridge import schemas
from hub.bridge.v16 import TRANSACTION_ACTIONS
from hub.ocpi import json
from hub.ocpi.errors import InvalidJson

log = structlog.get_logger(__name__)

MAX_FRAME = 64 * 1024
REMEMBERED = 200
CONCURRENCY = 16
CALL_TIMEOUT = 30.0
UNREADABLE = "-1"

_MESSAGE_ID = re.compile(r'\s*\[\s*2\s*,\s*"([^"\\]{1,255})"')
_ACTION = re.compile(r'\s*\[\s*2\s*,\s*"[^"\\]*"\s*,\s*"([A-Za-z]{1,50})"')

Handler = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]


class Kind(IntEnum):
    """The message types of OCPP-J."""

    CALL = 2
    CALLRESULT = 3
    CALLERROR = 4


class CallError(Exception):
    """A CALLERROR: what we answer with, or what a station answered with."""

    def __init__(self, code: str, description: str = "") -> None:
        self.code = code
        self.description = description
        super().__init__(f"{code}: {description}" if description else code)


class Gone(Exception):
    """The socket closed before the answer came."""


class Socket(Protocol):
    """What is needed of a `websockets` connection."""

    def __aiter__(self) -> AsyncIterator[str | bytes]: ...

    async def send(self, message: bytes, *, text: bool | None = None) -> None: ...


class Connection:
    """The conversation on one socket. `handle(action, payload)` answers incoming calls."""

    def __init__(self, socket: Socket, handle: Handler, name: str) -> None:
        self._socket, self._handle, self.name = socket, handle, name
        self._answers: OrderedDict[int, bytes | None] = OrderedDict()
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._one_call = asyncio.Lock()
        self._room = asyncio.Semaphore(CONCURRENCY)
        self._tasks: set[asyncio.Task[None]] = set()
        self._complained: set[str] = set()
        self._ended = False
        self.received = 0

    async def run(self) -> None:
        """Read until the socket closes; what has begun by then is finished."""
        try:
            async for frame in self._socket:
                self.received += 1
                await self._take(frame if isinstance(frame, bytes) else frame.encode())
        except ConnectionClosed:
            pass
        finally:
            self._ended = True
            for waiter in self._waiting.values():
                if not waiter.done():
                    waiter.set_exception(Gone())
            if self._tasks:
                await asyncio.gather(*self._tasks)

    async def call(self, action: str, payload: dict[str, Any], timeout: float = CALL_TIMEOUT) -> dict[str, Any]:
        """Send a CALL and wait for its result. Raises CallError, TimeoutError, Gone, ValueError (not sendable)."""
        schemas.require(action, payload)
        metrics.ocpp_calls(action).inc()
        async with asyncio.timeout(timeout), self._one_call:
            message_id = uuid4().hex
            waiter = asyncio.get_running_loop().create_future()
            self._waiting[message_id] = waiter
            try:
                if self._ended:
                    raise Gone
                await self._socket.send(json.dumps([Kind.CALL, message_id, action, payload]), text=True)
                result: dict[str, Any] = await waiter
                return result
            except ConnectionClosed:
                raise Gone from None
            finally:
                del self._waiting[message_id]

    async def _take(self, frame: bytes) -> None:
        if not frame.strip():
            return  # some stations send empty frames to stay alive (F9)
        match _read(frame):
            case [Kind.CALL, str() | int() as message_id, str(action), *rest]:
                await self._incoming(frame, message_id, action, rest[0] if rest else {})
            case [Kind.CALLRESULT, message_id, *rest]:
                self._answered(message_id, rest[0] if rest and isinstance(rest[0], dict) else {})
            case [Kind.CALLERROR, message_id, code, *rest]:
                description = rest[0] if rest and isinstance(rest[0], str) else ""
                self._answered(message_id, CallError(str(code), description))
            case [int() as kind, *_] if kind not in tuple(Kind):
                log.info("frame of an unknown message type passed over", station=self.name)
            case _:
                await self._refuse_frame(frame)

    async def _incoming(self, frame: bytes, message_id: str | int, action: str, payload: object) -> None:
        key = hash(frame)
        if key in self._answers:
            answer = self._answers[key]
            if answer is not None:  # else it is being worked on, and that answer serves both
                await self._send_bytes(answer)
            return
        self._answers[key] = None
        if len(self._answers) > REMEMBERED:
            self._answers.popitem(last=False)
        await self._room.acquire()
        task = asyncio.create_task(self._work(key, message_id, action, payload))
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._room.release()

    async def _work(self, key: int, message_id: str | int, action: str, payload: object) -> None:
        answer = await self._answer(message_id, action, payload)
        if answer is None:
            self._answers.pop(key, None)
            return
        if key in self._answers:
            self._answers[key] = answer
        await self._send_bytes(answer)

    async def _answer(self, message_id: str | int, action: str, payload: object) -> bytes | None:
        try:
            return json.dumps([Kind.CALLRESULT, message_id, await self._handled(action, payload)])
        except CallError as error:
            return json.dumps([Kind.CALLERROR, message_id, error.code, error.description, {}])
        except Exception as error:
            log.error("message not handled", station=self.name, action=action, error=repr(error), exc_info=True)
            if action in TRANSACTION_ACTIONS:
                return None
            return json.dumps([Kind.CALLERROR, message_id, "InternalError", "", {}])

    async def _handled(self, action: str, payload: object) -> dict[str, Any]:
        if not schemas.known(action):
            metrics.ocpp_messages(metrics.OTHER).inc()
            raise CallError("NotImplemented", "this action is not part of OCPP 1.6")
        metrics.ocpp_messages(action).inc()
        repaired, violation = schemas.read(action, payload)
        if violation is not None:
            self._complain(action, violation.path)
            if action not in TRANSACTION_ACTIONS:
                raise CallError(violation.code, violation.path)
        return await self._handle(action, repaired)

    def _complain(self, action: str, path: str) -> None:
        """Once per action and socket: a station that gets it wrong gets it wrong each time."""
        if action not in self._complained:
            self._complained.add(action)
            log.warning("message breaks its schema", station=self.name, action=action, field=path)

    def _answered(self, message_id: object, answer: dict[str, Any] | CallError) -> None:
        waiter = self._waiting.get(message_id) if isinstance(message_id, str) else None
        if waiter is None or waiter.done():
            log.info("answer to a call that is no longer open", station=self.name)
        elif isinstance(answer, CallError):
            waiter.set_exception(answer)
        else:
            waiter.set_result(answer)

    async def _refuse_frame(self, frame: bytes) -> None:
        """A frame that is not a message: say so, with the message id if one can be made out."""
        text = frame.decode("utf-8", "replace")
        found = _MESSAGE_ID.match(text)
        action = _ACTION.match(text)
        log.warning("frame is not an OCPP message", station=self.name, action=action[1] if action else None)
        error: list[Any] = [
            Kind.CALLERROR,
            found[1] if found else UNREADABLE,
            "FormationViolation",
            "not an OCPP-J message",
            {},
        ]
        await self._send_bytes(json.dumps(error))

    async def _send_bytes(self, data: bytes) -> None:
        try:
            await self._socket.send(data, text=True)
        except ConnectionClosed:
            log.info("socket closed before the answer went out", station=self.name)


def _read(frame: bytes) -> Any:
    """The JSON value in a frame, None if there is none; padding NULs of C strings are taken out."""
    try:
        return json.loads(frame)
    except InvalidJson:
        if b"\\u0000" not in frame:
            return None
    try:
        return json.loads(frame.replace(b"\\u0000", b""))
    except InvalidJson:
        return None
