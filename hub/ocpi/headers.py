"""The headers of OCPI: the Authorization token, the routing pair and the two message ids.

Source: transport_and_format.asciidoc > Authorization header, Message Routing Headers, Unique message IDs.
"""

import base64
import binascii
import re
import uuid
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from hub.ocpi.errors import InvalidParameters
from hub.ocpi.types import PartyId

REQUEST_ID = "X-Request-ID"
CORRELATION_ID = "X-Correlation-ID"
TO_COUNTRY = "OCPI-to-country-code"
TO_PARTY = "OCPI-to-party-id"
FROM_COUNTRY = "OCPI-from-country-code"
FROM_PARTY = "OCPI-from-party-id"
TOTAL_COUNT = "X-Total-Count"
LIMIT = "X-Limit"
RETRY_AFTER = "Retry-After"

# What may be echoed and logged as a message id; anything else gets a fresh one (TF-136).
_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")


def encode_token(token: str, form: str = "base64") -> str:
    """The Authorization header that shows `token` (TF-004, TF-005); `form` "raw" is for peers that do not encode."""
    shown = token if form == "raw" else base64.b64encode(token.encode()).decode()
    return f"Token {shown}"


def candidates(header: str | None) -> list[str]:
    """The tokens that an Authorization header may mean, likeliest first; empty when it is not one.

    Base64 is the rule; peers of older versions send the token as it is (TF-007), and some copied the spec's
    samples, which decode to the token and a line feed.
    """
    scheme, _, value = (header or "").strip().partition(" ")
    value = value.strip()
    if scheme.lower() != "token" or not value:
        return []
    found = [value]
    try:
        decoded = base64.b64decode(value, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return found
    return list(dict.fromkeys([decoded, decoded.removesuffix("\n"), *found]))


def message_id(value: str | None) -> str:
    """The id of a message, or a fresh one when it is missing or unfit to be echoed."""
    return value if value is not None and _ID.fullmatch(value) else str(uuid.uuid4())


def new_id() -> str:
    """A fresh message id."""
    return str(uuid.uuid4())


def party(headers: Mapping[str, str], country_header: str, party_header: str) -> PartyId | None:
    """The party a header pair names, None when both are absent; half a pair is malformed (TF-082)."""
    country, code = headers.get(country_header), headers.get(party_header)
    if country is None and code is None:
        return None
    if not country or not code:
        raise InvalidParameters(f"{country_header} and {party_header} must be given together")
    return PartyId.of(country, code)


def routing(to: PartyId | None, sender: PartyId | None) -> dict[str, str]:
    """The routing headers of a request or response."""
    headers: dict[str, str] = {}
    if to is not None:
        headers |= {TO_COUNTRY: to.country_code, TO_PARTY: to.party_id}
    if sender is not None:
        headers |= {FROM_COUNTRY: sender.country_code, FROM_PARTY: sender.party_id}
    return headers


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that an answer asks to wait, said as a number or as a date (which counts from the answer's own Date);
    None when it asks for nothing that can be understood."""
    said = headers.get(RETRY_AFTER, "").strip()
    if said.isascii() and said.isdigit():
        return float(said) if len(said) < 10 else None
    try:
        return max((parsedate_to_datetime(said) - parsedate_to_datetime(headers.get("Date", ""))).total_seconds(), 0.0)
    except (TypeError, ValueError):  # no date, or one with a zone and the other without
        return None
