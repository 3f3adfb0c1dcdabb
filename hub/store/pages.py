"""Lists for GET ALL: kept objects and CDRs in the order of first arrival, a page at a time.

An object that is kept both for everybody and for the reader counts once, at the place of everybody's row. Pages go by
the id of the last object seen; only a client that makes up its own offset pays for skipping. How many objects there
are for everybody is counted as they change (`ObjectCount`); a reader's own rows, mostly few or none, are looked
at when a first page counts. Each page looks one row further than it shows, so that a list ends where it ends, whatever
has come and gone since its first page.

A page without dates for a reader without rows of its own, which is most of them, is one statement that names its party
itself: a round trip costs more than the page. PostgreSQL puts its bodies together; they go out as they are kept.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import TextClause, text

from hub.ocpi.paging import PageQuery
from hub.store.db import Database, Statements
from hub.store.objects import KEPT_COLUMNS, Kept

FEW = 5_000
"""Up to so many objects in a window of dates are found by their dates; more, by walking through all of them."""

Item = bytes | tuple[Kept, Kept]
"""Objects as they are kept, with commas between, or what two rows say of one: the reader's own and everybody's."""


@dataclass(frozen=True)
class Page:
    """The `count` objects of a page, how many the list had when it began, the id of the last, whether more follow."""

    items: Sequence[Item]
    count: int
    total: int
    last_id: int | None
    more: bool


@dataclass(frozen=True)
class _Shape:
    """What a page's statement depends on: rows of the reader's own, the bounds of dates, few in them, a cursor."""

    own: bool
    since: bool
    until: bool
    few: bool
    cursor: bool


_GLANCE = text(
    "SELECT (SELECT COALESCE(sum(live), 0)::bigint FROM object_count WHERE module = :module AND owner = ANY(:owners)),"
    " EXISTS (SELECT FROM object WHERE audience = :reader AND audience <> '*' AND module = :module)"
)

# In these, e is a live row for everybody and m a row of the reader's own, be it alive or a tombstone.
_FRAGMENTS = {
    "e": "e.module = :module AND e.audience = '*' AND NOT e.deleted AND e.owner = ANY(:owners)",
    "m": "m.module = :module AND m.audience = :reader AND m.audience <> '*' AND m.owner = ANY(:owners)",
    "e_of_m": "e.owner = m.owner AND e.module = m.module AND e.key = m.key AND e.audience = '*' AND NOT e.deleted",
    "m_of_e": "m.owner = e.owner AND m.module = e.module AND m.key = e.key AND m.audience = :reader"
    " AND m.audience <> '*'",
    "m_is_newer": "(m.last_updated, m.stored_at) >= (e.last_updated, e.stored_at)",
    "both_rows": ", ".join(f"{row}.{column}" for row in "em" for column in KEPT_COLUMNS),
}
_SIMPLE = (
    "WITH me AS MATERIALIZED (SELECT set_config('hub.party', :reader, true) AS party),"
    # Row-level security asks for the party: what reads objects depends on the row of `me`, and so comes after it.
    " glance AS MATERIALIZED (SELECT EXISTS"
    " (SELECT FROM object m WHERE m.audience = party AND m.audience <> '*' AND m.module = :module) AS own,"
    " (SELECT COALESCE(sum(live), 0)::bigint FROM object_count WHERE module = :module AND owner = ANY(:owners)) AS live"
    " FROM me)"
    " SELECT own, live, shown.*, EXISTS (SELECT FROM object e WHERE {e} AND e.id > shown.last_id) AS more"
    " FROM glance, LATERAL (SELECT count(*) AS count, max(id) AS last_id,"
    " convert_to(string_agg(body, ','), 'UTF8') AS bodies"  # in the order in which they come
    " FROM (SELECT e.id, e.body FROM object e WHERE {e} AND NOT own{after}"
    " ORDER BY e.id LIMIT :limit{offset}) AS page) AS shown"
)
_COUNT = "SELECT count(*) FROM object e WHERE {e}{dates}"
_CORRECTION = (
    "SELECT count(*) FILTER (WHERE (NOT m.deleted OR e.id IS NOT NULL AND NOT {m_is_newer}){seen_dates})"
    " - count(*) FILTER (WHERE e.id IS NOT NULL{e_dates})"
    " FROM object m LEFT JOIN object e ON {e_of_m} WHERE {m}"
)
_SEEN_CHANGED = "CASE WHEN m.deleted THEN e.last_updated ELSE GREATEST(m.last_updated, e.last_updated) END"
_HITS = "SELECT e.id FROM object e WHERE {e}{e_dates}"
_OWN_HITS = (
    " UNION SELECT COALESCE(e.id, m.id) FROM object m LEFT JOIN object e ON {e_of_m}"
    " WHERE {m} AND NOT m.deleted{m_dates}"
)
_PLAIN = "{hits}SELECT e.id, e.body FROM object e WHERE {e}{e_dates}{e_order}{offset}"
_CHANGED = "GREATEST(e.last_updated, (SELECT m.last_updated FROM object m WHERE {m_of_e} AND NOT m.deleted))"
_BOTH = (
    "{hits}SELECT {both_rows} FROM (SELECT id FROM ("
    "(SELECT e.id FROM object e WHERE {e} AND NOT EXISTS"
    " (SELECT FROM object m WHERE {m_of_e} AND m.deleted AND {m_is_newer}){dates}{e_order})"
    " UNION ALL (SELECT m.id FROM object m WHERE {m} AND NOT m.deleted AND NOT EXISTS"
    " (SELECT FROM object e WHERE {e_of_m}){m_dates}{m_order})"
    ") AS seen ORDER BY id LIMIT :most{offset}) AS page JOIN object e USING (id)"
    " LEFT JOIN object m ON e.audience = '*' AND {m_of_e} AND NOT m.deleted ORDER BY e.id"
)
_CDR_COUNT = "SELECT count(*) FROM cdr c WHERE c.receiver = :reader AND c.owner = ANY(:owners){dates}"
_CDR_PAGE = (
    "SELECT seq, body FROM (SELECT c.seq FROM cdr c WHERE c.receiver = :reader AND c.owner = ANY(:owners)"
    "{dates}{order}{offset}) AS page JOIN cdr_body USING (seq) ORDER BY seq"
)


async def objects(db: Database, module: str, reader: str, owners: list[str], page: PageQuery) -> Page:
    """A page of the objects of `module` of these owners that `reader` may see."""
    names: dict[str, Any] = {"module": module, "reader": reader, "owners": owners}
    glance = None
    if page.date_from is None and page.date_to is None:
        row = (await db.alone(_simple(bool(page.after)), names | {"limit": page.limit} | _window(page))).one()
        if not row.own:
            total = row.live if page.total is None else page.total
            return Page([row.bodies] if row.count else [], row.count, total, row.last_id, row.more)
        glance = row.live, row.own
    async with db.unit_of_work(reader) as session:
        live, own = glance or (await session.execute(_GLANCE, names)).one()
        return await _merged(session, names, live, own, page)


async def _merged(session: Statements, names: dict[str, Any], live: int, own: bool, page: PageQuery) -> Page:
    """A page between dates, or one in which the reader's own rows count."""
    total = page.total
    names |= _bounds(page)
    if total is None:
        total = await _count(session, names, live, own, page)
    dated = page.date_from is not None or page.date_to is not None
    shape = _Shape(own, page.date_from is not None, page.date_to is not None, dated and total <= FEW, bool(page.after))
    rows = (await session.execute(_statement(shape), names | _window(page))).all()
    items = [_item(row) if own else row[1].encode() for row in rows[: page.limit]]
    return _page(rows, items, total, page.limit)


