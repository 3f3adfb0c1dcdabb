"""The probe against partners with defects that can be switched on, and what the hub makes of each."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import web
from yarl import URL

from hub.exchange import membership
from hub.exchange.context import Hub
from hub.kit import probe
from hub.kit.probe import Report
from hub.kit.profile import DIFFERS, OK, UNTOLD
from hub.ocpi import envelope, headers
from hub.ocpi.errors import Conflict, NotFound
from hub.sandbox import samples, wire
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.recorder import Received

PLATFORM = 2


@dataclass
class Defects:
    """What is wrong with a partner's lists."""

    links: str = "right"
    total: int | None = 0
    pages: bool = True
    dates: bool = True
    most: int = 50
    bears: int = 10**9
    slash: bool = False
    envelope: bool = True
    echo: bool = True
    raw: bool = False


class Odd(CpoBackend):
    """A CPO whose lists go wrong as `defects` says."""

    defects = Defects()

    def _lister(self, module: str, shelf: Any) -> Any:
        async def get(request: web.Request) -> web.Response:
            return self._page(request, module, shelf.all())

        return get

    def routes(self) -> Any:
        """Every list with a slash at the end, too."""
        yield from super().routes()
        for module, shelf in self._own.items():
            yield "GET", f"/ocpi/2.2.1/sender/{module}/", self._lister(module, shelf)

    def admit(self, seen: Received) -> None:
        """Token as it is instead of in Base64, if it is odd in that."""
        if self.defects.raw and self.peer is not None:
            shown = seen.headers.get("Authorization", "")
            if shown == f"Token {self.peer.token_in}":
                return
        super().admit(seen)

    def _page(self, request: web.Request, module: str, found: list[dict[str, Any]]) -> web.Response:
        odd, query = self.defects, request.query
        if odd.slash and not request.path.endswith("/"):
            return web.Response(status=404)
        offset = int(query.get("offset", 0)) if odd.pages else 0
        if offset < 0:
            return wire.reply(envelope.envelope(status_code=2001), 200)
        limit = int(query.get("limit", 50))
        if limit > odd.bears:
            return web.Response(status=500)
        since, until = query.get("date_from", "") if odd.dates else "", query.get("date_to", "9")
        matching = [entry for entry in found if since <= entry["last_updated"] < until]
        shown = matching[offset : offset + min(limit, odd.most)] if odd.pages else matching
        told: dict[str, str] = {headers.LIMIT: str(odd.most)}
        if odd.total is not None:
            told[headers.TOTAL_COUNT] = str(len(matching) + odd.total)
        if offset + len(shown) < len(matching) and odd.links != "missing":
            told["Link"] = f'<{self._link(request, offset + len(shown))}>; rel="next"'
        return wire.ok(shown, extra=told)

    def _link(self, request: web.Request, offset: int) -> str:
        url = URL(self.origin).join(URL(request.path_qs)).update_query(offset=offset)
        if self.defects.links == "relative":
            return url.raw_path_qs
        if self.defects.links == "elsewhere":
            return str(url.with_host("localhost"))
        if self.defects.links == "bare":
            return str(url.with_query(offset=offset))
        return str(url.update_query(offset=0)) if self.defects.links == "circle" else str(url)

    @web.middleware
    async def _door(self, request: web.Request, handler: Any) -> web.StreamResponse:
        response = await super()._door(request, handler)
        if not self.defects.echo:
            for name in (headers.REQUEST_ID, headers.CORRELATION_ID):
                response.headers.pop(name, None)
        if not self.defects.envelope and response.status == 404:
            return web.Response(status=404, text="not here", headers=_ids(response.headers))
        return response


def _ids(told: Mapping[str, str]) -> dict[str, str]:
    return {name: told[name] for name in (headers.REQUEST_ID, headers.CORRELATION_ID) if name in told}


@pytest.fixture
async def odd(running: Any) -> AsyncIterator[Odd]:
    """NL*CPA with three Locations, connected and by the letter until its defects are switched on."""
    async with Odd("NL*CPA") as partner:
        partner.defects = Defects()
        await running.join(partner, "CPO")
        for number in (1, 2, 3):
            at = f"2026-01-0{number}T00:00:00Z"
            partner.locations.put(("NL", "CPA", f"LOC{number}"), samples.location(id=f"LOC{number}", at=at))
        yield partner


@pytest.fixture
def measured(running: Any, odd: Odd) -> Callable[[], Awaitable[Report]]:
    """Probe the partner now."""

    async def measure() -> Report:
        return await probe.run(running.hub, PLATFORM, pause=0)

    return measure


def _verdicts(report: Report, where: str = "locations") -> dict[str, str]:
    """The verdict by id; the worst where there are several."""
    found: dict[str, str] = {}
    for row in report.findings:
        for id in row.ids if row.where in (where, "all answers", "versions", "version details") else ():
            found[id] = DIFFERS if DIFFERS in (row.verdict, found.get(id)) else row.verdict
    return found


