"""`knutpunkt backup` and `restore`: the hub's database in a file, and back."""

import asyncio
import dataclasses
import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hub import settings as configuration
from hub.cli import tables
from hub.cli.client import Answer
from hub.settings import OperatorError, Settings

if TYPE_CHECKING:
    from hub.exchange.restored import Restored
    from hub.services.data import DataDirectory

app = typer.Typer()

Data = Annotated[
    Path | None,
    typer.Option("--data", help="The data directory of the hub; HUB_DATA.", show_default="DATABASE_URL, else var"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print it as JSON.")]
Jobs = Annotated[int, typer.Option("--jobs", min=1, max=32, help="So many connections at once.")]


@app.command()
def backup(
    target: Annotated[Path, typer.Argument(help="The file to write; with several --jobs a folder.")],
    jobs: Jobs = 1,
    data: Data = None,
    json: AsJson = False,
) -> None:
    """Write the hub's database to a file, while the hub runs or not.

    It is an archive of pg_dump, of the moment at which it begins; what is accepted later is not in it. It stands under
    its name only when it is whole. It holds partners' and drivers' data, and NO KEYS: without HUB_SECRET_KEY (`up`
    keeps it in secrets/secret_key) the hub cannot open its partners' tokens, so keep that in another safe place.
    """
    from hub.ocpi import json as values

    begun, size = asyncio.run(_backup(target.absolute(), jobs, data))
    told = {"file": str(target), "bytes": size, "begun_at": begun}
    lines = [
        f"{target}: {size:,} bytes, the hub as it was at {_moment(begun)}",
        "HUB_SECRET_KEY is not in it: keep it in another place, a restored hub needs both",
    ]
    tables.show(Answer(values.dumps(told).decode(), None), json, lines)


@app.command()
def restore(
    source: Annotated[Path | None, typer.Argument(help="What `knutpunkt backup` wrote.", show_default=False)] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Give up what is in the database now.")] = False,
    after: Annotated[
        bool, typer.Option("--after", help="The database was restored by other means: do only what comes after.")
    ] = False,
    jobs: Jobs = 1,
    data: Data = None,
    json: AsJson = False,
) -> None:
    """Restore a backup, and say what may be missing. Stop the hub first, and set HUB_SECRET_KEY as it was.

    The database must be empty, unless --replace is given: then the old one goes when the new one is whole. A backup of
    an older release is migrated. After that the hub is made ready to go on: lists that partners offer are read anew
    before anything of them is delivered, CDRs in custody are owed again, and the time is told from which on something
    may be missing. Start the hub then: its workers do the rest.
    """
    from hub.ocpi import json as values

    if (source is None) != after:
        raise typer.BadParameter("name a backup, or give --after", param_hint="SOURCE")
    found = asyncio.run(_restore(source and source.absolute(), jobs, data, replace))
    tables.show(Answer(values.dumps(dataclasses.asdict(found)).decode(), None), json, _lines(found))


async def _backup(target: Path, jobs: int, data: Path | None) -> tuple[datetime, int]:
    from hub.services import database, dump
    from hub.store import backups, migrate
    from hub.store.db import Database

    if not target.parent.is_dir():
        raise OperatorError(f"there is no folder {target.parent}: make it first")
    async with database.opened(Settings.load(), data) as place:
        revision = await asyncio.to_thread(migrate.current, place.url)
        if revision is None:
            raise OperatorError("the database is empty: there is nothing to back up")
        if revision < backups.SINCE:  # before an upgrade: the schema has no place to note it
            async with dump.connected(place.url) as connection:
                begun = await connection.fetchval("SELECT now()")
            return begun, await dump.write(place.url, target, jobs)
        db = Database(place.url)
        try:
            async with db.unit_of_work() as session:
                number, begun = await backups.begin(session, configuration.version())
            size = None
            try:
                size = await dump.write(place.url, target, jobs)
            finally:
                async with db.unit_of_work() as session:
                    await backups.end(session, number, whole=size is not None)
            return begun, size
        finally:
            await db.close()


async def _restore(source: Path | None, jobs: int, data: Path | None, replace: bool) -> "Restored":
    from hub.exchange import restored
    from hub.services import database, dump
    from hub.store.db import Database
    from hub.store.seal import Seal
    from modules.catalog import CATALOG

    settings = Settings.load()
    if source is not None:
        await dump.about(source)
    directory = database.directory(settings, data)
    key = database.secret_key(settings, directory)
    async with database.opened(settings, None) if directory is None else database.alone(directory) as place:
        if source is not None:
            await dump.read(place.url, source, jobs, replace=replace)
        else:
            async with dump.connected(place.url) as connection:
                await dump.refuse_running(connection)
        db = Database(place.url)
        try:
            found = await restored.resume(db, Seal(key), CATALOG, settings)
        finally:
            await db.close()
    if directory is not None:
        _keep_key(directory, key)
    return found


def _keep_key(directory: "DataDirectory", key: str) -> None:
    """`up` must find the key of what was restored; one that it had made before is put aside."""
    from hub.services.database import SECRET_KEY

    file = directory.secret_file(SECRET_KEY)
    if file.exists() and file.read_text(encoding="ascii") != key:
        os.replace(file, file.with_name("secret_key.before_restore"))
    directory.secret(SECRET_KEY, lambda: key)


def _lines(found: "Restored") -> list[str]:
    if found.since is None:
        return ["the database is restored; nothing had ever happened in it"]
    lines = [
        "The database is ready: start the hub, its workers do the rest.",
        f"  may be missing        whatever was accepted from {_moment(found.since)} to {_moment(found.now)}",
        f"  owed again            {found.owed} objects, {found.custody} CDRs in custody",
        f"  read first            {_pairs(found.read)}",
        f"  must be pushed again  {_pairs(found.not_read)}",
        "",
        "A CDR that its receiver got in that time is sent once more, the same byte for byte. A partner that registered",
        "or renewed its tokens in that time is refused (HTTP 401): invite it again. `knutpunkt ledger verify` and",
        "`knutpunkt reconcile` show whether all is well.",
    ]
    return lines


def _pairs(pairs: list[tuple[str, str]]) -> str:
    modules: dict[str, list[str]] = {}
    for party, module in pairs:
        modules.setdefault(party, []).append(module)
    return "; ".join(f"{party} {', '.join(names)}" for party, names in modules.items()) or "nothing"


def _moment(at: datetime) -> str:
    return f"{tables.moment(at.isoformat())} UTC"
