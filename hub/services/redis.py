"""A Redis of the hub's own: Celery's broker, a doorbell and a cache.

It keeps nothing on disk, for nothing in it is the truth: losing it costs latency, never data. It never evicts
either, because a broker that forgets at random is worse than one that says it is full.
"""

import asyncio
import os
import secrets
import signal
import time
from contextlib import suppress

import redis.asyncio

from hub.services import ServiceError, binaries, process
from hub.services.data import DataDirectory
from hub.services.process import Process

OLDEST = 6
START_TIME = 10.0  # seconds
ATTEMPTS = 5  # another program may take a free port before Redis does
STOP = ((signal.SIGTERM, 5.0),)


class Redis:
    """One server, on 127.0.0.1, behind a random password."""

    name = "redis"

    def __init__(self, data: DataDirectory) -> None:
        self.process: Process | None = None
        self._data = data
        self._log = data.logs / "redis.log"
        self._password = secrets.token_urlsafe()
        self._port = 0
        self._port_is_known = False  # to others, who would not follow if it changed

    @property
    def url(self) -> str:
        """Its address; the same for all the life of this object."""
        return f"redis://:{self._password}@127.0.0.1:{self._port}/0"

    async def start(self) -> Process:
        """Start the server, empty. Raises ServiceError."""
        program = await self.program()
        process.put_aside(self._log)
        for _ in range(ATTEMPTS):
            if not self._port_is_known:
                self._port = process.free_port()
            command = (program, str(self._configuration()))
            self.process = await Process.start(self.name, command, os.environ, log=self._log)
            if await self._answers(self.process):
                self._port_is_known = True
                return self.process
            await self.stop()
        raise ServiceError(f"Redis did not start, see {self._log}: {process.tail(self._log, lines=1)}")

    async def stop(self) -> None:
        """Stop; all it knew is gone."""
        if self.process:
            await self.process.stop(*STOP)

    async def program(self) -> str:
        for found in await binaries.redis():
            if found.major >= OLDEST:
                return str(found.program)
        raise ServiceError(
            f"there is no Redis {OLDEST} or newer on this machine: "
            "install one (Debian: apt install redis-server), or set REDIS_URL"
        )

    def _configuration(self) -> os.PathLike[str]:
        """In a file, because every user of the machine can read a command line."""
        lines = (
            "bind 127.0.0.1",
            f"port {self._port}",
            f"requirepass {self._password}",
            f'dir "{self._data.redis}"',
            'save ""',
            "appendonly no",
            "maxmemory-policy noeviction",
            "daemonize no",
        )
        file = self._data.redis / "redis.conf"
        file.unlink(missing_ok=True)
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as target:
            target.write("\n".join(lines) + "\n")
        return file

    async def _answers(self, server: Process) -> bool:
        """Our password opens no other server, so an answer is ours."""
        deadline = time.monotonic() + START_TIME
        client = redis.asyncio.from_url(self.url, socket_timeout=1, socket_connect_timeout=1)
        try:
            while server.exit_status is None and time.monotonic() < deadline:
                with suppress(redis.RedisError):
                    return bool(await client.ping())
                await asyncio.sleep(0.02)
        finally:
            await client.aclose()
        return False
