"""The directory: a read-only picture of platforms, parties, tokens, endpoints and agreements, held in memory.

Every hot path asks it instead of the database. A change of the tables bumps a version and notifies
(`hub.store.parties.touch`); `DirectoryCache` reloads then, looks at the version each second in case a notification
was lost, and can be told to look at once (`refresh`) before an unknown token is refused.
"""

import asyncio
import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import asyncpg
import msgspec
import structlog
from sqlalchemy import make_url, text

from hub.ocpi import quirks
from hub.ocpi.quirks import BY_THE_LETTER, Quirks
from hub.ocpi.types import PartyId
from hub.store import parties, peers
from hub.store.db import Database, Statements
from hub.store.peers import Brought
from hub.store.seal import Seal, hash_token

log = structlog.get_logger(__name__)

BEST_FIRST = ("CONNECTED", "OFFLINE", "PLANNED", "SUSPENDED")
"""ConnectionStatus, from the best to the worst."""

TAKING_PART = frozenset({"CONNECTED", "OFFLINE"})
"""The ConnectionStatus of parties that are registered with a hub and may act there."""


@dataclass(frozen=True)
class PlatformView:
    """A platform as the rest of the hub sees it; `token_out` is what the hub must show to it.

    `is_hub`: a party of it is in role HUB. `behind` are the parties that it may speak for beside its own (CRED-055),
    and `voices` those whose agreements decide what it is shown: its own, those behind it, those that may come.
    `quirks`: how it departs from the letter of OCPI; `pull`: the modules to pull from it, None leaves it to the hub.
    """

    id: int
    name: str
    hosted: bool
    status: str
    versions_url: str | None
    token_out: str | None
    token_form: str
    resync: str
    strict: bool
    endpoints: Mapping[tuple[str, str], str]
    parties: tuple[PartyId, ...] = ()
    is_hub: bool = False
    behind: frozenset[PartyId] = frozenset()
    voices: frozenset[PartyId] = frozenset()
    quirks: Quirks = BY_THE_LETTER
    pull: tuple[str, ...] | None = None
    short_retry: bool = True

    def endpoint(self, module: str, role: str) -> str | None:
        """The URL this platform published for `module` in interface role SENDER or RECEIVER."""
        return self.endpoints.get((module, role))


@dataclass(frozen=True)
class PartyView:
    """A party with its roles (CPO, EMSP, ...) and the platform it is reached at.

    `announced` is the status that a peer hub announced of it in each role; None for a party registered here.
    """

    id: int
    code: PartyId
    roles: frozenset[str]
    platform: PlatformView
    name: str
    announced: Mapping[str, str] | None = None

    @property
    def behind(self) -> bool:
        """Whether it is reached through a peer hub."""
        return self.announced is not None

    @property
    def status(self) -> str:
        """The ConnectionStatus that a sender sees."""
        return min(map(self.status_in, self.roles), key=BEST_FIRST.index, default=self.platform.status)

    def status_in(self, role: str) -> str:
        """The ConnectionStatus in one role: never better than that of the platform."""
        if self.announced is None or self.platform.status != "CONNECTED":
            return self.platform.status
        return self.announced[role]


@dataclass(frozen=True)
class AgreementView:
    """What a pair of parties allows: `modules` None is all of them. `off` names the options that are switched off."""

    a: PartyId
    direction: str
    modules: frozenset[str] | None
    off: frozenset[str] = frozenset()

    def allows(self, source: PartyId, module: str) -> bool:
        """Whether data of `module` may flow from `source` to the other party of the pair."""
        if self.modules is not None and module not in self.modules:
            return False
        wanted = "a_to_b" if source == self.a else "b_to_a"
        return self.direction in ("both", wanted)


@dataclass(frozen=True)
class Access:
    """What a shown token stands for. `watched`: its platform is to show which of two tokens it uses (rotations)."""

    platform: PlatformView
    kind: str
    expires_at: datetime | None
    hash: bytes = b""
    watched: bool = False


