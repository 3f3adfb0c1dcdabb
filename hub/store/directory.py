"""The directory: a read-only picture of platforms, parties, tokens, endpoints and agreements, held in memory.

Every hot path asks it instead of the database. A change of the tables bumps a version and notifies
(`hub.store.parties.touch`); `DirectoryCache` reloads then, looks at the version each second in case a notification
was lost, and can be told to look at once (`refresh`) before an unknown token is refused.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import asyncpg
import structlog
from sqlalchemy import make_url
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.ocpi.types import PartyId
from hub.store import parties
from hub.store.db import Database
from hub.store.parties import AccessToken, Agreement, Endpoint, Party, Platform
from hub.store.seal import Seal, hash_token

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class PlatformView:
    """A platform as the rest of the hub sees it; `token_out` is what the hub must show to it."""

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

    def endpoint(self, module: str, role: str) -> str | None:
        """The URL this platform published for `module` in interface role SENDER or RECEIVER."""
        return self.endpoints.get((module, role))


@dataclass(frozen=True)
class PartyView:
    """A party with its roles (CPO, EMSP, ...) and the platform it is reached at."""

    id: int
    code: PartyId
    roles: frozenset[str]
    platform: PlatformView
    name: str


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
    """What a shown token stands for."""

    platform: PlatformView
    kind: str
    expires_at: datetime | None


@dataclass(frozen=True)
class Directory:
    """One consistent picture. `open_policy` is HUB_DEFAULT_AGREEMENT=open."""

    version: int = 0
    open_policy: bool = True
    platforms: Mapping[int, PlatformView] = field(default_factory=dict)
    by_code: Mapping[PartyId, PartyView] = field(default_factory=dict)
    access: Mapping[bytes, Access] = field(default_factory=dict)
    agreements: Mapping[frozenset[PartyId], AgreementView] = field(default_factory=dict)

    @property
    def parties(self) -> tuple[PartyView, ...]:
        """Every party, hosted ones included."""
        return tuple(self.by_code.values())

    def party(self, code: PartyId) -> PartyView | None:
        """The party with this code."""
        return self.by_code.get(code)

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

    def option(self, one: PartyId, other: PartyId, name: str) -> bool:
        """Whether an option holds between two parties: all are on unless their agreement switches them off.

        `custody`: the hub takes a CDR for a receiver that is away. `authorise`: the eMSP is asked about tokens that
        nobody has pushed.
        """
        agreement = self.agreements.get(frozenset((one, other)))
        return agreement is None or name not in agreement.off


async def load(session: AsyncSession, seal: Seal, open_policy: bool) -> Directory:
    """Read the picture in one transaction."""
    version = await parties.version(session)
    endpoints: dict[int, dict[tuple[str, str], str]] = {}
    for row in await session.exec(select(Endpoint)):
        endpoints.setdefault(row.platform_id, {})[(row.module, row.role)] = row.url
    party_rows = list(await session.exec(select(Party).order_by("id")))
    codes: dict[int, list[PartyId]] = {}
    for party in party_rows:
        codes.setdefault(party.platform_id, []).append(PartyId.parse(party.code))
    platforms = {
        row.id: _platform(row, seal, endpoints.get(row.id, {}), tuple(codes.get(row.id, ())))
        for row in await session.exec(select(Platform))
        if row.id is not None
    }
    views = [
        PartyView(
            party.id or 0,
            PartyId.parse(party.code),
            frozenset(party.roles),
            platforms[party.platform_id],
            str(party.business_details.get("name", party.code)),
        )
        for party in party_rows
    ]
    access = {
        row.hash: Access(platforms[row.platform_id], row.kind, row.expires_at)
        for row in await session.exec(select(AccessToken))
    }
    agreements = {
        frozenset((PartyId.parse(row.a), PartyId.parse(row.b))): AgreementView(
            PartyId.parse(row.a),
            row.direction,
            None if row.modules is None else frozenset(row.modules),
            frozenset(name for name, value in row.options.items() if value is False),
        )
        for row in await session.exec(select(Agreement))
    }
    return Directory(version, open_policy, platforms, {view.code: view for view in views}, access, agreements)


def _platform(
    row: Platform, seal: Seal, endpoints: Mapping[tuple[str, str], str], codes: tuple[PartyId, ...]
) -> PlatformView:
    token = seal.open(row.token_out) if row.token_out is not None else None
    return PlatformView(
        row.id or 0, row.name, row.hosted, row.status, row.versions_url, token, row.token_form, row.resync, row.strict,
        endpoints, codes,
    )  # fmt: skip


class DirectoryCache:
    """The current Directory of this process, kept fresh in the background."""

    def __init__(self, db: Database, seal: Seal, open_policy: bool) -> None:
        self._db, self._seal, self._open_policy = db, seal, open_policy
        self._lock = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self.now = Directory(open_policy=open_policy)

    async def refresh(self) -> Directory:
        """Look at the version and load again if it moved."""
        async with self._lock:
            async with self._db.unit_of_work() as unit:
                moved = await parties.version(unit) != self.now.version
            if moved:
                async with self._db.session() as session:
                    self.now = await load(session, self._seal, self._open_policy)
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
