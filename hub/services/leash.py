"""Ties a command's life to ours, then becomes it: `leash.py PARENT_PID SIGNAL COMMAND...`

A supervisor killed with SIGKILL cannot stop its children. On Linux the kernel does it, if the child asks before
it becomes another program: that is all this file does, in a process of its own and after any change of user,
because such a change takes the request back. Standard library only, and no module of ours. Elsewhere than on
Linux the children outlive a killed supervisor; the next start stops the PostgreSQL that was left behind.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    """Ask for SIGNAL at the parent's death, then run COMMAND in this process."""
    parent, signal, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal)
        if os.getppid() != parent:
            sys.exit("the supervisor is gone already")
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"cannot run {command[0]}: {error.strerror}")


if __name__ == "__main__":
    main()
