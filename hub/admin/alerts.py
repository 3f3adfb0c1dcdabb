"""Alerts: what is the matter at present, and what was."""

from dataclasses import dataclass
from datetime import datetime

from fastapi import Response

from hub.admin import access
from hub.exchange.context import Hub
from hub.store import alerts
from hub.store.alerts import Alert
from hub.watch.kinds import Kind
from modules.calls import CurrentHub

router = access.router("alerts")


@dataclass(frozen=True)
class AlertRow:
    """An alert; open while `cleared_at` is None. `severity` is error or warning, `advice` says what to do."""

    id: int
    kind: str
    severity: str
    subject: str
    detail: str
    advice: str
    raised_at: datetime | None
    cleared_at: datetime | None


async def rows(hub: Hub, cleared: bool = False) -> list[AlertRow]:
    """The open alerts, newest first, and then those that were cleared, if they are wanted."""
    async with hub.db.unit_of_work() as session:
        return [_row(alert) for alert in await alerts.every(session, cleared)]


def _row(alert: Alert) -> AlertRow:
    kind = Kind(alert.kind)
    return AlertRow(
        alert.id or 0, kind, kind.severity, alert.subject, alert.detail, kind.advice, alert.raised_at, alert.cleared_at
    )


@router.get("/alerts", response_model=list[AlertRow])
async def get(hub: CurrentHub, all: bool = False) -> Response:
    """The open alerts; with `all` also those of the last 90 days that are over."""
    return access.respond(await rows(hub, all))
