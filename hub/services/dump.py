"""Backups of the hub's database, written and read by PostgreSQL's own `pg_dump` and `pg_restore`.

A backup is an archive of pg_dump: a file, or with several jobs a folder. It stands under its name only when it is
whole. It holds the database alone: no keys. HUB_SECRET_KEY must be kept beside it, in another place.
"""

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from sqlalchemy import make_url

from hub.services import ServiceError, binaries
from hub.settings import reason
from hub.store import migrate
from hub.store.db import APPLICATION_ROLE

ASIDE = "before_restore"
"""The schema in which the old state waits until the new one is whole."""

_IS_FILLED = "SELECT EXISTS (SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace)"
_HUBS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'knutpunkt'"
    " AND pid <> pg_backend_pid()"
)
_ROLE = f"""
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{APPLICATION_ROLE}') THEN
        CREATE ROLE {APPLICATION_ROLE} NOLOGIN;
    END IF;
END $$;
GRANT {APPLICATION_ROLE} TO CURRENT_USER;
"""
_FRESH = "CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO PUBLIC"


@dataclass(frozen=True)
class About:
    """What a backup says of itself: its schema; when it began and by which release, None where that is not known."""

    revision: str
    begun_at: str | None
    version: str | None


async def write(url: str, target: Path, jobs: int) -> int:
    """Write a backup to `target`, which must not be there yet; its size in bytes. Raises ServiceError."""
    if _is_there(target):
        raise ServiceError(f"{target} is there already: choose another name, or remove it")
    async with connected(url) as connection:
        major = connection.get_server_version().major
    draft = target.with_name(target.name + ".part")
    form = ("--format=directory", f"--jobs={jobs}") if jobs > 1 else ("--format=custom",)
    try:
        _remove(draft)
        await _run(await _tool("pg_dump", major), url, *form, f"--file={draft}")
        size = _flushed(draft)
        draft.rename(target)
    except OSError as error:
        raise ServiceError(f"{target} cannot be written: {reason(error)}") from None
    finally:
        _remove(draft)
    return size


async def about(source: Path) -> About:
    """What a backup says of itself. Raises ServiceError when it is none, or was made by a newer release."""
    if not _is_there(source):
        raise ServiceError(f"there is no {source}")
    program = await _tool("pg_restore", 0)
    listed = ("--data-only", "--table=alembic_version", "--table=backup", "--file=-", str(source))
    words = (await _run(program, None, *listed)).decode(errors="replace")
    revisions = _rows(words, "alembic_version")
    if not revisions:
        raise ServiceError(f"{source} is no backup of a hub")
    begun = max(_rows(words, "backup"), key=lambda row: int(row["id"]), default={})
    found = About(revisions[0]["version_num"], begun.get("begun_at"), begun.get("version"))
    if not migrate.knows(found.revision):
        maker = f"Knutpunkt {found.version}" if found.version else "a newer release"
        raise ServiceError(f"{source} was made by {maker}, whose schema this release does not know: use that release")
    return found


async def read(url: str, source: Path, jobs: int, *, replace: bool) -> None:
    """Restore a backup into an empty database, or with `replace` in the place of what is there; whole, or not at all.
    Raises ServiceError."""
    async with connected(url) as connection:
        major = connection.get_server_version().major
        await refuse_running(connection)
        filled = await connection.fetchval(_IS_FILLED)
        waiting = await connection.fetchval("SELECT to_regnamespace($1) IS NOT NULL", ASIDE)
        if (filled or waiting) and not replace:
            raise ServiceError(
                "the database is not empty: restore into an empty one, or give --replace to give up what is in it"
            )
        if waiting:  # a restore was killed: what it had begun is of no use
            await connection.execute(f"DROP SCHEMA public CASCADE; {_FRESH}")
        elif filled:
            await connection.execute(f"ALTER SCHEMA public RENAME TO {ASIDE}; {_FRESH}")
        await connection.execute(_ROLE)
    try:
        how = (f"--jobs={jobs}",) if jobs > 1 and _is_folder(source) else ("--single-transaction",)
        options = ("--no-owner", "--exit-on-error", *how)
        await _run(await _tool("pg_restore", major), url, *options, str(source))
        await asyncio.to_thread(migrate.upgrade, url)
    except BaseException:
        await _put_back(url)
        raise
    async with connected(url) as connection:
        await connection.execute(f"DROP SCHEMA IF EXISTS {ASIDE} CASCADE")
        await connection.execute("ANALYZE")


