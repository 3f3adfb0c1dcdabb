"""What the figures were measured on, and of which commit."""

import os
import platform
import subprocess
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from hub.settings import CHECKOUT

SYNCS = 100


@dataclass(frozen=True)
class Facts:
    """`commit` ends in "-dirty" when there were changes beside RESULTS.md. `fsync_ms` is what a synced write costs."""

    date: str
    commit: str
    cpu: str
    cores: int
    memory_gb: float
    kernel: str
    python: str
    disk: str
    fsync_ms: float


def look(folder: Path) -> Facts:
    """The facts of this machine; the databases of the benches are in `folder`."""
    return Facts(
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        commit=commit(),
        cpu=_cpu(),
        cores=len(os.sched_getaffinity(0)),
        memory_gb=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9,
        kernel=f"{platform.system()} {platform.release()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        disk=file_system(folder),
        fsync_ms=_fsync_ms(folder),
    )


def commit() -> str:
    """The commit of the checkout, short; "unknown" outside of a repository."""
    head = _git("rev-parse", "--short", "HEAD")
    changed = _git("status", "--porcelain", "--", ".", ":!tests/bench/RESULTS.md")
    return f"{head}{'-dirty' if changed else ''}" if head else "unknown"


def file_system(path: Path) -> str:
    """The kind of file system a path is on; empty where the machine does not say."""
    mounts = Path("/proc/self/mounts")
    found = [line.split()[1:3] for line in mounts.read_text().splitlines()] if mounts.exists() else []
    around = [(where, kind) for where, kind in found if path.resolve().is_relative_to(where)]
    return max(around, key=lambda mount: len(mount[0]))[1] if around else ""


def _cpu() -> str:
    known = Path("/proc/cpuinfo")
    lines = known.read_text().splitlines() if known.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _fsync_ms(folder: Path) -> float:
    """The median of some synced writes of a database page."""
    took = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(SYNCS):
            begun = time.perf_counter()
            file.write(bytes(8192))
            file.flush()
            os.fsync(file.fileno())
            took.append(time.perf_counter() - begun)
    return sorted(took)[SYNCS // 2] * 1000


def _git(*arguments: str) -> str:
    try:
        ran = subprocess.run(["git", "-C", str(CHECKOUT), *arguments], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return ran.stdout.strip() if ran.returncode == 0 else ""
