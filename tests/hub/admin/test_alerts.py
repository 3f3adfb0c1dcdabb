import httpx
from sqlalchemy import text

from hub.exchange.context import Hub


async def test_open_alerts_come_first_and_old_ones_on_demand(api: httpx.AsyncClient, hub: Hub) -> None:
    assert (await api.get("/alerts")).json() == []
    async with hub.db.unit_of_work() as session:
        await session.execute(
            text("INSERT INTO alert (kind, subject, detail) VALUES ('cdr_held', 'NL*LOC', '1 waits')")
        )
        await session.execute(
            text(
                "INSERT INTO alert (kind, subject, detail, cleared_at)"
                " VALUES ('broker_away', 'broker', 'it does not answer', now())"
            )
        )
    (held,) = (await api.get("/alerts")).json()
    assert (held["kind"], held["subject"], held["severity"], held["cleared_at"]) == (
        "cdr_held",
        "NL*LOC",
        "error",
        None,
    )
    assert "knutpunkt cdr list" in held["advice"]
    both = (await api.get("/alerts", params={"all": "true"})).json()
    assert [alert["kind"] for alert in both] == ["cdr_held", "broker_away"]
    assert both[1]["cleared_at"]
