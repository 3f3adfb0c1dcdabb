import json
from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import text

Command = Callable[..., Awaitable[Any]]


async def test_alerts(knutpunkt: Command, served: Any) -> None:
    ended = await knutpunkt("alerts")
    assert (ended.status, ended.out) == (0, "no alert\n")
    insert = "INSERT INTO alert (kind, subject, detail, raised_at, cleared_at) VALUES"
    async with served.hub.db.unit_of_work() as session:
        await session.execute(
            text(f"{insert} ('lane_stopped', 'Alpha (platform 2)', 'HTTP \x1b401', '2026-01-01 08:00Z', NULL)")
        )
        await session.execute(
            text(f"{insert} ('broker_away', 'broker', 'gone', '2026-01-01 09:00Z', '2026-01-01 09:05Z')")
        )
    ended = await knutpunkt("alerts")
    assert ended.status == 0
    assert ended.out.splitlines()[:4] == [
        "error  lane_stopped: Alpha (platform 2)",
        r"what   HTTP \x1b401",
        "since  2026-01-01 08:00:00",
        "do     renew the credentials with this partner: it must PUT or POST them anew, or be invited again; "
        "deliveries then go on by themselves",
    ]
    assert "broker_away" not in ended.out
    assert "since    2026-01-01 09:00:00, over since 2026-01-01 09:05:00" in (await knutpunkt("alerts", "--all")).out
    assert len(json.loads((await knutpunkt("alerts", "--all", "--json")).out)) == 2