async def cdrs(db: Database, reader: str, owners: list[str], page: PageQuery) -> Page:
    """A page of the CDRs for `reader`; nobody else's are ever in it (CDR-015)."""
    names: dict[str, Any] = {"reader": reader, "owners": owners} | _bounds(page)
    dates = _dates("c.last_updated", page.date_from is not None, page.date_to is not None)
    after, offset = (" AND c.seq > :after", "") if page.after else ("", " OFFSET :offset")
    order = after + " ORDER BY c.seq LIMIT :most"
    total = page.total
    async with db.unit_of_work(reader) as session:
        if total is None:
            total = int((await session.execute(text(_CDR_COUNT.format(dates=dates)), names)).scalar_one())
        statement = text(_CDR_PAGE.format(dates=dates, order=order, offset=offset))
        rows = (await session.execute(statement, names | _window(page))).all()
    return _page(rows, [row[1].encode() for row in rows[: page.limit]], total, page.limit)


def _page(rows: Sequence[Any], items: Sequence[Item], total: int, limit: int) -> Page:
    return Page(items, len(items), total, rows[len(items) - 1][0] if items else None, len(rows) > limit)


async def _count(session: Statements, names: dict[str, Any], live: int, own: bool, page: PageQuery) -> int:
    """How many objects the list has: those for everybody, and what the reader's own rows add and take away."""
    since, until = page.date_from is not None, page.date_to is not None
    total = live
    if since or until:
        everybody = _sql(_COUNT, dates=_dates("e.last_updated", since, until))
        total = int((await session.execute(text(everybody), names)).scalar_one())
    if own:
        total += int((await session.execute(_correction(since, until), names)).scalar_one())
    return total