@dataclass(frozen=True)
class Directory:
    """One consistent picture. `open_policy` is HUB_DEFAULT_AGREEMENT=open, `behind` are the parties behind peer hubs,
    `planned` the (platform, party, role) that are invited and not registered."""

    version: int = 0
    open_policy: bool = True
    platforms: Mapping[int, PlatformView] = field(default_factory=dict)
    by_code: Mapping[PartyId, PartyView] = field(default_factory=dict)
    access: Mapping[bytes, Access] = field(default_factory=dict)
    agreements: Mapping[frozenset[PartyId], AgreementView] = field(default_factory=dict)
    behind: Mapping[PartyId, PartyView] = field(default_factory=dict)
    planned: frozenset[tuple[int, PartyId, str]] = frozenset()

    @property
    def parties(self) -> tuple[PartyView, ...]:
        """Every party registered here, hosted ones included."""
        return tuple(self.by_code.values())

    def party(self, code: PartyId) -> PartyView | None:
        """The party with this code, registered here or else behind a peer hub."""
        return self.by_code.get(code) or self.behind.get(code)

    def platform(self, platform_id: int) -> PlatformView:
        """The platform with this number; KeyError when there is none."""
        return self.platforms[platform_id]

    def by_token(self, token: str, now: datetime) -> Access | None:
        """Who shows this token, None when nobody may."""
        found = self.access.get(hash_token(token))
        if found is None or (found.expires_at is not None and found.expires_at <= now):
            return None
        return found

    def allows(self, source: PartyId, target: PartyId, module: str) -> bool:
        """Whether data of `module` may flow from `source` to `target` (source: who pushes, owns, commands, asks)."""
        agreement = self.agreements.get(frozenset((source, target)))
        return self.open_policy if agreement is None else agreement.allows(source, module)

    def related(self, one: PartyId, other: PartyId) -> bool:
        """Whether two parties may communicate at all, in any module and either way."""
        agreement = self.agreements.get(frozenset((one, other)))
        return self.open_policy if agreement is None else agreement.modules is None or bool(agreement.modules)

    def agreed(self, one: PartyId, other: PartyId) -> bool:
        """Whether two parties have an agreement of their own, rather than the hub's default policy."""
        return frozenset((one, other)) in self.agreements

    def option(self, one: PartyId, other: PartyId, name: str) -> bool:
        """Whether an option holds between two parties: all are on unless their agreement switches them off.

        `custody`: the hub takes a CDR for a receiver that is away. `authorise`: the eMSP is asked about tokens that
        nobody has pushed.
        """
        agreement = self.agreements.get(frozenset((one, other)))
        return agreement is None or name not in agreement.off


class _PlatformRow(msgspec.Struct):
    id: int
    name: str
    hosted: bool
    status: str
    versions_url: str | None
    token_out: bytes | None
    token_form: str
    resync: str
    strict: bool
    quirks: dict[str, Any]
    pull: list[str] | None
    short_retry: bool


class _PartyRow(msgspec.Struct):
    id: int
    code: str
    platform_id: int
    roles: list[str]
    name: str


class _AccessRow(msgspec.Struct):
    hash: bytes
    platform_id: int
    kind: str
    expires_at: datetime | None
    watched: bool


class _AgreementRow(msgspec.Struct):
    a: str
    b: str
    modules: list[str] | None
    direction: str
    options: dict[str, Any]


class _Rows(msgspec.Struct):
    version: int
    platforms: list[_PlatformRow]
    endpoints: list[tuple[int, str, str, str]]
    parties: list[_PartyRow]
    access: list[_AccessRow]
    agreements: list[_AgreementRow]
    admitted: list[tuple[int, str, str]]
    behind: list[tuple[int, str, str]]
    announced: list[tuple[int, str, str, str]]


_READ = text("""
SELECT CAST(json_build_object(
    'version', (SELECT value FROM counter WHERE name = 'directory'),
    'platforms', (SELECT COALESCE(json_agg(json_build_object('id', id, 'name', name, 'hosted', hosted, 'status', status,
        'versions_url', versions_url, 'token_out', translate(encode(token_out, 'base64'), E'\\n', ''),
        'token_form', token_form, 'resync', resync, 'strict', strict, 'quirks', quirks, 'pull', pull,
        'short_retry', short_retry)), '[]')
        FROM platform),
    'endpoints', (SELECT COALESCE(json_agg(json_build_array(platform_id, module, role, url)), '[]') FROM endpoint),
    'parties', (SELECT COALESCE(json_agg(json_build_object('id', id, 'code', code, 'platform_id', platform_id,
        'roles', roles, 'name', COALESCE(business_details->>'name', code)) ORDER BY id), '[]') FROM party),
    'access', (SELECT COALESCE(json_agg(json_build_object('hash', translate(encode(hash, 'base64'), E'\\n', ''),
        'platform_id', platform_id, 'kind', kind, 'expires_at', expires_at, 'watched', EXISTS (SELECT FROM rotation r
        WHERE r.platform_id = t.platform_id AND r.outcome IS NULL))), '[]') FROM access_token t),
    'agreements', (SELECT COALESCE(json_agg(json_build_object('a', a, 'b', b, 'modules', modules,
        'direction', direction, 'options', options)), '[]') FROM agreement),
    'admitted', (SELECT COALESCE(json_agg(json_build_array(platform_id, code, role)), '[]') FROM admission),
    'behind', (SELECT COALESCE(json_agg(json_build_array(platform_id, code, role)), '[]') FROM behind),
    'announced', (SELECT COALESCE(json_agg(json_build_array(platform_id, code, role, status)), '[]') FROM announced)
) AS text)
""")


