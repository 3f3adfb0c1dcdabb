"""What holds for each answer, whatever was asked; and for each request that the peer itself makes.

Source: transport_and_format.asciidoc > Response format, Message Routing Headers, Unique message IDs.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from hub.kit.ask import Heard
from hub.kit.check import Broken, Group, Skipped
from hub.kit.peer import Peer, named
from hub.ocpi import headers
from hub.ocpi.types import parse_datetime

GROUP = Group("every answer")

CLOCKS = timedelta(minutes=10)
"""How far the peer's clock may be from ours before it looks like local time."""

_ROUTING = (headers.TO_COUNTRY, headers.TO_PARTY, headers.FROM_COUNTRY, headers.FROM_PARTY)
_CODE = re.compile(r"[1-4]\d{3}")

Fault = Callable[[Heard], str | None]


def _each(peer: Peer, fault: Fault, expected: str, wanted: Callable[[Heard], bool] = lambda heard: True) -> None:
    """Broken when any of those answers that are `wanted` has the fault; the first one is shown."""
    looked_at = [heard for heard in peer.asker.heard if wanted(heard)]
    if not looked_at:
        raise Skipped("there was no such answer")
    wrong = [(heard, came) for heard in looked_at if (came := fault(heard)) is not None]
    if wrong:
        heard, came = wrong[0]
        count = f", in {len(wrong)} of {len(looked_at)} answers" if len(wrong) > 1 else ""
        raise Broken(heard.asked, came + count, expected)


@GROUP.check("TF-170")
async def content_type(peer: Peer) -> None:
    """Content-Type is application/json"""

    def fault(heard: Heard) -> str | None:
        kind = heard.headers.get("Content-Type", "")
        return (
            None
            if kind.partition(";")[0].strip().lower() == "application/json"
            else f"Content-Type: {kind or 'missing'}"
        )

    _each(peer, fault, "Content-Type: application/json", lambda heard: bool(heard.body))


@GROUP.check("TF-068")
async def has_envelope(peer: Peer) -> None:
    """The body is JSON with status_code and timestamp"""
    _each(peer, _no_envelope, _ENVELOPE, lambda heard: heard.http_status < 400)


@GROUP.check("TF-071")
async def errors_have_envelope(peer: Peer) -> None:
    """Answers with an HTTP error have the OCPI envelope, too"""
    _each(peer, _no_envelope, _ENVELOPE, lambda heard: heard.http_status >= 400)


_ENVELOPE = "a JSON object with status_code (a number of 4 digits) and timestamp (a time)"


def _no_envelope(heard: Heard) -> str | None:
    found = heard.envelope
    if found is None:
        return heard.came
    if type(found.get("status_code")) is not int or not 1000 <= found["status_code"] <= 9999:
        return f"HTTP {heard.http_status}, status_code: {found.get('status_code', 'missing')}"
    try:
        parse_datetime(found["timestamp"])
    except (KeyError, TypeError, ValueError):
        return f"HTTP {heard.http_status}, timestamp: {found.get('timestamp', 'missing')}"
    return None


@GROUP.check("TF-070")
async def timestamp(peer: Peer) -> None:
    """timestamp is the time of the answer, in UTC"""
    now = datetime.now(UTC)

    def fault(heard: Heard) -> str | None:
        text = str((heard.envelope or {}).get("timestamp"))
        try:
            moment = parse_datetime(text)
        except ValueError:
            return None  # TF-068 tells that
        off = moment < peer.asker.began - CLOCKS or moment > now + CLOCKS
        return f"timestamp: {text}, at {now:%Y-%m-%dT%H:%M:%SZ}" if off or re.search(r"[+-]\d\d:\d\d$", text) else None

    _each(peer, fault, "the present time in UTC, such as 2026-01-01T12:00:00Z", lambda h: h.envelope is not None)


@GROUP.check("TF-130")
async def request_id(peer: Peer) -> None:
    """X-Request-ID of the request is repeated"""
    _each_repeats(peer, headers.REQUEST_ID)


@GROUP.check("TF-131")
async def correlation_id(peer: Peer) -> None:
    """X-Correlation-ID of the request is repeated"""
    _each_repeats(peer, headers.CORRELATION_ID)


def _each_repeats(peer: Peer, name: str) -> None:
    def fault(heard: Heard) -> str | None:
        came = heard.headers.get(name)
        return None if came == heard.sent[name] else f"{name}: {'another one' if came else 'missing'}"

    _each(peer, fault, f"the {name} of the request", lambda heard: name in heard.sent)


@GROUP.check("TF-084", "TF-075")
async def addressed_back(peer: Peer) -> None:
    """OCPI-to of the answer names the party that asked"""

    def fault(heard: Heard) -> str | None:
        came = named(heard.headers, headers.TO_COUNTRY, headers.TO_PARTY)
        return None if came == peer.us else f"OCPI-to: {came or 'missing'}"

    def wanted(heard: Heard) -> bool:
        """Without a hub between, a peer may leave these headers out (TF-077)."""
        ours = peer.us is not None and named(heard.sent, headers.FROM_COUNTRY, headers.FROM_PARTY) == peer.us
        there = peer.is_hub or any(name in heard.headers for name in _ROUTING)
        return heard.routed and ours and there and heard.http_status not in (401, 403, 404, 405)

    _each(peer, fault, f"OCPI-to-country-code and OCPI-to-party-id of {peer.us}", wanted)


@GROUP.check("TF-076")
async def unrouted(peer: Peer) -> None:
    """versions, credentials and hubclientinfo are answered without routing headers"""

    def fault(heard: Heard) -> str | None:
        found = [name for name in _ROUTING if name in heard.headers]
        return f"with {', '.join(found)}" if found else None

    _each(peer, fault, "no OCPI-to and OCPI-from headers", lambda heard: not heard.routed)


@GROUP.check("TF-149")
async def known_ranges(peer: Peer) -> None:
    """status_code is 1xxx, 2xxx, 3xxx or 4xxx"""

    def fault(heard: Heard) -> str | None:
        code = str(heard.status_code)
        return None if _CODE.fullmatch(code) else f"status_code {code}"

    _each(peer, fault, "a code from 1000 to 4999", lambda heard: heard.status_code is not None)


@GROUP.check("TF-150")
async def no_custom_codes(peer: Peer) -> None:
    """The codes from x900 to x999 are left to custom modules"""

    def fault(heard: Heard) -> str | None:
        code = heard.status_code or 0
        return f"status_code {code}" if code % 1000 >= 900 else None

    _each(peer, fault, "one of the codes of the specification", lambda heard: heard.status_code is not None)
