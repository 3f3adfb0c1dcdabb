"""The `knutpunkt` command. Each module here is one group of commands with a typer app of its own.

A command that cannot do its work raises an OperatorError: it becomes one line on stderr and exit status 1. Wrong
usage is status 2.
"""

import os
import sys
from collections.abc import Sequence
from typing import Any

import typer

from hub.cli import commands, conformance, health, processes, sandbox, words
from hub.settings import OperatorError

app = typer.Typer(
    help="Knutpunkt, an OCPI roaming hub.\n\n`up` runs a whole hub on this machine. `status` shows how it is, `doctor` "
    "what is wrong and what to do. `invite` and `register` are the two ways to a partner.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(processes.app)
app.add_typer(health.app)
app.add_typer(commands.app)
app.add_typer(conformance.app)
app.add_typer(sandbox.app)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status; without a command, show what there is."""
    try:
        name = os.environ.get(words.VARIABLE) or "knutpunkt"
        status = _command()(list(arguments) or ["--help"], prog_name=name, standalone_mode=False)
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


def _command() -> Any:
    """All commands. Their help is a docstring: typer would keep its line breaks whatever the terminal's width."""
    command: Any = typer.main.get_command(app)
    waiting = [command]
    while waiting:
        found = waiting.pop()
        paragraphs = (found.help or "").split("\n\n")
        found.help = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
        waiting += getattr(found, "commands", {}).values()
    return command


def _complain(what: str, status: int) -> int:
    typer.echo(f"knutpunkt: {words.here(what)}", err=True)
    return status
