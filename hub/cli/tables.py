"""What commands print for people: tables as wide as the terminal, lists of names and values, single lines.

Partners choose much of what is shown. It is printed as text, never as markup, and what could move the cursor is
escaped.
"""

import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import typer

from hub import telemetry
from hub.cli import words
from hub.cli.client import Answer

WIDTH, NARROWEST = 100, 40
GAP = 2
UNBROKEN = 36
"""Words of so many characters (a UUID) are kept whole."""


def show(answer: Answer, as_json: bool, lines: Iterable[str]) -> None:
    """Print the API's answer as it is, or else these lines."""
    for line in [answer.text] if as_json else lines:
        typer.echo(line.rstrip("\n") if as_json else words.here(line.rstrip("\n")))


def table(headings: Sequence[str], rows: Iterable[Sequence[object]], nothing: str) -> list[str]:
    """The lines of a table, a list in a cell one below the other; `nothing` is what to say when it has no rows.

    Where ids would have to be broken to make it fit, each row is a paragraph of names and values instead.
    """
    found = [[_cell(value) for value in row] for row in rows]
    if not found:
        return [nothing]
    least = [
        max(_longest_word(cell) for cell in (heading, *cells)) for heading, *cells in zip(headings, *found, strict=True)
    ]
    room = width() - GAP * (len(least) - 1)
    if sum(least) <= room:
        return _table(headings, found, _fitted(list(zip(headings, *found, strict=True)), least, room))
    return _paragraphs(headings, found)


def width() -> int:
    """The columns there are: the terminal's, WIDTH where the output goes elsewhere."""
    return max(shutil.get_terminal_size((WIDTH, 24)).columns, NARROWEST) if sys.stdout.isatty() else WIDTH


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


def _longest_word(text: str) -> int:
    from rich.cells import cell_len

    return min(max(map(cell_len, text.split()), default=0), UNBROKEN)


def _fitted(columns: Sequence[Sequence[str]], least: Sequence[int], room: int) -> list[int]:
    """The width of each column: as wide as its text, then narrower where most can be spared. `rich` would crop what
    does not fit, and with it the digits of a price."""
    from rich.cells import cell_len

    widths = [max(cell_len(line) for cell in column for line in cell.split("\n")) for column in columns]
    while sum(widths) > room:
        spare = [wide - narrowest for wide, narrowest in zip(widths, least, strict=True)]
        widths[spare.index(max(spare))] -= 1
    return widths


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[int]) -> list[str]:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for heading, wide in zip(headings, widths, strict=True):
        drawn.add_column(heading, overflow="fold", width=wide)
    for row in rows:
        drawn.add_row(*map(Text, row))
    return _drawn(drawn)


def _paragraphs(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    from rich.table import Table
    from rich.text import Text

    drawn = Table.grid(padding=(0, 2, 0, 0))
    drawn.add_column(no_wrap=True)
    drawn.add_column(overflow="fold")
    for number, row in enumerate(rows):
        if number:
            drawn.add_row()
        for heading, value in zip(headings, row, strict=True):
            if value not in ("", "-"):
                drawn.add_row(heading, Text(value))
    return _drawn(drawn)


def _drawn(drawn: Any) -> list[str]:
    from rich.console import Console

    console = Console(width=width(), no_color=True, highlight=False, legacy_windows=False)
    with console.capture() as captured:
        console.print(drawn)
    return [line.rstrip() for line in captured.get().splitlines()]
