"""Progress of what takes long: on stderr, and only when somebody looks at it."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Step = Callable[[float, float | None], None]
"""Told how much is done, and of how much if that is known."""


@contextmanager
def bar(what: str, unit: str = "") -> Iterator[Step]:
    """A progress bar; a spinner with a count while the whole is not known. Nothing is written where no terminal is."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[count]}"))
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as shown:
        task = shown.add_task(what, total=None, count="")

        def step(done: float, total: float | None) -> None:
            of = f" of {total:,.0f}" if total is not None else ""
            shown.update(task, completed=done, total=total, count=f"{done:,.0f}{of} {unit}")

        yield step
