"""What is pulled from whom, and when. Pure: a directory, settings and a clock in, a plan out.

Pulls are rare and spread (TF-016): every few hours what has changed, with an overlap, and everything again at night. A
party that pushes is not pulled, unless the operator says so or after an outage. The hub asks in its own name (TF-186).
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hub.delivery import audience
from hub.ocpi.module import Catalog, Module
from hub.settings import Settings
from hub.store.directory import Directory, PartyView, PlatformView
from hub.store.pulls import DELTA, FULL, Job

OVERLAP = timedelta(hours=1)
"""How far before the newest known update a pull of changes begins: clocks differ, and lists lag."""

BACK = timedelta(days=30)
"""How far back Sessions and CDRs are pulled. Sessions must have a date_from (SES-015), and both are passed on to the
driver's eMSP, which has no use for those of years."""

RETRIES = (timedelta(minutes=15), timedelta(hours=1), timedelta(hours=4))
LONGEST_WAIT = timedelta(hours=24)
STUBBORN = 3
"""Failures after which a crawl begins anew instead of going on."""

List = tuple[str, str, int]
"""Party, module and platform id of a list."""


@dataclass(frozen=True)
class Rhythm:
    """How often: changes after `every` and up to `spread` more, everything from `night` o'clock (UTC) on."""

    every: timedelta
    spread: timedelta
    night: int

    @classmethod
    def of(cls, settings: Settings) -> "Rhythm":
        """As the operator wants it."""
        return cls(timedelta(hours=settings.pull_every), timedelta(minutes=settings.pull_spread), settings.pull_night)


def lists(directory: Directory, catalog: Catalog) -> set[List]:
    """The lists that the hub may pull: those that a platform publishes for the data its parties own."""
    return {
        (str(party.code), module.name, party.platform.id)
        for party in directory.parties
        for module in catalog.values()
        if module.owner and _offers(party, module)
    }


def ordered(directory: Directory, found: set[List]) -> set[List]:
    """Those that the operator has named: they are pulled whether their party pushes or not."""
    return {row for row in found if directory.platform(row[2]).pull is not None}


def _offers(party: PartyView, module: Module) -> bool:
    platform = party.platform
    if platform.hosted or platform.status == "PLANNED" or platform.endpoint(module.name, "SENDER") is None:
        return False
    owns = bool(party.roles & audience.owners(module.owner))
    return owns and (platform.pull is None or module.name in platform.pull)


def kind(job: Job, platform: PlatformView, now: datetime, rhythm: Rhythm) -> str | None:
    """What is to be read now: "full", "delta", or None when the party pushes and nobody has asked."""
    if job.wanted is None and job.pushes and platform.pull is None:
        return None
    if not platform.quirks.dates:
        return FULL
    if job.wanted is not None:
        return job.wanted if job.high_water is not None else FULL
    return FULL if job.full_at is None or job.full_at < _night_before(now, rhythm) else DELTA


def since(module: Module, kind: str, high_water: datetime | None, now: datetime) -> datetime | None:
    """The date_from of a crawl; None for everything."""
    start = high_water - OVERLAP if high_water is not None else None
    if not is_windowed(module):
        return start if kind == DELTA else None
    return max(start, now - BACK) if kind == DELTA and start is not None else now - BACK


def is_windowed(module: Module) -> bool:
    """Whether lists are always asked for from a date on: what is addressed to one party (Sessions and CDRs)."""
    return not module.broadcast


def following(now: datetime, rhythm: Rhythm, share: float) -> datetime:
    """When a list is read next. `share` (0 to 1, random) spreads the partners over the hours (TF-016)."""
    tonight = _night_before(now, rhythm) + timedelta(days=1)
    return min(now + rhythm.every, max(tonight, now + rhythm.every / 2)) + share * rhythm.spread


def retry(now: datetime, failures: int, rhythm: Rhythm, share: float, asked: float | None = None) -> datetime:
    """When a list is tried again after so many failures in a row; `asked` are the seconds the partner asks for."""
    wait = RETRIES[failures - 1] if failures <= len(RETRIES) else rhythm.every
    wait = max(wait, min(timedelta(seconds=asked or 0), LONGEST_WAIT))
    return now + wait * (1 + share / 4)


def _night_before(now: datetime, rhythm: Rhythm) -> datetime:
    """The last time that the night's hour struck."""
    tonight = now.astimezone(UTC).replace(hour=rhythm.night, minute=0, second=0, microsecond=0)
    return tonight if tonight <= now else tonight - timedelta(days=1)