async def refuse_running(connection: asyncpg.Connection) -> None:
    """ServiceError while processes of a hub are connected."""
    if await connection.fetchval(_HUBS):
        raise ServiceError("a hub is running on this database: stop all of its processes first")


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection as the owner of the database. Raises ServiceError."""
    try:
        connection = await asyncpg.connect(
            make_url(url).set(drivername="postgresql").render_as_string(False), timeout=10
        )
    except (asyncpg.PostgresError, OSError) as error:
        raise ServiceError(
            f"the database does not answer ({type(error).__name__}): start it, or check the URL"
        ) from None
    try:
        yield connection
    except asyncpg.PostgresError as error:
        raise ServiceError(f"the database refuses it: {error}") from None
    finally:
        await connection.close()


async def _put_back(url: str) -> None:
    async with connected(url) as connection:
        aside = await connection.fetchval("SELECT to_regnamespace($1) IS NOT NULL", ASIDE)
        then = f"ALTER SCHEMA {ASIDE} RENAME TO public" if aside else _FRESH
        await connection.execute(f"DROP SCHEMA public CASCADE; {then}")


async def _tool(name: str, major: int) -> Path:
    """The program of the server's own version, else of the next newer one: an older one does not understand it."""
    found = [one for one in await binaries.client(name) if one.major >= major]
    if not found:
        what = f"{major} or newer" if major else "15 or newer"
        raise ServiceError(f"there is no {name} of PostgreSQL {what} here: install it (Debian: postgresql-client)")
    return (max if not major else min)(found, key=lambda one: one.major).program


async def _run(program: Path, url: str | None, *options: str) -> bytes:
    """Run a program to its end, the password not in its command line; what it wrote. Raises ServiceError."""
    environment = os.environ | {"LC_ALL": "C"}
    target: tuple[str, ...] = ()
    if url is not None:
        parsed = make_url(url).set(drivername="postgresql")
        environment["PGPASSWORD"] = str(parsed.password or environment.get("PGPASSWORD", ""))
        target = ("--no-password", f"--dbname={parsed.set(password=None).render_as_string(False)}")
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(
        str(program), *target, *options, env=environment, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe
    )
    try:
        output, words = await child.communicate()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode != 0:
        told = [line for line in words.decode(errors="replace").splitlines() if "error" in line.lower()]
        raise ServiceError(f"{program.name} failed: {(told or ['it did not say why'])[0]}")
    return output


def _rows(words: str, table: str) -> list[dict[str, str]]:
    """The rows of a table in what pg_restore writes."""
    found = re.search(rf"^COPY public\.{table} \((.*?)\) FROM stdin;\n(.*?)^\\\.$", words, re.MULTILINE | re.DOTALL)
    if found is None:
        return []
    names = found[1].split(", ")
    return [dict(zip(names, line.split("\t"), strict=True)) for line in found[2].splitlines()]


def _flushed(draft: Path) -> int:
    """Have a file, or all in a folder, on disk; its size."""
    files = [path for path in draft.rglob("*") if path.is_file()] if draft.is_dir() else [draft]
    for path in (*files, draft.parent):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    return sum(path.stat().st_size for path in files)


def _is_there(path: Path) -> bool:
    return path.exists()


def _is_folder(path: Path) -> bool:
    return path.is_dir()


def _remove(draft: Path) -> None:
    if draft.is_dir():
        shutil.rmtree(draft)
    else:
        draft.unlink(missing_ok=True)
