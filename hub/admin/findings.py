"""What a look at the hub means: for each check whether it is well, and what to do if not. Pure."""

import ipaddress
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from hub.provenance import Unknown
from hub.settings import Settings
from hub.store.heartbeats import SILENT
from hub.store.vitals import PlatformRow, Vitals

Verdict = Literal["ok", "warn", "fail"]

OLDEST_POSTGRES = 15
SKEW_NOTED, SKEW_BAD = 2.0, 30.0  # seconds
ROOM_LOW, ROOM_OUT = 0.10, 0.03  # the share of a disk that is free
SHORT_TOKEN = 20  # characters
WIDE = 8  # a network of so short a prefix is no network of one's own
METADATA = ipaddress.ip_address("169.254.169.254")
GUESSABLE = frozenset({"postgres", "password", "knutpunkt", "admin", "secret", "changeme", "hub"})
NAMED = 5  # where there may be hundreds
OLD_TOKEN = 35 * 86_400.0  # seconds: tokens are to be renewed once a month (CRED-018)


@dataclass(frozen=True)
class Finding:
    """One check: `ok`, `warn` (look at it soon) or `fail` (it does not work); what was found, what to do."""

    check: str
    verdict: Verdict
    detail: str
    advice: str = ""


@dataclass(frozen=True)
class Facts:
    """What was found out. `revision` is the database's schema, `needed` that of this release; `skew` how far the clock
    of this machine is ahead of the database's; `room` free and total bytes of the data directory's disk; `redis` and
    `broker` what keeps them from answering; `policy` Redis' maxmemory-policy; `alerts` the open ones; `mark` stands for
    the hub's endpoints as they are now."""

    settings: Settings
    unknown: Sequence[Unknown]
    vitals: Vitals
    postgres: int
    revision: str | None
    needed: str
    skew: float
    redis: str | None
    policy: str | None
    broker: str | None
    room: tuple[int, int] | None
    stations: int
    alerts: Sequence[tuple[str, str, str]]
    mark: str = ""


def judge(facts: Facts) -> list[Finding]:
    """All findings, in the order of the checks."""
    return [finding for check in _CHECKS for finding in check(facts)]


def room(free: int, total: int, where: str) -> Finding:
    """How much of a disk is left."""
    detail = f"{free / 2**30:.1f} GiB of {total / 2**30:.1f} GiB free {where}"
    share = free / total if total else 1.0
    if share > ROOM_LOW:
        return Finding("disk", "ok", detail)
    advice = "make room: a full disk stops the database, and with it the hub"
    return Finding("disk", "fail" if share <= ROOM_OUT else "warn", detail, advice)


def slips(unknown: Sequence[Unknown]) -> Iterator[Finding]:
    """Variables that are no settings."""
    for slip in unknown:
        hint = f"did you mean {slip.nearest}?" if slip.nearest else "take it away"
        yield Finding(
            "settings", "warn", f"{slip.variable} is no setting of the hub", f"{hint} (`knutpunkt config show`)"
        )


def allowances(settings: Settings) -> Iterator[Finding]:
    """Networks that partners' URLs may lead into."""
    for network in settings.outbound_allow:
        if network.prefixlen < WIDE or (network.version == METADATA.version and METADATA in network):
            yield Finding(
                "HUB_OUTBOUND_ALLOW",
                "warn",
                f"{network} lets a partner's URL lead the hub into networks that are not its own",
                "name only the networks in which partners are",
            )


def weak_secrets(settings: Settings) -> Iterator[Finding]:
    """Secrets that can be guessed."""
    if settings.api_token and len(settings.api_token) < SHORT_TOKEN:
        advice = "set a random one: python3 -c 'import secrets; print(secrets.token_urlsafe())'"
        yield Finding("secrets", "warn", "HUB_API_TOKEN is so short that it can be guessed", advice)
    password = urlsplit(settings.database_url).password or ""
    if password.lower() in GUESSABLE:
        yield Finding("secrets", "warn", "the password in DATABASE_URL is one that everybody tries", "set a random one")