async def test_a_partner_by_the_letter_has_no_quirks_and_nothing_is_changed_there(
    odd: Odd, measured: Callable[[], Awaitable[Report]]
) -> None:
    before = len(odd.received)
    report = await measured()
    assert [row for row in report.findings if row.verdict == DIFFERS and row.where == "locations"] == []
    assert (report.quirks, report.changed, report.token_form) == ({}, {}, "base64")
    asked = odd.received[before:]
    assert {seen.method for seen in asked} == {"GET"}
    assert len(asked) == report.requests
    routed = [seen for seen in asked if "/sender/" in seen.path]
    assert {str(seen.sender) for seen in routed} == {"NL*HUB"}
    sessions = [seen for seen in asked if seen.path.rstrip("/").endswith("sender/sessions")]
    assert all("date_from" in seen.query for seen in sessions)
    told = _verdicts(report)
    expected = {"TF-005", "TF-024", "TF-025", "TF-026", "TF-027", "TF-030", "TF-031", "TF-034", "TF-035", "TF-036"}
    assert {told[id] for id in expected | {"TF-060", "TF-071", "TF-130", "TF-131", "TF-146", "VER-001"}} == {OK}
    assert _verdicts(report, "tariffs")["TF-031"] == UNTOLD  # it has none


@pytest.mark.parametrize(
    ("defects", "quirks", "ids"),
    [
        (Defects(links="missing"), {}, {"TF-031"}),
        (Defects(links="missing", total=None), {"links": "none"}, {"TF-031", "TF-034"}),
        (Defects(links="relative"), {}, {"TF-042"}),
        (Defects(links="elsewhere"), {"links": "query"}, {"TF-042"}),
        (Defects(links="circle"), {"links": "none"}, {"TF-031"}),
        (Defects(total=5), {"total": False}, {"TF-034"}),
        (Defects(pages=False), {"paging": False}, {"TF-022", "TF-027", "TF-041"}),
        (Defects(dates=False), {"dates": False}, {"TF-024"}),
        (Defects(bears=20), {"limit": 10}, {"TF-028"}),
        (Defects(slash=True), {"slash": True}, {"TF-060"}),
        (Defects(envelope=False), {}, {"TF-071"}),
        (Defects(echo=False), {}, {"TF-130", "TF-131"}),
    ],
)
async def test_each_defect_is_found_and_the_quirk_that_fits_it_is_kept(
    running: Any,
    odd: Odd,
    measured: Callable[[], Awaitable[Report]],
    defects: Defects,
    quirks: dict[str, Any],
    ids: set[str],
) -> None:
    odd.defects = defects
    report = await measured()
    assert report.quirks == quirks
    told = _verdicts(report)
    assert {id for id in ids if told[id] != DIFFERS} == set()
    assert running.hub.directory.now.platform(PLATFORM).quirks.departures == quirks


async def test_a_link_that_drops_the_filters_is_not_followed(
    odd: Odd, measured: Callable[[], Awaitable[Report]]
) -> None:
    odd.defects = Defects(links="bare")
    for number in (1, 2):
        odd.sessions.put(("NL", "CPA", f"S{number}"), samples.session(id=f"S{number}"))
    report = await measured()
    assert report.quirks == {"links": "none"}
    assert _verdicts(report, "sessions")["TF-033"] == DIFFERS


async def test_a_partner_that_does_not_decode_its_token(
    running: Any, odd: Odd, measured: Callable[[], Awaitable[Report]], monkeypatch: pytest.MonkeyPatch
) -> None:
    await membership.treat(running.hub, PLATFORM, None, {}, "raw")
    odd.defects = Defects(raw=True)
    monkeypatch.setattr(wire, "authorization", lambda token: f"Token {token}")
    report = await measured()
    assert (report.token_form, report.quirks) == ("raw", {})
    assert _verdicts(report)["TF-007"] == DIFFERS


async def test_what_was_set_by_hand_goes_when_it_is_measured_otherwise_and_stays_when_it_cannot_be(
    running: Any, odd: Odd, measured: Callable[[], Awaitable[Report]]
) -> None:
    await membership.treat(running.hub, PLATFORM, None, {"links": "none", "patch": "no"})
    report = await measured()
    assert report.changed == {"links": ("none", "follow")}
    assert report.quirks == {"patch": "no"}


async def test_a_dry_run_keeps_nothing(running: Any, odd: Odd) -> None:
    odd.defects = Defects(dates=False)
    report = await probe.run(running.hub, PLATFORM, write=False, pause=0)
    assert report.changed == {"dates": (True, False)}
    assert (report.quirks, report.written) == ({}, False)
    assert running.hub.directory.now.platform(PLATFORM).quirks.departures == {}


async def test_a_partner_that_answers_nothing_is_told_so(odd: Odd, measured: Callable[[], Awaitable[Report]]) -> None:
    await odd.go_away()
    report = await measured()
    assert report.quirks == {}
    assert _verdicts(report)["TF-014"] == DIFFERS


async def test_who_cannot_be_probed(running: Any) -> None:
    with pytest.raises(NotFound):
        await probe.run(running.hub, 99)
    with pytest.raises(Conflict):
        await probe.run(running.hub, 1)


async def test_time_runs_out(running: Any, odd: Odd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "DEADLINE", 0.0)
    hub: Hub = running.hub
    report = await probe.run(hub, PLATFORM, pause=0)
    assert {row.where for row in report.findings} == {"versions", "version details", "all answers"}
