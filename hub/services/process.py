"""One child process: started on a leash, stopped by asking first, and told apart by how it ended."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TextIO

LEASH = Path(__file__).with_name("leash.py")
LOG_LIMIT = 10_000_000  # bytes; a larger log is put aside at the next start, one generation is kept

_MEANING = {
    0: "it ended by itself",
    1: "it failed: its last log lines say why",
    2: "it was called with wrong options",
    -signal.SIGKILL: "something killed it: the kernel for want of memory, or kill -9",
    -signal.SIGTERM: "something asked it to stop",
    -signal.SIGINT: "something interrupted it",
    -signal.SIGSEGV: "it crashed in native code",
    -signal.SIGABRT: "it gave up in native code",
}


class Process:
    """A running child, leader of a session of its own so that Ctrl-C in a terminal reaches only the supervisor."""

    def __init__(self, name: str, child: asyncio.subprocess.Process) -> None:
        self.name = name
        self._child = child
        self._ended = asyncio.create_task(self._reap())

    @classmethod
    async def start(
        cls,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        log: Path | TextIO | None = None,
        death_signal: signal.Signals = signal.SIGTERM,
        wrapper: Sequence[str] = (),
    ) -> "Process":
        """Run `command`; its output goes to the end of `log`, or where ours goes.

        `wrapper` is a command that changes the user and then runs the rest. `death_signal` reaches the child when
        this process dies.
        """
        leash = [sys.executable, "-I", "-S", str(LEASH), str(os.getpid()), str(int(death_signal))]
        with ExitStack() as open_files:
            output = open_files.enter_context(log.open("ab")) if isinstance(log, Path) else log
            creating = asyncio.ensure_future(
                asyncio.create_subprocess_exec(
                    *wrapper,
                    *leash,
                    *command,
                    env=dict(environment),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=output and asyncio.subprocess.STDOUT,
                    start_new_session=True,
                )
            )
            try:
                child = await asyncio.shield(creating)
            except asyncio.CancelledError:  # nobody would know of the child: it must not outlive this call
                await cls(name, await creating).stop()
                raise
        return cls(name, child)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._child.pid

    @property
    def exit_status(self) -> int | None:
        """None while it runs; negative for the signal that ended it."""
        return self._child.returncode

    async def wait(self) -> int:
        """The exit status, once it has ended."""
        return await asyncio.shield(self._ended)

    async def _reap(self) -> int:
        """What it left of its own children is killed at once: later the number may belong to somebody else."""
        status = await self._child.wait()
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        return status

    def send(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens if it has ended."""
        if self.exit_status is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def stop(self, *steps: tuple[signal.Signals, float]) -> None:
        """Send each signal in turn and give it so many seconds; then SIGKILL."""
        for number, patience in steps:
            self.send(number)
            with suppress(TimeoutError):
                await asyncio.wait_for(self.wait(), patience)
                return
        self.send(signal.SIGKILL)
        await self.wait()


def meaning(status: int) -> str:
    """An exit status in words: "status 1 (it failed: ...)", "SIGKILL (something killed it: ...)"."""
    try:
        label = signal.Signals(-status).name if status < 0 else f"status {status}"
    except ValueError:
        label = f"signal {-status}"
    return f"{label} ({_MEANING[status]})" if status in _MEANING else label


def put_aside(log: Path) -> None:
    """Start a new log file if this one has grown large."""
    if size(log) > LOG_LIMIT:
        log.replace(log.with_suffix(log.suffix + ".1"))


def size(log: Path) -> int:
    """The length of a log in bytes, 0 if there is none."""
    return log.stat().st_size if log.exists() else 0


def tail(log: Path, start: int = 0, lines: int = 5) -> str:
    """The last lines of a log from byte `start` on, for an error message."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(start)
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])


def free_port(host: str = "127.0.0.1") -> int:
    """A port nobody listens on. Another program may be faster: whoever uses it tries again."""
    with socket.socket(_family(host)) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket(_family(host)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def reachable(host: str) -> str:
    """What to write in a URL of this machine for a server that listens on `host`."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"[{host}]" if ":" in host else host


async def output_of(*command: str) -> tuple[int, str]:
    """Run a short command to its end: exit status (127 if it cannot be run) and what it wrote to stdout."""
    try:
        child = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        return 127, ""
    output, _ = await child.communicate()
    return child.returncode or 0, output.decode(errors="replace")


async def command_of(pid: int) -> list[str]:
    """The command line of any process on this machine; empty if there is no such process, or it has ended."""
    if sys.platform != "linux":
        return (await output_of("ps", "-ww", "-o", "command=", "-p", str(pid)))[1].split()
    return _linux_command(Path("/proc") / str(pid) / "cmdline")


def _linux_command(file: Path) -> list[str]:
    try:
        return [part for part in file.read_bytes().decode(errors="replace").split("\0") if part]
    except OSError:
        return []


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
