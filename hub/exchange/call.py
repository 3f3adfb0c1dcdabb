"""A call and its answer, as the exchange sees them: no HTTP framework in sight.

Calls come from the OCPI routes or, for hosted parties, from the bridge in this very process (`Call.hosted`).
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hub.ocpi import envelope, headers, json
from hub.ocpi.errors import InvalidParameters
from hub.ocpi.types import PartyId, masked
from hub.store.directory import PlatformView
from hub.store.journal import Hop


@dataclass(frozen=True)
class Call:
    """A functional request. `interface` is SENDER or RECEIVER; `tail` is the path below the module's endpoint.

    `to` None means open routing; `found` that the hub found `to`, which the caller had left out. `query` is the raw
    query string, `began` when it came in (a monotonic clock).
    """

    sender: PartyId
    to: PartyId | None
    platform: PlatformView
    method: str
    module: str
    interface: str
    tail: str = ""
    query: str = ""
    body: bytes = b""
    found: bool = False
    request_id: str = field(default_factory=headers.new_id)
    correlation_id: str = field(default_factory=headers.new_id)
    began: float = field(default_factory=time.monotonic)

    @property
    def what(self) -> str:
        """A short name of what is called, for people: "receiver/locations/NL/CPA/LOC1"."""
        tail = self.tail
        if self.module == "tokens":  # the uid of a card is personal: journal and logs show its end only
            parts = tail.split("/")
            at = 1 if self.interface == "SENDER" else 3
            tail = "/".join(masked(part) if number == at else part for number, part in enumerate(parts))
        return f"{self.interface.lower()}/{self.module}{tail}"

    def hop(self, hub: PartyId, decision: str, **facts: Any) -> Hop:
        """This call as a hop that ends now, for the journal; without a receiver it is the hub's."""
        return Hop(
            correlation_id=self.correlation_id,
            request_id=self.request_id,
            sender=str(self.sender),
            receiver=str(self.to or hub),
            method=self.method,
            what=self.what,
            decision=decision,
            ms=round((time.monotonic() - self.began) * 1000),
            **facts,
        )

    def json_object(self) -> dict[str, Any]:
        """The body as a JSON object, each field once; InvalidJson (HTTP 400) or InvalidParameters when it is none."""
        value = json.loads(self.body)
        if not isinstance(value, dict):
            raise InvalidParameters("body: must be a JSON object")
        json.refuse_doubled(self.body, value)
        return value


@dataclass(frozen=True)
class Reply:
    """An answer: the HTTP status, the envelope as bytes, further headers."""

    http_status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def status_code(self) -> int | None:
        """The OCPI status code of the envelope."""
        return envelope.read(self.body)[0]

    @property
    def accepted(self) -> bool:
        """Whether the answer is a 1xxx."""
        code = self.status_code
        return self.http_status < 400 and code is not None and 1000 <= code < 2000

    @property
    def data(self) -> Any:
        """What the envelope holds."""
        return envelope.read(self.body)[1]


def answer(call: Call, answering: PartyId, data: Any = None, http_status: int = 200, **extra: str) -> Reply:
    """A successful answer of the hub or of a hosted party; the routing pair is swapped (TF-084)."""
    return Reply(http_status, envelope.envelope(data), headers.routing(call.sender, answering) | extra)


def answer_bytes(call: Call, answering: PartyId, data: bytes, extra: Mapping[str, str] | None = None) -> Reply:
    """A successful answer around JSON text that goes out as it is kept."""
    return Reply(200, envelope.wrap(data), {**headers.routing(call.sender, answering), **(extra or {})})