@functools.cache
def _simple(cursor: bool) -> TextClause:
    return text(_sql(_SIMPLE, after=" AND e.id > :after" if cursor else "", offset="" if cursor else " OFFSET :offset"))


@functools.cache
def _correction(since: bool, until: bool) -> TextClause:
    """The reader's objects among its own rows, less those of them that everybody's rows have counted already."""
    seen_dates = _dates(_SEEN_CHANGED, since, until)
    return text(_sql(_CORRECTION, seen_dates=seen_dates, e_dates=_dates("e.last_updated", since, until)))


@functools.cache
def _statement(shape: _Shape) -> TextClause:
    """The rows of a page and one more. If the reader has rows of its own: the ids first, in order, from everybody's
    rows and from those that stand alone; then both rows of each."""
    dates = {
        "e_dates": _dates("e.last_updated", shape.since, shape.until),
        "m_dates": _dates("m.last_updated", shape.since, shape.until),
        "dates": _dates(_sql(_CHANGED), shape.since, shape.until),
    }
    order = " AND {0}.id IN (SELECT id FROM hit)" if shape.few else ""
    order += " AND {0}.id > :after" if shape.cursor else ""
    order += " ORDER BY {0}.id LIMIT " + (":reach" if shape.own else ":most")
    hits = _sql(_HITS + (_OWN_HITS if shape.own else ""), **dates)
    statement = _sql(
        _BOTH if shape.own else _PLAIN,
        hits=f"WITH hit AS MATERIALIZED ({hits}) " if shape.few else "",
        e_order=order.format("e"),
        m_order=order.format("m"),
        offset="" if shape.cursor else " OFFSET :offset",
        **dates,
    )
    return text(statement)


def _sql(template: str, **parts: str) -> str:
    return template.format(**_FRAGMENTS, **parts)


def _dates(column: str, since: bool, until: bool) -> str:
    """date_from is inclusive, date_to exclusive (TF-024, TF-025)."""
    return (f" AND {column} >= :date_from" if since else "") + (f" AND {column} < :date_to" if until else "")


def _bounds(page: PageQuery) -> dict[str, Any]:
    given = {"date_from": page.date_from, "date_to": page.date_to}
    return {name: value for name, value in given.items() if value is not None}


def _window(page: PageQuery) -> dict[str, int]:
    if page.after:
        return {"most": page.limit + 1, "reach": page.limit + 1, "after": page.after}
    return {"most": page.limit + 1, "reach": page.offset + page.limit + 1, "offset": page.offset}


def _item(row: Any) -> Item:
    """A row of e, which may be one of the reader's own that stands alone, and of its m."""
    half = len(KEPT_COLUMNS)
    first = Kept(*row[:half])
    return first.body.encode() if row[half] is None else (Kept(*row[half:]), first)