def _database(facts: Facts) -> Iterator[Finding]:
    if facts.postgres < OLDEST_POSTGRES:
        advice = f"move to PostgreSQL {OLDEST_POSTGRES} or newer"
        yield Finding("database", "fail", f"PostgreSQL {facts.postgres} is too old", advice)
    elif facts.revision != facts.needed:
        detail = f"its schema is at {facts.revision or 'nothing'}, this release needs {facts.needed}"
        advice = "run `knutpunkt migrate`; if the schema is the newer one, run the newer release"
        yield Finding("database", "fail", detail, advice)
    else:
        size = f"{facts.vitals.size / 2**20:.0f} MiB"
        yield Finding("database", "ok", f"PostgreSQL {facts.postgres}, schema {facts.revision}, {size}")


def _redis(facts: Facts) -> Iterator[Finding]:
    if facts.redis is not None:
        advice = "start Redis, or correct REDIS_URL; until then deliveries begin up to a second later"
        yield Finding("Redis", "warn", facts.redis, advice)
    elif facts.policy not in (None, "noeviction"):
        advice = "set `maxmemory-policy noeviction` on the Redis of the hub, and let nothing else use that database"
        yield Finding("Redis", "warn", f"maxmemory-policy is {facts.policy}: it may drop what waits in it", advice)
    elif not facts.settings.broker_url:
        yield Finding("Redis", "ok", "answers" + (", noeviction" if facts.policy else ""))
    if facts.broker is not None:
        advice = "start the broker, or correct HUB_BROKER_URL; until then deliveries begin up to a second later"
        yield Finding("broker", "warn", facts.broker, advice)
    elif facts.settings.broker_url:
        yield Finding("broker", "ok", "answers")


def _processes(facts: Facts) -> Iterator[Finding]:
    living = [sign.kind for sign in facts.vitals.signs if sign.age <= SILENT]
    missing: dict[str, tuple[Verdict, str]] = {
        "worker": ("fail", "nothing is delivered"),
        "beat": ("warn", "nothing is tidied up and nobody watches"),
    }
    if facts.stations:
        missing["bridge"] = ("fail", f"{facts.stations} chargers cannot connect")
    for kind, (verdict, means) in missing.items():
        if kind not in living:
            advice = f"start `knutpunkt {kind}`, or look at its last log lines"
            yield Finding("processes", verdict, f"no {kind} shows a sign of life: {means}", advice)
    if missing.keys() <= set(living):
        counted = [f"{living.count(kind)} {kind}" for kind in sorted(set(living))]
        yield Finding("processes", "ok", ", ".join(counted))


def _clock(facts: Facts) -> Iterator[Finding]:
    away = abs(facts.skew)
    if away < SKEW_NOTED:
        yield Finding("clock", "ok", "agrees with the database's")
        return
    detail = f"{away:.0f} s {'ahead of' if facts.skew > 0 else 'behind'} the database's"
    yield Finding("clock", "fail" if away > SKEW_BAD else "warn", detail, "have both machines set their clocks (NTP)")


def _addresses(facts: Facts) -> Iterator[Finding]:
    remote = [p for p in facts.vitals.platforms if p.versions_url and not _is_here(p.versions_url)]
    public = facts.settings.public_url
    if remote and _is_here(public):
        advice = "set HUB_PUBLIC_URL to the address partners reach the hub at, then renew the credentials with them"
        yield Finding("HUB_PUBLIC_URL", "fail", f"{public} leads partners to themselves, not to this hub", advice)
    elif remote and public.startswith("http://"):
        advice = "put TLS in front of the hub and set HUB_PUBLIC_URL to its https:// address"
        yield Finding("HUB_PUBLIC_URL", "warn", "partners' tokens travel in plain http", advice)
    else:
        yield Finding("HUB_PUBLIC_URL", "ok", public)
    bridge = facts.settings.bridge_url
    if facts.stations and bridge.startswith("ws://") and not _is_here(bridge):
        advice = "put TLS in front of the bridge and set HUB_BRIDGE_URL to its wss:// address"
        yield Finding("HUB_BRIDGE_URL", "warn", "chargers' passwords travel in plain text", advice)


