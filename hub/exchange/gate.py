"""The gate before every OCPI route: who is it, how large, how long; and an envelope whatever happens behind it.

Pure ASGI. It puts `access`, `headers` (by name in lower case), `query`, `body`, `request_id` and `correlation_id` into
the request's state, so that nothing behind it reads from the network or reads a header twice, and echoes both message
ids on every answer (TF-130, TF-131).
"""

import asyncio
import time
from typing import Any

import structlog
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub import metrics, tracing
from hub.exchange import auth
from hub.exchange.call import Call
from hub.exchange.context import Hub
from hub.ocpi import envelope, headers
from hub.ocpi.errors import InvalidJson, NotFound, OcpiError, ServerError, TooLarge

log = structlog.get_logger(__name__)

BODY_LIMIT = 2**20
BODY_DEADLINE = 30.0
HANDSHAKE = ("/versions", "/2.2.1")
"""What is read with a new token before it is stored: to show it there does not mean to have switched to it."""


class Gate:
    """The way into the OCPI application; the hub is found at `app.state.hub`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        hub: Hub = scope["app"].state.hub
        given = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        request_id = headers.message_id(given.get("x-request-id"))
        correlation_id = headers.message_id(given.get("x-correlation-id"))
        answer = _Answer(send, request_id, correlation_id)
        endpoint = interface, module, method = metrics.endpoint(scope["path"], scope["method"], hub.catalog)
        begun = time.perf_counter()
        structlog.contextvars.bind_contextvars(correlation_id=correlation_id)
        try:
            with tracing.span("serve", correlation_id, interface=interface, module=module, method=method) as span:
                await self._serve(hub, scope, receive, answer, given)
                span.note(http_status=answer.status, **_parties(scope))
        finally:
            structlog.contextvars.unbind_contextvars("correlation_id")
            metrics.requests(*endpoint).observe(time.perf_counter() - begun)

    async def _serve(self, hub: Hub, scope: Scope, receive: Receive, answer: "_Answer", given: dict[str, str]) -> None:
        """Let the request in, or refuse it; an answer goes out whatever happens."""
        try:
            access = await auth.identify(hub, given.get("authorization"))
            if access.watched and not scope["path"].endswith(HANDSHAKE):
                hub.presence.shown(access.hash)
            if not scope["path"].isprintable():
                raise NotFound("the URL holds characters that OCPI does not allow")
            body = await _read(receive, given)
            scope["state"] = {
                "access": access,
                "headers": given,
                "query": scope["query_string"].decode("latin-1"),
                "body": body,
                "request_id": answer.request_id,
                "correlation_id": answer.correlation_id,
            }
            await self._app(scope, receive, answer)
        except OcpiError as error:
            await _refuse(answer, error.http_status, error)
        except (InterfaceError, OperationalError, PoolTimeout, OSError) as error:
            log.error(
                "the database did not serve a request, the caller was told to come again", error=repr(error)[:300]
            )
            if not answer.status:
                await _refuse(answer, 503, ServerError("the hub cannot work at present, try again in a moment"))
        except Exception:
            log.exception(
                "a request failed inside the hub",
                method=scope["method"],
                endpoint="/".join(scope["path"].split("/")[:5]),
            )
            if not answer.status:
                await _refuse(answer, 500, ServerError("the hub failed on this request; its operator has been told"))


def _parties(scope: Scope) -> dict[str, object]:
    """Who called whom, as far as the request came that far."""
    call: Call | None = scope.get("state", {}).get("call")
    return {"sender": call.sender, "receiver": call.to} if call is not None else {}


class _Answer:
    """The way back: both message ids go on the answer. `status` is 0 until it has begun."""

    def __init__(self, send: Send, request_id: str, correlation_id: str) -> None:
        self._send, self.request_id, self.correlation_id = send, request_id, correlation_id
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            echo = [(b"x-request-id", self.request_id.encode()), (b"x-correlation-id", self.correlation_id.encode())]
            message["headers"] = [*message.get("headers", []), *echo]
        await self._send(message)


async def _read(receive: Receive, given: dict[str, str]) -> bytes:
    """The body, at most 1 MiB and within 30 s; never compressed, since a small body could unpack to a huge one."""
    if given.get("content-encoding", "identity") != "identity":
        raise InvalidJson("Content-Encoding: bodies are taken as they are, not compressed")
    if "content-length" not in given and "transfer-encoding" not in given:
        return b""
    declared = given.get("content-length", "0")
    if declared.isdigit() and int(declared) > BODY_LIMIT:
        raise TooLarge(f"body: larger than {BODY_LIMIT} bytes")
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_DEADLINE):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise InvalidJson("body: the connection closed before its end")
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > BODY_LIMIT:
                    raise TooLarge(f"body: larger than {BODY_LIMIT} bytes")
                if not message.get("more_body", False):
                    return b"".join(parts)
    except TimeoutError:
        raise InvalidJson(f"body: did not arrive within {BODY_DEADLINE:g} s") from None


async def _refuse(send: Send, http_status: int, error: OcpiError) -> None:
    body = envelope.refusal(error)
    extra: list[Any] = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if http_status in (429, 503):
        extra.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": http_status, "headers": extra})
    await send({"type": "http.response.body", "body": body})
