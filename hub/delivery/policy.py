"""What an answer means and how long to wait: the failure plan as pure functions.

Two things can be at fault. Connection failures, timeouts and 429/502/503/504 are the *platform's*: it waits 1, 2, 5,
10, 20, 30 s, then it is suspect and GET versions decides whether it is OFFLINE. An answer about the *object* (a
refusal, an HTTP 500) counts as a try of that object, which waits on its own; after eight refusals it is parked with
the reason, and the beginning of what was answered, until a newer version comes. Jitter is passed in as a number from
-1 to 1.

A platform without *short retry* is treated by the letter of transport_and_format.asciidoc > Offline behaviour: its
first failure makes it suspect at once, and what it does not take is offered as rarely as an OFFLINE platform is probed.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from hub.ocpi import json
from hub.ocpi.errors import OcpiError
from hub.ocpi.headers import retry_after

PLAN = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
"""Seconds before the next try, by the number of tries that failed."""

PROBES = (30.0, 60.0, 120.0, 300.0)
LONGEST = 300.0
SPREAD = 0.2
TRIES_BEFORE_PARKING = 8
REASON_LENGTH = 300
SAMPLE_LENGTH = 1_000


class Verdict(Enum):
    """What became of a request."""

    DELIVERED = "delivered"
    SEND_WHOLE = "the receiver does not know the object that this changes"
    AWAY = "the receiver cannot be reached or asks to wait"
    TROUBLE = "the receiver failed to handle it"
    REFUSED = "the receiver refuses it"
    UNAUTHORISED = "the receiver does not accept the hub's token"
    WAITING = "its time has not come"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict and what it rests on; `reason` is for the operator, `asked` the seconds to wait that the receiver (or,
    for WAITING, the hub) asks for. `unanswered`: what the receiver did with it is not known. `sample`: the beginning of
    what it answered to an object that it refuses."""

    verdict: Verdict
    reason: str = ""
    http_status: int | None = None
    status_code: int | None = None
    asked: float | None = None
    location: str | None = None
    unanswered: bool = False
    sample: str = ""


@dataclass(frozen=True, slots=True)
class Next:
    """What becomes of an object after a failure: `delay` seconds until it is due again, unless it is parked."""

    tries: int
    delay: float
    parked: bool


def judge(method: str, level: str, status: int, headers: Mapping[str, str], body: bytes) -> Judgement:
    """What an answer to `method` at `level` ("" is the whole object) means."""
    code, message = _envelope(body)
    verdict = _verdict(method, level, status, code)
    reason = "" if verdict is Verdict.DELIVERED else _reason(method, status, code, message)
    asked = retry_after(headers) if verdict is Verdict.AWAY else None
    sample = (
        _clean(body[: 4 * SAMPLE_LENGTH].decode(errors="replace"))[:SAMPLE_LENGTH] if verdict is Verdict.REFUSED else ""
    )
    return Judgement(verdict, reason, status, code, asked, headers.get("Location"), sample=sample)


def after(judgement: Judgement, tries: int, jitter: float, short_retry: bool = True) -> Next:
    """What becomes of an object that was tried `tries` times before this failure."""
    if judgement.verdict in (Verdict.AWAY, Verdict.UNAUTHORISED):
        return Next(tries, 0.0, False)
    if judgement.verdict is Verdict.WAITING:
        return Next(tries, judgement.asked or PLAN[0], False)
    tries += 1
    parked = judgement.verdict is Verdict.REFUSED and tries >= TRIES_BEFORE_PARKING
    return Next(tries, pause(tries, jitter, short_retry=short_retry), parked)


def pause(failures: int, jitter: float, asked: float | None = None, short_retry: bool = True) -> float:
    """Seconds to wait after the n-th failure in a row. A Retry-After is heeded up to twice the plan, and never makes
    the wait shorter than the plan."""
    beyond = failures - len(PLAN)
    if not short_retry:
        plan = PROBES[min(failures, len(PROBES)) - 1]
    else:
        plan = PLAN[failures - 1] if beyond <= 0 else min(PLAN[-1] * 2.0 ** min(beyond, 10), LONGEST)
    return max(plan * (1 + SPREAD * jitter), min(asked or 0.0, 2 * plan))


def is_suspect(failures: int, short_retry: bool = True) -> bool:
    """Whether the short retries are used up, so that the platform's versions endpoint must be asked."""
    return failures > (len(PLAN) if short_retry else 0)


def probe_pause(probes: int, jitter: float) -> float:
    """Seconds until an OFFLINE platform is asked again, after the n-th time in vain."""
    return PROBES[min(probes, len(PROBES)) - 1] * (1 + SPREAD * jitter)


def _verdict(method: str, level: str, status: int, code: int | None) -> Verdict:
    partial = method == "PATCH" or level != ""
    if status == 401:
        return Verdict.UNAUTHORISED
    if status in (408, 429, 502, 503, 504):
        return Verdict.AWAY
    if status == 404 or (code == 2003 and status < 500):
        if method == "DELETE":
            return Verdict.DELIVERED
        return Verdict.SEND_WHOLE if partial else Verdict.REFUSED
    if status == 405 and partial:
        return Verdict.SEND_WHOLE
    if 400 <= status < 500:
        return Verdict.REFUSED
    if not 200 <= status < 300 or code is None or code >= 3000:
        return Verdict.TROUBLE
    return Verdict.DELIVERED if 1000 <= code < 2000 else Verdict.REFUSED


def _envelope(body: bytes) -> tuple[int | None, str]:
    try:
        value = json.loads(body)
    except OcpiError:
        return None, ""
    if not isinstance(value, dict) or type(value.get("status_code")) is not int:
        return None, ""
    message = value.get("status_message")
    return value["status_code"], message if isinstance(message, str) else ""


def _reason(method: str, status: int, code: int | None, message: str) -> str:
    said = f"status_code {code}" if code is not None else "no OCPI envelope"
    clean = _clean(message)
    return f"{method} answered HTTP {status}, {said}{': ' if clean else ''}{clean}"[:REASON_LENGTH]


def _clean(text: str) -> str:
    """A partner's text without what could move a cursor or hide."""
    return "".join(c if unicodedata.category(c)[0] != "C" else " " for c in text).strip()
