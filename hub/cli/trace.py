"""`knutpunkt trace`: what happened to one message, hop by hop, and what is not done yet."""

import textwrap
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

import typer

from hub.cli import client, tables
from hub.cli.client import AsJson, Data

app = typer.Typer()

TROUBLE_FIRST = ("parked", "owed", "behind", "discarded", "passed", "superseded", "delivered", "not a receiver")
INDENT = 14

Row = dict[str, Any]


@app.command()
def trace(
    correlation_id: Annotated[str, typer.Argument(metavar="CORRELATION_ID", help="Its X-Correlation-ID.")],
    bodies: Annotated[
        bool, typer.Option("--bodies", help="Print the bodies too, as far as the hub keeps them.")
    ] = False,
    data: Data = None,
    json: AsJson = False,
) -> None:
    """Show the life of a message: every hop with what the hub decided and changed, then where its objects are now.

    With each receiver an object is delivered; superseded (a newer one came
    there in its stead); owed (tried in vain, with the next try); behind (its
    lane has not come to it yet); parked (refused so often that it waits for a
    newer one); or passed (nothing is owed, no delivery is on record). Times
    are UTC. After a crash, up to a second of hops may be missing.
    """
    answer = client.ask(data, "GET", f"/trace/{client.segment(correlation_id)}")
    tables.show(answer, json, _life(answer.value, bodies))


def _life(found: Row, bodies: bool) -> Iterator[str]:
    hops = found["hops"]
    day = hops[0]["at"][:10]
    yield f"{hops[0]['correlation_id']} on {day}"
    width = max(len(_way(hop)) for hop in hops)
    for hop in hops:
        yield ""
        yield from _hop(hop, day, width)
        yield from _bodies(hop) if bodies else ()
    for thing in found["objects"]:
        yield ""
        yield f"{thing['module']} {thing['owner']} {thing['key']}, which the hub had at {_when(thing['at'], day)}"
        rows = sorted(thing["receivers"], key=lambda row: TROUBLE_FIRST.index(row["state"]))
        for receiver in rows or [_NOBODY]:
            yield from _receiver(receiver, day)


_NOBODY = {"receiver": "-", "state": "not a receiver", "at": None, "correlation_id": None, "detail": "nobody is one"}


def _hop(hop: Row, day: str, width: int) -> Iterator[str]:
    """Who asked whom for what; below it what the hub made of it, and what it changed."""
    first = f"{_when(hop['at'], day):<{INDENT - 2}}  {_way(hop):<{width}}  "
    yield from _wrapped(f"{hop['method']} {hop['what']}", first, INDENT)
    status = "/".join(str(hop[name]) for name in ("http_status", "status_code") if hop[name] is not None)
    facts = [f"answer {status}" if status else "", f"{hop['ms']} ms" if hop["ms"] is not None else ""]
    said = [hop["decision"], hop["detail"], ", ".join(filter(None, facts))]
    yield from _wrapped("; ".join(filter(None, said)), " " * INDENT, INDENT)
    if hop["changed"]:
        yield from _wrapped(f"changed: {'; '.join(hop['changed'])}", " " * INDENT, INDENT)


def _bodies(hop: Row) -> Iterator[str]:
    for name in ("request", "answer"):
        if hop[f"{name}_body"] is not None:
            yield f"{'':<{INDENT}}{name}: {tables.plain(hop[f'{name}_body'])}"


def _receiver(row: Row, day: str) -> Iterator[str]:
    at = _when(row["at"], day) if row["at"] is not None else ""
    at = f"until {at}" if row["state"] in ("owed", "behind") and at else at
    other = f" by {row['correlation_id']}" if row["correlation_id"] is not None else ""
    yield from _wrapped(f"{row['state']} {at}{other}".rstrip(), f"  {row['receiver']:<{INDENT - 4}}  ", INDENT)
    if row["detail"]:
        yield from _wrapped(row["detail"], " " * INDENT, INDENT)


def _way(hop: Row) -> str:
    return tables.plain(f"{hop['sender']} -> {hop['receiver']}")


def _when(at: str, day: str) -> str:
    """The time of day in milliseconds, with its date when that is another one."""
    moment = datetime.fromisoformat(at)
    text = f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03}"
    return text if at.startswith(day) else f"{moment:%Y-%m-%d} {text}"


def _wrapped(text: str, first: str, indent: int) -> list[str]:
    """Lines of at most 100 columns behind `first`; a word, such as an id, is never broken."""
    return textwrap.wrap(
        tables.plain(text),
        tables.WIDTH,
        initial_indent=first,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
