"""The `knutpunkt` command. Each module here is one group of commands with a typer app of its own.

A command that cannot do its work raises an OperatorError: it becomes one line on stderr and exit status 1. Wrong
usage is status 2.
"""

import sys
from collections.abc import Sequence

import typer

from hub.cli import commands, processes, sandbox
from hub.settings import OperatorError

app = typer.Typer(
    help="Knutpunkt, an OCPI roaming hub.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(processes.app)
app.add_typer(commands.app)
app.add_typer(sandbox.app)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status; without a command, show what there is."""
    try:
        status = app(list(arguments) or ["--help"], prog_name="knutpunkt", standalone_mode=False)
    except OperatorError as error:
        return _complain(str(error), 1)
    except typer.TyperException as error:
        return _complain(error.format_message(), error.exit_code)
    except typer.Abort:
        return _complain("given up", 1)
    return status if isinstance(status, int) else 0


def main() -> None:
    """The entry point."""
    sys.exit(run(sys.argv[1:]))


def _complain(words: str, status: int) -> int:
    typer.echo(f"knutpunkt: {words}", err=True)
    return status
