"""Lists that break one rule of paging: the kit names that rule, and no other of the group."""

from typing import Any
from urllib.parse import urlencode

import pytest
from aiohttp import web

from hub.ocpi import envelope
from hub.ocpi.types import parse_datetime
from hub.sandbox import wire

Json = dict[str, Any]


class Pager:
    """A list as it should be, but for one defect."""

    def __init__(self, defect: str, objects: list[Json]) -> None:
        self.defect, self.objects = defect, objects
        self.seen: set[str] = set()

    def __call__(self, request: web.Request, response: web.Response) -> web.Response | None:
        if not request.path.endswith("/sender/tariffs") or response.status in (401, 405):
            return None
        query = dict(request.query)
        assert isinstance(response.body, bytes)
        if envelope.read(response.body)[0] != 1000 and self.defect != "malformed taken":
            return _like(response, wire.ok(http_status=500)) if self.defect == "server error" else None
        return _like(response, self._page(request, query))

    def _page(self, request: web.Request, query: dict[str, str]) -> web.Response:
        matching = [found for found in self.objects if self._within(found, query)]
        if self.defect == "reordered" and request.query_string in self.seen:
            matching.reverse()
        self.seen.add(request.query_string)
        offset = int(query.get("offset", 0)) if query.get("offset", "0").isdigit() else 0
        limit = min(int(query["limit"]) if query.get("limit", "").isdigit() else 50, 50)
        limit = 50 if self.defect == "no limit" else limit
        start = max(offset - 1, 0) if self.defect == "offset from 1" else offset
        shown = matching[start : start + limit]
        if self.defect == "404 when empty" and not shown:
            return wire.ok(http_status=404)
        total = len(shown) if self.defect == "total of the page" else len(matching)
        extra = {"X-Total-Count": str(total), "X-Limit": "50"}
        extra.pop({"no total": "X-Total-Count", "no maximum": "X-Limit"}.get(self.defect, ""), None)
        following = offset + len(shown) + (1 if self.defect == "offset from 1" and not offset else 0)
        if (shown and start + len(shown) < len(matching)) or self.defect == "link at the end":
            extra["Link"] = self._link(request, query, following, limit)
        if self.defect == "no link":
            extra.pop("Link", None)
        return wire.ok({} if self.defect == "no array" else shown, extra=extra)

    def _link(self, request: web.Request, query: dict[str, str], following: int, limit: int) -> str:
        offset = 0 if self.defect == "link to the same page" else following
        kept = {} if self.defect == "filters lost" else query
        base = "" if self.defect == "relative link" else f"http://{request.host}"
        return f'<{base}{request.path}?{urlencode({**kept, "offset": offset, "limit": limit})}>; rel="next"'

    def _within(self, found: Json, query: dict[str, str]) -> bool:
        at = parse_datetime(found["last_updated"])
        since, until = (_date(query.get(name)) for name in ("date_from", "date_to"))
        if since and (at <= since if self.defect == "from exclusive" else at < since):
            return self.defect == "from ignored"
        return not until or at < until or (at == until and self.defect == "to inclusive")


def _date(text: str | None) -> Any:
    try:
        return parse_datetime(text or "")
    except ValueError:
        return None


def _like(response: web.Response, made: web.Response) -> web.Response:
    """With the message ids that the real answer has."""
    made.headers.update(
        {name: value for name, value in response.headers.items() if name.startswith(("X-Req", "X-Corr"))}
    )
    made.headers.update({name: value for name, value in response.headers.items() if name.startswith("OCPI-")})
    return made


DEFECTS = [
    ("no array", "TF-069"),
    ("no total", "TF-034"),
    ("total of the page", "TF-034"),
    ("no maximum", "TF-035"),
    ("no limit", "TF-023"),
    ("offset from 1", "TF-027"),
    ("no link", "TF-031"),
    ("link to the same page", "TF-031"),
    ("relative link", "TF-042"),
    ("link at the end", "TF-032"),
    ("filters lost", "TF-033"),
    ("reordered", "TF-036"),
    ("from exclusive", "TF-024"),
    ("to inclusive", "TF-025"),
    ("404 when empty", "TF-074"),
    ("malformed taken", "TF-030"),
    ("server error", "TF-145"),
]


@pytest.mark.parametrize(("defect", "catalogue_id"), DEFECTS, ids=[defect for defect, _ in DEFECTS])
async def test_the_broken_rule_is_named(cpo: Any, examine: Any, found: Any, defect: str, catalogue_id: str) -> None:
    cpo.mangle = Pager(defect, cpo.tariffs.all())
    assert found(await examine(cpo, "tariffs"), "tariffs") == {catalogue_id}


async def test_a_list_as_it_should_be(cpo: Any, examine: Any, found: Any) -> None:
    cpo.mangle = Pager("none", cpo.tariffs.all())
    run = await examine(cpo, "tariffs", "every answer")
    assert [result.check.ids for result in run.results if result.outcome == "failed"] == []
    assert run.count("passed", must=True) > 20
