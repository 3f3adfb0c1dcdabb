"""Lists for GET ALL: kept objects and CDRs in the order of first arrival, a page at a time.

An object that is kept both for everybody and for the reader counts once, at the place of everybody's row. Pages go by
the id of the last object seen; only a client that makes up its own offset pays for skipping.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from hub.ocpi.paging import PageQuery
from hub.store.db import Statements
from hub.store.objects import EVERYBODY, Kept


@dataclass(frozen=True)
class Page:
    """The rows of a page, each as (the reader's own row, everybody's row), the total, and the last id."""

    rows: Sequence[tuple[Kept | None, Kept | None]]
    total: int
    last_id: int | None


# A row stands for its object unless it is the reader's own beside one for everybody. Tombstones stand for nothing.
_FROM = (
    " FROM object o LEFT JOIN object mine ON o.audience = '*' AND mine.owner = o.owner AND mine.module = o.module"
    " AND mine.key = o.key AND mine.audience = :reader AND NOT mine.deleted"
    " WHERE o.module = :module AND o.owner = ANY(:owners) AND NOT o.deleted AND (o.audience = '*' AND NOT EXISTS ("
    "SELECT 1 FROM object t WHERE t.owner = o.owner AND t.module = o.module AND t.key = o.key AND t.audience = :reader"
    " AND t.deleted AND (t.last_updated, t.stored_at) >= (o.last_updated, o.stored_at))"
    " OR (o.audience = :reader AND NOT EXISTS (SELECT 1 FROM object e WHERE e.owner = o.owner"
    " AND e.module = o.module AND e.key = o.key AND e.audience = '*' AND NOT e.deleted)))"
)
_CHANGED = "GREATEST(o.last_updated, mine.last_updated)"
_OWN = "mine.id, mine.owner, mine.key, mine.audience, mine.body, mine.times, mine.last_updated, mine.deleted"
_ALL = "o.id, o.owner, o.key, o.audience, o.body, o.times, o.last_updated, o.deleted, o.stored_at"
_CDRS = " FROM cdr c JOIN cdr_body b USING (seq) WHERE c.receiver = :reader AND c.owner = ANY(:owners)"


async def objects(session: Statements, module: str, reader: str, owners: list[str], page: PageQuery) -> Page:
    """A page of the objects of `module` of these owners that `reader` may see."""
    names: dict[str, Any] = {"module": module, "reader": reader, "owners": owners}
    where, bounds = _bounds(_CHANGED, page)
    total = page.total
    if total is None:
        total = int((await session.execute(text("SELECT count(*)" + _FROM + where), names | bounds)).scalar_one())
    after = " AND o.id > :after" if page.after is not None else ""
    order = " ORDER BY o.id LIMIT :limit" + ("" if page.after is not None else " OFFSET :offset")
    names |= bounds | _window(page)
    rows = await session.execute(text(f"SELECT {_ALL}, {_OWN}, mine.stored_at" + _FROM + where + after + order), names)
    pairs = [_pair(row) for row in rows]
    return Page(pairs, total, _id(pairs[-1]) if pairs else None)


async def cdrs(session: Statements, reader: str, owners: list[str], page: PageQuery) -> Page:
    """A page of the CDRs for `reader`; nobody else's are ever in it (CDR-015)."""
    names: dict[str, Any] = {"reader": reader, "owners": owners}
    where, bounds = _bounds("c.last_updated", page)
    total = page.total
    if total is None:
        total = int((await session.execute(text("SELECT count(*)" + _CDRS + where), names | bounds)).scalar_one())
    after = " AND c.seq > :after" if page.after is not None else ""
    order = " ORDER BY c.seq LIMIT :limit" + ("" if page.after is not None else " OFFSET :offset")
    columns = "SELECT c.seq, c.owner, c.key, c.receiver, b.body, c.last_updated, c.recorded_at"
    rows = await session.execute(text(columns + _CDRS + where + after + order), names | bounds | _window(page))
    pairs = [
        (Kept(r.seq, r.owner, r.key, r.receiver, r.body, {}, r.last_updated, False, r.recorded_at), None) for r in rows
    ]
    return Page(pairs, total, pairs[-1][0].id if pairs else None)


def _bounds(column: str, page: PageQuery) -> tuple[str, dict[str, Any]]:
    """date_from is inclusive, date_to exclusive (TF-024, TF-025)."""
    where, names = "", {}
    if page.date_from is not None:
        where, names = f" AND {column} >= :date_from", {"date_from": page.date_from}
    if page.date_to is not None:
        where, names = where + f" AND {column} < :date_to", names | {"date_to": page.date_to}
    return where, names


def _window(page: PageQuery) -> dict[str, Any]:
    if page.after is not None:
        return {"limit": page.limit, "after": page.after}
    return {"limit": page.limit, "offset": page.offset}


def _pair(row: Any) -> tuple[Kept | None, Kept | None]:
    first = Kept(*row[:9])
    own = Kept(*row[9:18]) if row[9] is not None else None
    return (own, first) if first.audience == EVERYBODY else (first, None)


def _id(pair: tuple[Kept | None, Kept | None]) -> int:
    row = pair[1] or pair[0]
    assert row is not None
    return row.id
