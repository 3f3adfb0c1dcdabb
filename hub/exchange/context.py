"""What a process of the hub works with: opened once at start, handed to every function of the exchange."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from hub.delivery import owed
from hub.delivery.bell import Bell
from hub.exchange import keep
from hub.exchange.call import Call, Reply
from hub.exchange.keep import Change
from hub.exchange.presence import Presence
from hub.exchange.token_owners import TokenOwners
from hub.ocpi import envelope
from hub.ocpi.client import Outbound
from hub.ocpi.module import Catalog
from hub.ocpi.patch import Outcome
from hub.ocpi.types import PartyId
from hub.settings import Settings
from hub.store.batches import Batches
from hub.store.db import Database
from hub.store.directory import DirectoryCache
from hub.store.journal import Journal
from hub.store.outgoing import Identity
from hub.store.seal import Seal

HostedCommands = Callable[["Hub", Call, str, dict[str, Any]], Awaitable[dict[str, Any]]]


@dataclass
class Hub:
    """The hub of this process. `hosted_commands` carries commands to hosted CPOs (the bridge registers it)."""

    settings: Settings
    catalog: Catalog
    db: Database
    seal: Seal
    outbound: Outbound
    directory: DirectoryCache
    bell: Bell
    journal: Journal
    presence: Presence
    hosted_commands: HostedCommands | None = None
    token_owners: TokenOwners = field(default_factory=TokenOwners)
    keeper: Batches[Change, Outcome] = field(init=False)
    confirmations: Batches[owed.Push, bool] = field(init=False)
    code: PartyId = field(init=False)
    base_url: str = field(init=False)

    def __post_init__(self) -> None:
        self.keeper = Batches(self.db, keep.apply_all, lambda change: change.identity)
        self.confirmations = Batches(self.db, owed.confirm, lambda push: push.place)
        self.code = PartyId.of(self.settings.country_code, self.settings.party_id)
        self.base_url = f"{self.settings.public_url.rstrip('/')}/ocpi/2.2.1"

    def answered(
        self,
        call: Call,
        decision: str,
        reply: Reply,
        *,
        status_code: int = envelope.SUCCESS,
        about: Identity | None = None,
        detail: str | None = None,
        changed: tuple[str, ...] = (),
    ) -> Reply:
        """Note how the hub itself answered a call, and hand the answer on."""
        facts = {"http_status": reply.http_status, "status_code": status_code, "detail": detail}
        self.journal.note(call.hop(self.code, decision, about=about, changed=changed, **facts), call.body, reply.body)
        return reply

    @property
    def versions_url(self) -> str:
        """Where partners find this hub's versions."""
        return f"{self.settings.public_url.rstrip('/')}/ocpi/versions"

    @property
    def endpoints_mark(self) -> str:
        """Stands for the endpoints published here: where it changes, partners must read them anew (VER-013)."""
        return hashlib.sha256("\n".join([self.base_url, *sorted(self.catalog)]).encode()).hexdigest()[:16]

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings, catalog: Catalog) -> AsyncIterator["Hub"]:
        """Open everything, and close it again in the opposite order."""
        settings.require("database_url", "broker", "secret_key")
        async with AsyncExitStack() as stack:
            db = Database(settings.database_url)
            stack.push_async_callback(db.close)
            outbound = await stack.enter_async_context(Outbound(settings.outbound_allow))
            seal = Seal(settings.secret_key)
            directory = DirectoryCache(db, seal, open_policy=settings.default_agreement == "open")
            await directory.start()
            stack.push_async_callback(directory.stop)
            journal = Journal(db, seal, settings.message_bodies)
            await journal.start()
            stack.push_async_callback(journal.stop)
            presence = Presence(db)
            await presence.start()
            stack.push_async_callback(presence.stop)
            bell = Bell(settings.broker)
            bell.start()
            stack.push_async_callback(asyncio.to_thread, bell.stop)
            yield cls(settings, catalog, db, seal, outbound, directory, bell, journal, presence)
