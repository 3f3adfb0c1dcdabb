"""Files that commands read; - is the standard input."""

import sys
from pathlib import Path

from hub.settings import OperatorError, reason


def read(file: Path) -> bytes:
    """The content of a file; OperatorError when it cannot be read."""
    try:
        return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise OperatorError(f"{file} cannot be read: {reason(error)}") from None
