"""What commands print for people: tables of at most 100 columns, lists of names and values, single lines.

Partners choose much of what is shown. It is printed as text, never as markup, and what could move the cursor is
escaped.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import typer

from hub import telemetry
from hub.cli.client import Answer

WIDTH = 100


def show(answer: Answer, as_json: bool, lines: Iterable[str]) -> None:
    """Print the API's answer as it is, or else these lines."""
    for line in [answer.text] if as_json else lines:
        typer.echo(line.rstrip("\n"))


def table(headings: Sequence[str], rows: Iterable[Sequence[object]], nothing: str) -> list[str]:
    """The lines of a table, a list in a cell one below the other; `nothing` is what to say when it has no rows."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    found = [[Text(_cell(value)) for value in row] for row in rows]
    if not found:
        return [nothing]
    drawn = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for heading in headings:
        drawn.add_column(heading, overflow="fold")
    for row in found:
        drawn.add_row(*row)
    return _drawn(drawn)


def details(values: Mapping[str, object]) -> list[str]:
    """Names and values below each other; those that are None or empty are left out."""
    shown = {name: plain(value) for name, value in values.items() if value not in (None, "", [], {})}
    width = max(map(len, shown), default=0)
    return [f"{name:<{width}}  {value}" for name, value in shown.items()]


def plain(value: object) -> str:
    """A value as people read it: times in UTC to the second, lists with commas."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, list):
        return ", ".join(map(plain, value)) or "-"
    return telemetry.printable(str(value))


def moment(text: Any) -> str:
    """A time of the API, 2026-01-01T00:00:00.123456Z, as 2026-01-01 00:00:00."""
    return "-" if text is None else f"{datetime.fromisoformat(str(text)):%Y-%m-%d %H:%M:%S}"


def _cell(value: object) -> str:
    return "\n".join(map(plain, value)) or "-" if isinstance(value, list) else plain(value)


def _drawn(drawn: Any) -> list[str]:
    from rich.console import Console

    console = Console(width=WIDTH, no_color=True, highlight=False, legacy_windows=False)
    with console.capture() as captured:
        console.print(drawn)
    return [line.rstrip() for line in captured.get().splitlines()]
