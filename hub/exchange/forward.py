"""One hop onward: the request rewritten as a hub must, and the peer's answer on its way back."""

import time
from collections.abc import Mapping

import structlog
from yarl import URL

from hub import metrics, tracing
from hub.delivery import send as delivery
from hub.exchange import pressure
from hub.exchange.call import Call, Reply
from hub.exchange.context import Hub
from hub.ocpi import envelope, headers, paging
from hub.ocpi.client import Answer, NetworkError, NoAnswer, Use
from hub.ocpi.errors import ConnectionProblem, HubError, OcpiError, RequestTimeout
from hub.ocpi.types import PartyId
from hub.store import messages
from hub.store.directory import PartyView, PlatformView
from hub.store.journal import Hop
from hub.store.outgoing import Identity

log = structlog.get_logger(__name__)

FORWARD_TIMEOUT = delivery.DEADLINE
PASSED_ON = (headers.TOTAL_COUNT, headers.LIMIT)


async def forward(
    hub: Hub, call: Call, target: PartyView, *, body: bytes | None = None, timeout: float = FORWARD_TIMEOUT,
    about: Identity | None = None, changed: tuple[str, ...] = (),
) -> Reply:  # fmt: skip
    """Send a call to the endpoint of the same module and interface role at `target` (TF-089). For the message log:
    `about` is the object in it, `changed` what the caller has changed of it."""
    url = url_at(call, target)
    payload = body if body is not None else call.body or None
    answer = await send(hub, call, target, url, payload, timeout, about=about, changed=changed)
    return reply(call, target.code, answer)


def url_at(call: Call, target: PartyView) -> str:
    """The URL at `target` for a call: its endpoint of the same module and role, then the caller's path and query."""
    base = target.platform.endpoint(call.module, call.interface)
    if base is None:
        raise HubError(f"{target.code} does not offer {call.module} as {call.interface}")
    return delivery.join(base, call.tail, call.query, slash=target.platform.quirks.slash)


async def send(
    hub: Hub, call: Call, target: PartyView, url: str, body: bytes | None, timeout: float = FORWARD_TIMEOUT, *,
    about: Identity | None = None, changed: tuple[str, ...] = (),
) -> Answer:  # fmt: skip
    """One request to a URL of `target` in the name of the caller; 4002 and 4003 when no answer comes."""
    onward = delivery.onward(target.platform, call.correlation_id, target.code, call.sender, with_body=body is not None)
    started = time.monotonic()
    answer: Answer | None = None
    failure: NetworkError | None = None
    parties = {"sender": call.sender, "receiver": target.code}
    use = Use.INTERACTIVE if pressure.awaited(call.module, call.tail) else Use.PUSH
    with tracing.span("forward", call.correlation_id, module=call.module, method=call.method, **parties) as span:
        try:
            with pressure.aside():
                answer = await hub.outbound.send(
                    call.method, url, onward, body, min(timeout, target.platform.quirks.timeout), use
                )
        except NetworkError as error:
            failure = error
            metrics.FORWARD_FAILURES.labels(str(target.code), type(error).__name__).inc()
        metrics.forwards(call.module).observe(time.monotonic() - started)
        code = envelope.read(answer.body)[0] if answer is not None else None
        span.note(http_status=answer.status if answer is not None else None, status_code=code)
    hub.journal.note(
        Hop(
            correlation_id=call.correlation_id,
            request_id=onward[headers.REQUEST_ID],
            sender=str(call.sender),
            receiver=str(target.code),
            method=call.method,
            what=call.what,
            decision=messages.FORWARD,
            http_status=answer.status if answer else None,
            status_code=code,
            ms=round((time.monotonic() - started) * 1000),
            detail=str(failure) if failure else None,
            about=about,
            changed=(
                f"X-Request-ID new, was {call.request_id}",
                *((f"OCPI-to: {target.code}, found by the hub",) if call.found else ()),
                *changed,
                *_changed_back(call, answer, code),
            ),
        ),
        body,
        answer.body if answer else None,
    )
    if answer is not None:
        return answer
    log.warning("receiver did not answer", receiver=str(target.code), what=call.what, reason=str(failure))
    if isinstance(failure, NoAnswer):
        raise RequestTimeout(f"{target.code} did not answer in time")
    raise ConnectionProblem(f"{target.code} could not be reached")


def reply(call: Call, answering: PartyId, answer: Answer, extra: Mapping[str, str] | None = None) -> Reply:
    """A peer's answer for the caller: status and body as they are, headers rewritten (TF-094, TF-095)."""
    back = headers.routing(call.sender, answering)
    back |= {name: answer.headers[name] for name in PASSED_ON if name in answer.headers}
    back |= extra or {}
    if answer.status == 401:
        log.error("receiver refuses the hub's token: renew the credentials with it", receiver=str(answering))
        return refused(call, answering, HubError(f"{answering} does not accept this hub's token at present"))
    if envelope.read(answer.body)[0] is None:
        problem = HubError(f"{answering} answered HTTP {answer.status} without an OCPI envelope")
        status = answer.status if answer.status >= 400 else 200
        return Reply(status, envelope.refusal(problem), back)
    return Reply(answer.status, answer.body, back)


def refused(call: Call, answering: PartyId, error: OcpiError) -> Reply:
    """An OCPI error as the answer to a call."""
    return Reply(error.http_status, envelope.refusal(error), headers.routing(call.sender, answering))


def _changed_back(call: Call, answer: Answer | None, code: int | None) -> tuple[str, ...]:
    """What the caller gets otherwise than the peer said it, in words."""
    if answer is None:
        return ()
    if answer.status == 401 or code is None:
        return ("the answer is the hub's own",)
    if not call.tail and paging.next_link(answer.headers.get("Link")) is not None:
        return ("Link is the hub's own",)
    if "Location" in answer.headers and call.method == "POST" and call.module == "cdrs":
        return ("Location is the hub's own",)
    return ()


def same_host(platform: PlatformView, url: str) -> bool:
    """Whether `url` is on a host that this platform published, or that the operator added (TF-047, CMD-020)."""
    added = [origin.strip() for origin in platform.quirks.hosts.split(",")]
    known = {_origin(own) for own in (*platform.endpoints.values(), platform.versions_url or "", *added)}
    return (origin := _origin(url)) is not None and origin in known


def _origin(url: str) -> URL | None:
    """Scheme, host and port of a URL, in one spelling; None when it has none."""
    try:
        return URL(url).origin()
    except ValueError:
        return None
