"""How root runs PostgreSQL, which refuses to run as root.

First choice: a user namespace, in which the same root user goes by another number and has no privileges. It owns
its files as before, so it works below any folder of root's. Where namespaces are forbidden (many containers), or
where the files belong to an ordinary user already: `setpriv` to that user's number, else to nobody's, keeping of
root's privileges only the one to pass through folders. No account is made and no folder above is touched.
"""

import os
import sys
from pathlib import Path

from hub.services import ServiceError
from hub.services.process import output_of

NOBODY = 65534
NAMESPACE = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
_PROBE = 'test "$(id -u)" != 0 && "$1" --version && test -w "$2" && test -x "$2"'


async def wrapper(program: Path, folder: Path) -> tuple[str, ...]:
    """The command to put before `program` so that it runs as somebody else who owns `folder`; empty unless root.

    The folder and all in it is handed to that user. Raises ServiceError if no way works here.
    """
    if os.geteuid() != 0:
        return ()
    owner = _owner(folder)
    ways = [(0, NAMESPACE), (owner or NOBODY, _setpriv(owner or NOBODY))]
    for user, way in ways if owner == 0 else reversed(ways):
        _hand_over(folder, user)
        status, _ = await output_of(*way, "sh", "-c", _PROBE, "sh", str(program), str(folder))
        if status == 0:
            return way
    _hand_over(folder, owner)
    raise ServiceError(
        "PostgreSQL does not run as root, and this machine allows neither `unshare --user` nor `setpriv` to change the "
        "user: start the hub as an ordinary user, or set DATABASE_URL to a PostgreSQL of your own"
    )


def _setpriv(user: int) -> tuple[str, ...]:
    pass_through = "-all,+dac_override"
    ids = (f"--reuid={user}", f"--regid={user}", "--clear-groups")
    return ("setpriv", *ids, f"--inh-caps={pass_through}", f"--ambient-caps={pass_through}")


def _owner(folder: Path) -> int:
    return folder.stat().st_uid


def _hand_over(folder: Path, user: int) -> None:
    if _owner(folder) == user or sys.platform != "linux":
        return
    for path in (*folder.rglob("*"), folder):
        os.chown(path, user, user, follow_symlinks=False)
