"""PostgreSQL's notifications for one process: which station arrived elsewhere, which one has a command waiting.

They only shorten the wait. Whoever depends on one also looks for himself now and then.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping

import asyncpg
import structlog
from sqlalchemy import make_url

log = structlog.get_logger(__name__)

RETRY = 1.0
CHECK = 5.0


async def listen(database_url: str, channels: Mapping[str, Callable[[str], None]]) -> None:
    """Call back with the payload of each notification, for ever; the connection is made anew when it is lost."""
    dsn = make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)
    while True:
        connection: asyncpg.Connection | None = None
        try:
            connection = await asyncpg.connect(dsn, timeout=5)
            for channel, heard in channels.items():
                await connection.add_listener(channel, _caller(heard))
            while True:
                await asyncio.sleep(CHECK)
                await connection.execute("SELECT 1", timeout=CHECK)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            log.warning("not listening to the database, will try again", error=repr(error))
            await asyncio.sleep(RETRY)
        finally:
            if connection is not None:
                with contextlib.suppress(Exception):
                    connection.terminate()


def _caller(heard: Callable[[str], None]) -> Callable[..., None]:
    def call(connection: object, pid: int, channel: str, payload: str) -> None:
        heard(payload)

    return call