def _settings(facts: Facts) -> Iterator[Finding]:
    found = [*slips(facts.unknown), *allowances(facts.settings), *weak_secrets(facts.settings)]
    yield from found or [Finding("settings", "ok", "nothing in them looks wrong")]


def _partners(facts: Facts) -> Iterator[Finding]:
    platforms = facts.vitals.platforms
    for platform in platforms:
        who, resume = f"platform {platform.id} ({platform.name})", f"`knutpunkt platform resume {platform.id}`"
        if platform.stopped_reason is not None and platform.status in ("CONNECTED", "OFFLINE"):
            yield Finding(
                "partners",
                "fail",
                f"{who} refuses the hub's token",
                f"renew the credentials with it; or, if it takes the token again, {resume}",
            )
        elif platform.status == "OFFLINE":
            yield Finding(
                "partners",
                "warn",
                f"{who} is OFFLINE",
                "ask the partner whether its back end runs; the hub goes on asking",
            )
        elif platform.status == "SUSPENDED" and platform.has_token:
            yield Finding("partners", "ok", f"{who} is SUSPENDED by the operator", f"{resume} lets it take part again")
        yield from _to_renew(platform, facts.mark)
    well = sum(platform.status == "CONNECTED" and platform.stopped_reason is None for platform in platforms)
    yield Finding("partners", "ok", f"{well} of {len(platforms)} platforms are connected and well")


def _to_renew(platform: PlatformRow, mark: str) -> Iterator[Finding]:
    """Tokens that are old, and a partner that knows endpoints of before (VER-013)."""
    who, rotate = f"platform {platform.id} ({platform.name})", f"`knutpunkt platform rotate {platform.id}`"
    if platform.status not in ("CONNECTED", "OFFLINE"):
        return
    if platform.age > OLD_TOKEN:
        detail = f"the tokens with {who} are {platform.age / 86_400:.0f} days old; once a month they should be new"
        yield Finding("partners", "warn", detail, f"{rotate}; or set HUB_TOKEN_RENEWAL")
    if platform.told not in (None, mark):
        detail = f"{who} was told endpoints of this hub that are not those of now"
        yield Finding("partners", "warn", detail, f"{rotate} has it read them anew")


def _debts(facts: Facts) -> Iterator[Finding]:
    parked = [row for row in facts.vitals.debts if row.parked]
    for row in parked[:NAMED]:
        detail = f"{row.receiver} refuses {row.parked} objects, first {row.first}: {row.reason}"
        yield Finding("deliveries", "warn", detail, f"`knutpunkt deliveries list --receiver {row.receiver} --parked`")
    if len(parked) > NAMED:
        detail = f"{len(parked) - NAMED} more receivers refuse objects"
        yield Finding("deliveries", "warn", detail, "`knutpunkt deliveries list --parked`")
    if not parked:
        owed = sum(row.owed for row in facts.vitals.debts)
        yield Finding("deliveries", "ok", f"nothing is parked, {owed} objects are tried again")


def _held(facts: Facts) -> Iterator[Finding]:
    for row in facts.vitals.held:
        yield Finding(
            "CDRs", "warn", f"{row.held} of {row.owner} are held: {row.reason}", "`knutpunkt cdr list --state held`"
        )


def _disk(facts: Facts) -> Iterator[Finding]:
    if facts.room is not None:
        yield room(*facts.room, "where HUB_DATA is")


def _alerts(facts: Facts) -> Iterator[Finding]:
    """Those that no check above has looked at itself."""
    for kind, subject, detail in facts.alerts:
        if kind in _ELSEWHERE:
            continue
        yield Finding("alerts", "warn", f"{kind} {subject}: {detail}", "`knutpunkt alerts` says what to do")


def _is_here(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


_ELSEWHERE = frozenset({"lane_stopped", "object_parked", "sweep_behind", "process_gone", "broker_away", "cdr_held"})
_CHECKS: Sequence[Callable[[Facts], Iterator[Finding]]] = (
    _database, _redis, _processes, _clock, _disk, _addresses, _settings, _partners, _debts, _held, _alerts,
)  # fmt: skip
