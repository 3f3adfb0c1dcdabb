"""The ways to the database. Either is one transaction: committed at the end, rolled back on an exception.

`unit_of_work` runs SQL as text, straight on the driver: what every message passes. `session` is SQLModel's, for rows of
tables where people are the pace: it costs some three times the CPU. Functions that only run text take `Statements`,
and work in both.

The application works as the role `knutpunkt_app`, which may neither update nor delete the ledger, and row-level
security shows it only what `unit_of_work(party)` names: "*" is the hub itself, "NL*CPA" one party. A session
that names nobody sees nothing.
"""

import asyncio
import functools
import re
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Protocol

import asyncpg
import msgspec
import sqlalchemy.ext.asyncio
import sqlalchemy.orm
import sqlmodel
from sqlalchemy import URL, TextClause, make_url, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.ocpi import json
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
_PATIENCE = 5.0  # seconds
_HANGING = 25.0  # seconds after which a statement's connection is given up: longer than the server's own limit
_SET_PARTY = text("SELECT set_config('hub.party', :party, true)")
_NOT_SYNCED = "set_config('synchronous_commit', 'off', true)"
_NAMED = re.compile(r"(?<![:\w\\]):(\w+)(?!:)")


_PASSING = (
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # what the driver says when the server ends the connection between two statements
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    asyncpg.LockNotAvailableError,
    asyncpg.PostgresSystemError,
)
"""What the driver raises for reasons that are not the statement's and may be over in a moment."""

FAULTS = (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""Everything that can go wrong with the database. (A time-out is an OSError.)"""


class DatabaseUnable(ConnectionError):
    """The database cannot do it at present: away, full, restarting. What was begun is rolled back, or never was."""


class Statements(Protocol):
    """What runs SQL as text with named parameters: a `Unit` or a `Session`."""

    async def execute(self, statement: TextClause, params: Mapping[str, Any] | None = None, /) -> Any:
        """The rows."""


class Row(asyncpg.Record):  # type: ignore[misc]  # the package ships no type information
    """A row: by position, by name, by attribute, or as a mapping."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class Rows(Sequence[Any]):
    """The rows of a statement, read whole."""

    def __init__(self, rows: list[Any]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, place: Any) -> Any:
        return self._rows[place]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._rows)

    def all(self) -> list[Any]:
        """Every row."""
        return self._rows

    def first(self) -> Any:
        """The first row, None when there is none."""
        return self._rows[0] if self._rows else None

    def one_or_none(self) -> Any:
        """The only row, None when there is none."""
        if len(self._rows) > 1:
            raise LookupError("one row expected, there are more")
        return self.first()

    def one(self) -> Any:
        """The only row."""
        if len(self._rows) != 1:
            raise LookupError(f"one row expected, there are {len(self._rows)}")
        return self._rows[0]

    def scalar_one(self) -> Any:
        """The first column of the only row."""
        return self.one()[0]

    def scalars(self) -> "Rows":
        """The first column of every row."""
        return Rows([row[0] for row in self._rows])

    def mappings(self) -> "Rows":
        """The rows as mappings, which they are already."""
        return self


class Unit:
    """A transaction that runs SQL as text."""

    def __init__(self, connection: "asyncpg.pool.PoolConnectionProxy[Row]") -> None:
        self._connection = connection

    async def execute(self, statement: TextClause, params: Mapping[str, Any] | None = None, /) -> Rows:
        """Run a statement. Its parameters take the types PostgreSQL infers: cast where it cannot."""
        sql, names = positional(statement.text)
        return Rows(await self._connection.fetch(sql, *[params[name] for name in names] if params else ()))

    async def copy(self, table: str, columns: Sequence[str], rows: Collection[Sequence[Any]]) -> None:
        """Add rows to a table, many at less than half the cost of an INSERT."""
        await self._connection.copy_records_to_table(table, records=rows, columns=columns)


