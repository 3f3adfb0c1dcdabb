"""An HTTP server that ends without failing a request: whoever still talks to it is let go, one by one.

A server that simply stops fails two kinds of requests: those on connections that it closes at the very moment at which
a client sends something, and those on connections that the kernel has taken and nobody has accepted. So first it is
unready, and each answer says `Connection: close`: a client that hears it goes elsewhere with its next request. Proxies
have a moment to notice. Then nothing new is accepted, except for what the kernel has taken already. What nobody has
used all that time is closed at last.
"""

import asyncio
import os
import socket
import time
from collections.abc import Callable

import uvicorn

NOTICE = 3.0
"""Seconds at most until nothing new is accepted; it is sooner when nobody comes any more."""

QUIET = 0.3
"""Seconds without a single connection after which nobody is expected to come."""

FAREWELL = 2.0
"""Seconds in which those who are still connected may send a request, and be told to leave."""

FINISH = 8
"""Seconds for requests that are still being served then."""

KEEP_ALIVE = 75
"""Seconds after which an idle connection is closed: longer than a proxy or a client keeps one, so that neither sends a
request into a connection that is just being closed."""

CONNECTIONS = 4096
"""Connections and requests at once; on top of that the answer is a bare 503."""


class Server(uvicorn.Server):
    """`unready` is called first of all."""

    def __init__(self, config: uvicorn.Config, unready: Callable[[], None]) -> None:
        super().__init__(config)
        self._unready = unready

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let go of everybody, then end; in some 15 s at the most."""
        self._unready()
        self.server_state.default_headers = [*self.server_state.default_headers, (b"connection", b"close")]
        await self._quiet(NOTICE, QUIET)
        self._close_the_door()
        await self._quiet(FAREWELL, 0.0)
        await super().shutdown(sockets)

    async def _quiet(self, limit: float, lasting: float) -> None:
        """Until there has been no connection for so long, for at most `limit` seconds."""
        now = time.monotonic()
        deadline, busy = now + limit, now
        while now < deadline and now - busy <= lasting and not self.force_exit:
            await asyncio.sleep(0.02)
            now = time.monotonic()
            if self.server_state.connections:
                busy = now

    def _close_the_door(self) -> None:
        """Accept what the kernel has taken, and nothing after it: between the last accept and the close are only
        microseconds."""
        loop = asyncio.get_running_loop()
        for server in self.servers:
            for listening in server.sockets:
                with socket.socket(fileno=os.dup(listening.fileno())) as door:
                    server.close()
                    door.setblocking(False)
                    self._accept_all(loop, door)

    def _accept_all(self, loop: asyncio.AbstractEventLoop, door: socket.socket) -> None:
        while True:
            try:
                arrived, _ = door.accept()
            except (BlockingIOError, ConnectionError):
                return
            arrived.setblocking(False)
            task = loop.create_task(self._serve_one(loop, arrived))
            self.server_state.tasks.add(task)
            task.add_done_callback(self.server_state.tasks.discard)

    async def _serve_one(self, loop: asyncio.AbstractEventLoop, arrived: socket.socket) -> None:
        def protocol() -> asyncio.Protocol:
            return self.config.http_protocol_class(  # type: ignore[call-arg]
                config=self.config, server_state=self.server_state, app_state=self.lifespan.state
            )

        await loop.connect_accepted_socket(protocol, arrived)
