"""The peer's own requests, as they reach the kit's platform during a run.

Source: transport_and_format.asciidoc > Authorization header, Unique message IDs, Request format.
"""

import base64
import re
from collections.abc import Callable

from hub.kit.check import Broken, Group, Skipped
from hub.kit.peer import Peer
from hub.ocpi import headers
from hub.sandbox.recorder import Received
from hub.sandbox.registration import BASE

GROUP = Group("its requests")

_TOKEN = re.compile(r"Token (\S+)")
_ROUTING = (headers.TO_COUNTRY, headers.TO_PARTY, headers.FROM_COUNTRY, headers.FROM_PARTY)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def _each(peer: Peer, fault: Callable[[Received], str | None], expected: str) -> None:
    """Broken when a request of the peer has the fault; Skipped when it made none."""
    came = peer.party.received if peer.party else []
    if not came:
        raise Skipped("the peer made no request")
    for seen in came:
        wrong = fault(seen)
        if wrong is not None:
            raise Broken(f"its {seen}", wrong, expected)


@GROUP.check("TF-004", "TF-003", registered=True)
async def authorization(peer: Peer) -> None:
    """Each has an Authorization header: the word Token, one space, the token"""

    def fault(seen: Received) -> str | None:
        shown = seen.headers.get("Authorization", "")
        return None if _TOKEN.fullmatch(shown) else f"Authorization: {'in another form' if shown else 'missing'}"

    _each(peer, fault, "Authorization: Token, a space, and the token in Base64")


@GROUP.check("TF-005", "TF-006", registered=True)
async def encoded(peer: Peer) -> None:
    """The token is Base64 encoded, without a line feed or anything else added"""
    turned_away: set[str] = set()

    def fault(seen: Received) -> str | None:
        shown = _TOKEN.fullmatch(seen.headers.get("Authorization", ""))
        if shown is None:
            return None  # TF-004 tells that
        try:
            decoded = base64.b64decode(shown[1], validate=True).decode()
        except ValueError:
            # Where Base64 did not help, the other form may be tried (TF-007).
            return None if seen.path in turned_away else "the token is not Base64 encoded"
        if seen.http_status != 200:
            turned_away.add(seen.path)
        return "the token is encoded with white space at its end" if decoded != decoded.strip() else None

    _each(peer, fault, "Base64 of just the token that we gave")


@GROUP.check("TF-130", "TF-131", registered=True)
async def message_ids(peer: Peer) -> None:
    """Each has X-Request-ID and X-Correlation-ID"""

    def fault(seen: Received) -> str | None:
        missing = [name for name in (headers.REQUEST_ID, headers.CORRELATION_ID) if not seen.headers.get(name)]
        return f"without {' and '.join(missing)}" if missing else None

    _each(peer, fault, "both ids")


@GROUP.check("TF-132", should=True, registered=True)
async def uuids(peer: Peer) -> None:
    """Both ids are UUIDs"""

    def fault(seen: Received) -> str | None:
        shown = {name: seen.headers.get(name) for name in (headers.REQUEST_ID, headers.CORRELATION_ID)}
        return next((f"{name}: {text}" for name, text in shown.items() if text and not _UUID.fullmatch(text)), None)

    _each(peer, fault, "UUIDs")


@GROUP.check("TF-017", registered=True)
async def content_type(peer: Peer) -> None:
    """Requests with a body have Content-Type application/json"""

    def fault(seen: Received) -> str | None:
        kind = seen.headers.get("Content-Type", "")
        right = kind.partition(";")[0].strip().lower() == "application/json"
        return None if seen.body is None or right else f"Content-Type: {kind or 'missing'}"

    _each(peer, fault, "Content-Type: application/json")


@GROUP.check("TF-076", registered=True)
async def unrouted(peer: Peer) -> None:
    """versions and credentials are asked for without routing headers"""

    def fault(seen: Received) -> str | None:
        functional = f"{BASE}/sender/" in seen.path or f"{BASE}/receiver/" in seen.path
        found = [name for name in _ROUTING if name in seen.headers]
        return f"with {', '.join(found)}" if found and not functional else None

    _each(peer, fault, "no OCPI-to and OCPI-from headers")


@GROUP.check("TF-075", kinds="hub", registered=True)
async def routed(peer: Peer) -> None:
    """Requests of functional modules have the four routing headers"""

    def fault(seen: Received) -> str | None:
        functional = f"{BASE}/sender/" in seen.path or f"{BASE}/receiver/" in seen.path
        missing = [name for name in _ROUTING if name not in seen.headers]
        return f"without {', '.join(missing)}" if functional and missing and "hubclientinfo" not in seen.path else None

    _each(peer, fault, "OCPI-to and OCPI-from, country code and party id")