@functools.lru_cache(maxsize=1024)
def positional(sql: str) -> tuple[str, tuple[str, ...]]:
    """SQL with :name parameters as the driver wants it ($1, $2), and the names in that order."""
    names: dict[str, int] = {}

    def number(found: re.Match[str]) -> str:
        return f"${names.setdefault(found[1], len(names) + 1)}"

    return _NAMED.sub(number, sql), tuple(names)


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
    """Two pools of `pool_size` connections as the application role: the driver's own, and SQLAlchemy's. `patience` is
    the seconds that a unit of work waits for a connection, be it free or new, and then for its first answer."""

    def __init__(self, url: str, pool_size: int = 10) -> None:
        self.url = url
        self.patience = _PATIENCE
        self._size = pool_size
        self._opening = asyncio.Lock()
        self._pool: asyncpg.Pool[Row] | None = None
        self.engine: AsyncEngine = create_async_engine(
            driver_url(url, "asyncpg"),
            pool_size=pool_size,
            max_overflow=0,  # what goes beyond would be opened and closed for every use
            pool_timeout=_PATIENCE,
            json_serializer=_json,
            connect_args={"server_settings": _SERVER_SETTINGS, "timeout": _PATIENCE},
        )

    @asynccontextmanager
    async def unit_of_work(self, party: PartyId | str = HUB_ITSELF, *, synced: bool = True) -> AsyncIterator[Unit]:
        """One transaction in the name of `party`, for SQL as text. Raises DatabaseUnable. One that is not `synced` does
        not wait for the disk, and a crash of the server may lose it: only for what nobody builds on."""
        async with self._connected() as connection:
            await self._begin(connection, party, synced)
            yield Unit(connection)
            if await connection.execute("COMMIT") != "COMMIT":
                raise DatabaseUnable("the transaction had failed, nothing of it was kept")

    @asynccontextmanager
    async def _connected(self) -> "AsyncIterator[asyncpg.pool.PoolConnectionProxy[Row]]":
        pool = self._pool or await self._open()
        try:
            connection = await pool.acquire(timeout=self.patience)
        except TimeoutError as error:
            raise self._unable() from error
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            raise DatabaseUnable(f"no connection to the database: {type(error).__name__}") from error
        try:
            yield connection
        except _PASSING as error:
            raise DatabaseUnable(f"the database could not do it: {type(error).__name__}") from error
        finally:
            await _give_back(pool, connection)

    async def alone(self, statement: TextClause, params: Mapping[str, Any]) -> Rows:
        """The rows of a statement that is a transaction by itself: one round trip, where a unit of work takes three. It
        names its party with set_config('hub.party', :party, true), or sees nothing. Raises DatabaseUnable."""
        async with self._connected() as connection:
            sql, names = positional(statement.text)
            try:
                return Rows(await connection.fetch(sql, *[params[name] for name in names], timeout=_PATIENCE))
            except TimeoutError as error:
                connection.terminate()
                raise DatabaseUnable(f"the database did not answer within {_PATIENCE:g} s") from error

    @asynccontextmanager
    async def session(self, party: PartyId | str = HUB_ITSELF) -> AsyncIterator[AsyncSession]:
        """One transaction in the name of `party`, for rows of tables."""
        async with Session(self.engine, expire_on_commit=False) as session, session.begin():
            await session.execute(_SET_PARTY, {"party": str(party)})
            yield session

    async def _begin(
        self, connection: "asyncpg.pool.PoolConnectionProxy[Row]", party: PartyId | str, synced: bool
    ) -> None:
        begin = f"BEGIN; SELECT set_config('hub.party', {_quoted(str(party))}, true)"
        try:
            await connection.execute(begin if synced else f"{begin}, {_NOT_SYNCED}", timeout=self.patience)
        except TimeoutError as error:  # so short a statement: the server hangs, and would let everybody wait
            connection.terminate()
            raise self._unable() from error

    def _unable(self) -> DatabaseUnable:
        return DatabaseUnable(f"the database did not answer within {self.patience:g} s")

    async def close(self) -> None:
        """Give every connection back."""
        await self.engine.dispose()
        if self._pool is not None:
            self._pool.terminate()

    async def _open(self) -> "asyncpg.Pool[Row]":
        async with self._opening:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    driver_url(self.url, "asyncpg").set(drivername="postgresql").render_as_string(hide_password=False),
                    min_size=0,
                    max_size=self._size,
                    timeout=_PATIENCE,
                    command_timeout=_HANGING,
                    max_inactive_connection_lifetime=300,
                    statement_cache_size=512,
                    server_settings=_SERVER_SETTINGS,
                    record_class=Row,
                    init=_read_json,
                    reset=_nothing_to_reset,
                )
        return self._pool


def _json(value: object) -> str:
    """JSON of partners has Decimals in it, even where the specification has no numbers."""
    return json.dumps(value).decode()


async def _read_json(connection: asyncpg.Connection) -> None:
    """JSON comes as values, and goes in as text."""
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=str, decoder=msgspec.json.decode)


async def _nothing_to_reset(_: object) -> None:
    """A transaction leaves nothing behind on its connection: no locks, no settings, no listeners."""


async def _give_back(pool: "asyncpg.Pool[Row]", connection: "asyncpg.pool.PoolConnectionProxy[Row]") -> None:
    """Roll back what was not committed; a connection on which that fails is of no use any more."""
    with suppress(asyncpg.InterfaceError):  # the pool has dropped a connection that was lost
        try:
            if connection.is_in_transaction():
                with suppress(asyncpg.PostgresError, asyncpg.InternalClientError, OSError):
                    await connection.execute("ROLLBACK", timeout=_PATIENCE)
        finally:
            if connection.is_in_transaction():
                connection.terminate()
            await pool.release(connection)


def _quoted(literal: str) -> str:
    return "'" + literal.replace("'", "''") + "'"
