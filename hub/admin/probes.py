"""The probe: measure a connected partner, reading only, and keep how it departs from OCPI as its quirks."""

from dataclasses import dataclass
from typing import Any

from fastapi import Response

from hub.admin import access
from hub.admin.orders import Order
from hub.exchange.context import Hub
from hub.kit import probe
from modules.calls import CurrentHub

router = access.router("platforms")


class ProbeOrder(Order):
    """Measure a platform. `write` false: only tell what its quirks would be."""

    write: bool = True


@dataclass(frozen=True)
class ProbeFinding:
    """One thing that was looked at. `ids` are rows of the catalogue of requirements; `verdict` is ok, differs or could
    not be told; `effect` is what the hub does about it."""

    ids: list[str]
    where: str
    verdict: str
    what: str
    effect: str


@dataclass(frozen=True)
class QuirkChange:
    """A quirk that the probe found to be otherwise than it was known."""

    name: str
    before: bool | int | str
    after: bool | int | str


@dataclass(frozen=True)
class ProbeReport:
    """What a probe found out. `changed` are the quirks it has set, or would set where `written` is false; `quirks` are
    all that are in force now."""

    platform_id: int
    written: bool
    token_form: str
    quirks: dict[str, Any]
    changed: list[QuirkChange]
    findings: list[ProbeFinding]
    requests: int
    seconds: float


async def measure(hub: Hub, platform_id: int, order: ProbeOrder) -> ProbeReport:
    """Probe a platform; NotFound (404), Conflict (409) when it is not connected."""
    found = await probe.run(hub, platform_id, write=order.write)
    return ProbeReport(
        platform_id,
        found.written,
        found.token_form,
        found.quirks,
        [QuirkChange(name, before, after) for name, (before, after) in sorted(found.changed.items())],
        [ProbeFinding(list(row.ids), row.where, row.verdict, row.what, row.effect) for row in found.findings],
        found.requests,
        found.seconds,
    )


@router.post("/platforms/{platform_id}/probe", response_model=ProbeReport)
async def post(hub: CurrentHub, platform_id: int, order: ProbeOrder) -> Response:
    """Measure a partner by GETs alone: versions, lists, pages, dates, headers, times; and set its quirks."""
    return access.respond(await measure(hub, platform_id, order))
