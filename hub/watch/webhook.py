"""The operator's webhook: told of every alert, raised and cleared, in that order, until it has taken it.

At least once: an alert counts as told when the webhook answered 2xx. Until then it is tried again after pauses that
grow, and everything else waits its turn; that a webhook is dead is logged once.
"""

from ipaddress import ip_network
from typing import Any

import structlog

from hub import telemetry
from hub.ocpi import json
from hub.ocpi.client import NetworkError, Outbound
from hub.ocpi.types import format_datetime
from hub.store import alerts
from hub.store.alerts import News
from hub.store.db import Database
from hub.watch.kinds import Kind
from hub.watch.limits import Limits

log = structlog.get_logger(__name__)

ANYWHERE = (ip_network("0.0.0.0/0"), ip_network("::/0"))
"""What the operator sets is the operator's to judge: no address is refused."""


class Webhook:
    """HUB_ALERT_URL, told in the name of `hub`."""

    def __init__(self, db: Database, outbound: Outbound, url: str, hub: str, limits: Limits) -> None:
        self._db, self._outbound, self._url, self._hub, self._limits = db, outbound, url, hub, limits
        self._dead = False

    async def tell(self) -> None:
        """Tell all that is due; the first that is not taken ends it until the next round."""
        while (news := await self._next()) is not None:
            reason = await self._post(news)
            if reason is not None:
                if not self._dead:
                    log.warning("HUB_ALERT_URL does not take alerts, it goes on being tried", reason=reason)
                self._dead = True
                return
            self._dead = False
            async with self._db.unit_of_work() as session:
                await alerts.told(session, news)

    async def _next(self) -> News | None:
        pause = max(self._limits.webhook_pause, self._limits.webhook_timeout)
        async with self._db.unit_of_work() as session:
            return await alerts.next_news(session, pause, self._limits.webhook_longest)

    async def _post(self, news: News) -> str | None:
        """Why it was not taken, None when it was."""
        headers = {"Content-Type": "application/json"}
        body = json.dumps(message(news, self._hub))
        try:
            answer = await self._outbound.send("POST", self._url, headers, body, self._limits.webhook_timeout)
        except NetworkError as error:
            return str(error)
        return None if 200 <= answer.status < 300 else f"it answered HTTP {answer.status}"


def message(news: News, hub: str) -> dict[str, Any]:
    """What the webhook is told. `text` says it all in one line, which is what chat webhooks show."""
    kind = Kind(news.kind)
    state = "cleared" if news.cleared else "raised"
    text = f"{hub}: {kind} {state}, {news.subject}"
    if not news.cleared:
        text += f": {news.detail}. What to do: {kind.advice}"
    return {
        "id": news.id,
        "kind": str(kind),
        "severity": kind.severity,
        "subject": news.subject,
        "state": state,
        "detail": news.detail,
        "advice": kind.advice,
        "at": format_datetime(news.at),
        "hub": hub,
        "text": telemetry.printable(text),
    }
