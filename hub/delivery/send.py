"""One request to one receiver: headers, address, answer judged, hop noted.

From is the hub for a copy of a broadcast, the owner for what was meant for this receiver alone; the owner's codes
stay in the path either way (transport_and_format.asciidoc > Broadcast Push). Each request has an X-Request-ID of its
own and the X-Correlation-ID of what caused it.
"""

import time

from hub import metrics, tracing
from hub.delivery import policy
from hub.delivery.compose import Message
from hub.delivery.policy import Judgement, Verdict
from hub.ocpi import headers
from hub.ocpi.client import NetworkError, NoAnswer, Outbound
from hub.ocpi.types import PartyId, masked
from hub.store import messages
from hub.store.directory import PartyView, PlatformView
from hub.store.journal import Hop, Note
from hub.store.outgoing import Identity

DEADLINE = 10.0
"""Seconds that a request may take in all."""


class Sender:
    """Sends for the hub `code`."""

    def __init__(self, outbound: Outbound, code: PartyId, note: Note) -> None:
        self._outbound, self._code, self._note = outbound, code, note

    async def deliver(
        self, target: PartyView, identity: Identity, message: Message, correlation_id: str, changed: str | None = None
    ) -> Judgement:
        """Send one message; what became of it. Never raises for what a receiver or the network does. `changed` says
        for the message log how its form differs from what its owner sent."""
        owner, module, key = identity
        url = target.platform.endpoint(module, "RECEIVER")
        if url is None:
            return Judgement(Verdict.REFUSED, f"{target.code} publishes no {module} receiver endpoint")
        sender = self._code if message.for_everybody else PartyId.parse(owner)
        sent = onward(target.platform, correlation_id, target.code, sender, with_body=message.body is not None)
        shown = masked(key) if module == "tokens" else key
        begun = time.monotonic()
        with tracing.span("deliver", correlation_id, module=module, sender=sender, receiver=target.code) as span:
            quirks = target.platform.quirks
            address = join(url, message.path, slash=quirks.slash)
            judgement, answer = await self._send(message, address, sent, min(DEADLINE, quirks.timeout))
            span.note(http_status=judgement.http_status, status_code=judgement.status_code)
        metrics.DELIVERY_SECONDS.observe(time.monotonic() - begun)
        self._note(
            Hop(
                correlation_id=correlation_id,
                request_id=sent[headers.REQUEST_ID],
                sender=str(sender),
                receiver=str(target.code),
                method=message.method,
                what=f"{module} {owner}/{shown}{'/' if message.level else ''}{message.level}",
                decision=messages.DELIVER,
                http_status=judgement.http_status,
                status_code=judgement.status_code,
                ms=int((time.monotonic() - begun) * 1000),
                detail=judgement.reason or None,
                about=identity,
                changed=_changed(owner, sender, changed),
            ),
            message.body,
            answer,
        )
        return judgement

    async def probe(self, platform: PlatformView) -> bool:
        """GET versions (HCI-014): whether the platform answers it well."""
        if platform.versions_url is None:
            return False
        sent = onward(platform, headers.new_id())
        judgement, _ = await self._send(Message("GET", "", None, "", True), platform.versions_url, sent)
        return judgement.verdict in (Verdict.DELIVERED, Verdict.UNAUTHORISED)

    async def _send(
        self, message: Message, url: str, sent: dict[str, str], timeout: float = DEADLINE
    ) -> tuple[Judgement, bytes | None]:
        try:
            answer = await self._outbound.send(message.method, url, sent, message.body, timeout)
        except NetworkError as error:
            return Judgement(Verdict.AWAY, str(error), unanswered=isinstance(error, NoAnswer)), None
        judgement = policy.judge(message.method, message.level, answer.status, answer.headers, answer.body)
        return judgement, answer.body


def _changed(owner: str, sender: PartyId, form: str | None) -> tuple[str, ...]:
    """What of a request is the hub's own, in words."""
    own = () if str(sender) == owner else (f"OCPI-from: {owner} -> {sender}",)
    return (*own, "X-Request-ID new", form) if form else (*own, "X-Request-ID new")


def onward(
    platform: PlatformView,
    correlation_id: str,
    to: PartyId | None = None,
    sender: PartyId | None = None,
    *,
    with_body: bool = False,
) -> dict[str, str]:
    """Headers of a request of the hub to `platform`: its token, a fresh request id, the correlation id of the cause."""
    result = {
        "Authorization": headers.encode_token(platform.token_out or "", platform.token_form),
        headers.REQUEST_ID: headers.new_id(),
        headers.CORRELATION_ID: correlation_id,
        **headers.routing(to, sender),
    }
    return result | {"Content-Type": "application/json"} if with_body else result


def join(endpoint: str, tail: str, query: str = "", *, slash: bool = False) -> str:
    """An endpoint as its platform published it, then what comes below; one slash between them (TF-060). `slash`: the
    partner wants one at the end, too."""
    below, _, own = tail.partition("?")
    url = f"{endpoint.rstrip('/')}/{below.removeprefix('/')}" if below else endpoint
    asked = query or own
    return (f"{url.rstrip('/')}/" if slash else url) + (f"?{asked}" if asked else "")
