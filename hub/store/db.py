"""The one way to the database: `unit_of_work` opens a session, and a session is a transaction.

The application works as the role `knutpunkt_app`, which may neither update nor delete the ledger, and row-level
security shows it only what `unit_of_work(party)` names: "*" is the hub itself, "NL*CPA" one party. A session
that names nobody sees nothing.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import sqlalchemy.ext.asyncio
import sqlalchemy.orm
import sqlmodel
from sqlalchemy import URL, make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.ocpi.types import PartyId

APPLICATION_ROLE = "knutpunkt_app"
HUB_ITSELF = "*"

# A writer that hangs must not hold locks: both limits are far above what any statement of ours takes.
_SERVER_SETTINGS = {
    "role": APPLICATION_ROLE,
    "application_name": "knutpunkt",
    "statement_timeout": "20000",
    "idle_in_transaction_session_timeout": "20000",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
_SET_PARTY = text("SELECT set_config('hub.party', :party, true)")


def driver_url(url: str, driver: str) -> URL:
    """The same database through another driver: `asyncpg` at run time, `psycopg` for migrations."""
    return make_url(url).set(drivername=f"postgresql+{driver}")


class _SyncSession(sqlmodel.Session):
    execute = sqlalchemy.orm.Session.execute


class Session(AsyncSession):
    """SQLModel's session for rows of tables (`exec`), and for SQL as text SQLAlchemy's own `execute`, which SQLModel
    hides behind a warning at every call."""

    sync_session_class = _SyncSession
    execute = sqlalchemy.ext.asyncio.AsyncSession.execute


class Database:
    """A pool of connections as the application role."""

    def __init__(self, url: str, pool_size: int = 10) -> None:
        self.url = url
        self.engine: AsyncEngine = create_async_engine(
            driver_url(url, "asyncpg"),
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_timeout=5,
            connect_args={"server_settings": _SERVER_SETTINGS, "timeout": 5},
        )

    @asynccontextmanager
    async def unit_of_work(self, party: PartyId | str = HUB_ITSELF) -> AsyncIterator[AsyncSession]:
        """One transaction in the name of `party`: committed at the end, rolled back on an exception."""
        async with Session(self.engine, expire_on_commit=False) as session, session.begin():
            await session.execute(_SET_PARTY, {"party": str(party)})
            yield session

    async def close(self) -> None:
        """Give every connection back."""
        await self.engine.dispose()
