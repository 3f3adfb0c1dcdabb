"""Stands in for a process of the hub: `stand_in.py NAME JOURNAL`, with the settings of a real one.

Notes its start and its end in the journal. `api` answers /readyz, `bridge` listens, `migrate` ends at once. What is
to go wrong is said by a file named after the process beside the journal: its content is the exit status.
"""

import os
import signal
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit


class Ready(BaseHTTPRequestHandler):
    """Answers every GET with 204."""

    def do_GET(self) -> None:
        """Any path is ready."""
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is logged."""


def reachable(variable: str) -> bool:
    """Whether the service named by an environment variable still listens."""
    address = urlsplit(os.environ.get(variable, ""))
    try:
        socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=2).close()
    except OSError:
        return False
    return True


def main() -> None:
    """Run until SIGTERM."""
    name, journal = sys.argv[1], Path(sys.argv[2])
    asked = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: asked.set())
    note(journal, f"{name} started")
    fault = journal.with_name(name)
    if fault.exists():
        sys.exit(int(fault.read_text()))
    if name == "migrate":
        return
    if name == "api":
        server = ThreadingHTTPServer((os.environ["HUB_HOST"], int(os.environ["HUB_PORT"])), Ready)
        threading.Thread(target=server.serve_forever, daemon=True).start()
    if name == "bridge":
        listening = socket.create_server((os.environ["HUB_BRIDGE_HOST"], int(os.environ["HUB_BRIDGE_PORT"])))
        assert listening
    asked.wait()
    up = [variable for variable in ("DATABASE_URL", "REDIS_URL") if reachable(variable)]
    note(journal, f"{name} stopped with {' '.join(up)}")


def note(journal: Path, line: str) -> None:
    """One line, written at once."""
    with journal.open("a") as file:
        file.write(line + "\n")


if __name__ == "__main__":
    main()