async def load(session: Statements, seal: Seal, open_policy: bool) -> Directory:
    """Read the picture, in one statement: it is of one moment."""
    rows = msgspec.json.decode((await session.execute(_READ)).scalar_one(), type=_Rows)
    endpoints: dict[int, dict[tuple[str, str], str]] = {}
    for platform_id, module, role, url in rows.endpoints:
        endpoints.setdefault(platform_id, {})[(module, role)] = url
    codes: dict[int, list[PartyId]] = {}
    for party in rows.parties:
        codes.setdefault(party.platform_id, []).append(PartyId.parse(party.code))
    hubs = {party.platform_id for party in rows.parties if "HUB" in party.roles}
    announced = peers.brought(hubs, {party.code for party in rows.parties}, rows.behind, rows.announced)
    platforms = {
        row.id: _with_peers(
            _platform(row, seal, endpoints.get(row.id, {}), tuple(codes.get(row.id, ()))),
            announced.get(row.id),
        )
        for row in rows.platforms
    }
    views = [
        PartyView(party.id, PartyId.parse(party.code), frozenset(party.roles), platforms[party.platform_id], party.name)
        for party in rows.parties
    ]
    access = {
        row.hash: Access(platforms[row.platform_id], row.kind, row.expires_at, row.hash, row.watched)
        for row in rows.access
    }
    agreements = {
        frozenset((PartyId.parse(row.a), PartyId.parse(row.b))): AgreementView(
            PartyId.parse(row.a),
            row.direction,
            None if row.modules is None else frozenset(row.modules),
            frozenset(name for name, value in row.options.items() if value is False),
        )
        for row in rows.agreements
    }
    return Directory(
        rows.version, open_policy, platforms, {view.code: view for view in views}, access, agreements,
        _behind(platforms, announced), _planned(rows),
    )  # fmt: skip


def _with_peers(platform: PlatformView, peer: Brought | None) -> PlatformView:
    """A platform, and if it is a peer hub who may speak through it."""
    if peer is None:
        return replace(platform, voices=frozenset(platform.parties))
    taking_part = frozenset(code for code, roles in peer.statuses.items() if TAKING_PART & set(roles.values()))
    voices = peer.named | peer.statuses.keys() | set(platform.parties)
    return replace(platform, is_hub=True, behind=taking_part, voices=voices)


def _behind(platforms: Mapping[int, PlatformView], announced: Mapping[int, Brought]) -> dict[PartyId, PartyView]:
    """The parties behind peer hubs. One that several announce is reached where it is doing best."""
    found: dict[PartyId, PartyView] = {}
    for number, peer in sorted(announced.items()):
        for code, statuses in peer.statuses.items():
            here = {role: status for role, status in statuses.items() if status in TAKING_PART} or statuses
            view = PartyView(0, code, frozenset(here), platforms[number], str(code), statuses)
            known = found.get(code)
            if known is None or BEST_FIRST.index(view.status) < BEST_FIRST.index(known.status):
                found[code] = view
    return found


def _planned(rows: _Rows) -> frozenset[tuple[int, PartyId, str]]:
    """The roles that are invited and not registered."""
    here = {(party.code, role) for party in rows.parties for role in party.roles}
    return frozenset(
        (platform_id, PartyId.parse(code), role)
        for platform_id, code, role in rows.admitted
        if (code, role) not in here
    )


def _platform(
    row: _PlatformRow, seal: Seal, endpoints: Mapping[tuple[str, str], str], codes: tuple[PartyId, ...]
) -> PlatformView:
    token = seal.open(row.token_out) if row.token_out is not None else None
    return PlatformView(
        row.id, row.name, row.hosted, row.status, row.versions_url, token, row.token_form, row.resync, row.strict,
        endpoints, codes, quirks=quirks.read(row.quirks), pull=None if row.pull is None else tuple(row.pull),
        short_retry=row.short_retry,
    )  # fmt: skip


class DirectoryCache:
    """The current Directory of this process, kept fresh in the background."""

    def __init__(self, db: Database, seal: Seal, open_policy: bool) -> None:
        self._db, self._seal, self._open_policy = db, seal, open_policy
        self._lock = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self.looked_at = 0.0
        self.now = Directory(open_policy=open_policy)

    async def refresh(self) -> Directory:
        """Look at the version and load again if it moved."""
        async with self._lock, self._db.unit_of_work() as unit:
            if await parties.version(unit) != self.now.version:
                self.now = await load(unit, self._seal, self._open_policy)
        self.looked_at = time.monotonic()
        return self.now

    async def start(self) -> None:
        """Load, then keep up in the background."""
        await self.refresh()
        self._task = asyncio.create_task(self._keep_up(), name="directory")

    async def stop(self) -> None:
        """End the background task."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _keep_up(self) -> None:
        while True:
            try:
                await self._listen()
            except Exception as error:  # the database may be away: the old picture serves until it is back
                log.warning("directory not refreshed, will try again in 1 s", error=repr(error))
                await asyncio.sleep(1)

    async def _listen(self) -> None:
        """Refresh at each notification and each second, until the connection breaks."""
        dsn = make_url(self._db.url).set(drivername="postgresql").render_as_string(hide_password=False)
        connection = await asyncpg.connect(dsn, timeout=5)
        try:
            await connection.add_listener("directory", lambda *_: self._wake.set())
            while not connection.is_closed():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(1):
                        await self._wake.wait()
                self._wake.clear()
                await self.refresh()
        finally:
            connection.terminate()
