"""The watch: what is raised, renewed and cleared, once, whoever looks; and that it goes on without a database."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from cryptography.fernet import Fernet

from hub.exchange.context import Hub
from hub.settings import Settings
from hub.store import alerts
from hub.store.alerts import Alert
from hub.store.db import Database
from hub.watch import watch
from hub.watch.judge import NEVER, Condition
from hub.watch.kinds import Kind
from hub.watch.limits import Limits
from hub.watch.watch import Watch
from modules.catalog import CATALOG

Eventually = Callable[[Callable[[], object]], Awaitable[None]]
QUICK = Limits(every=0.05, patience=0.0)


@pytest.fixture
async def hub(database_url: str, redis_url: str) -> AsyncIterator[Hub]:
    """A hub without workers."""
    key = Fernet.generate_key().decode()
    async with Hub.open(Settings(database_url=database_url, redis_url=redis_url, secret_key=key), CATALOG) as hub:
        yield hub


async def every(hub: Hub) -> list[Alert]:
    async with hub.db.unit_of_work() as session:
        return await alerts.every(session, cleared=True)


def compare(
    conditions: list[Condition], opened: list[Alert], lasted: float = 0.0
) -> tuple[list[str], list[str], dict[int, str]]:
    seen = {(str(c.kind), c.subject): lasted for c in conditions}
    changes = watch.compare(conditions, opened, seen)
    return [c.subject for c in changes.begin], [a.subject for a in changes.clear], changes.renew


def test_what_is_new_begins_what_is_over_ends_and_the_rest_is_renewed() -> None:
    opened = [
        Alert(id=1, kind="cdr_held", subject="A", detail="1 waits"),
        Alert(id=2, kind="cdr_held", subject="B", detail="1 waits"),
        Alert(id=3, kind="cdr_held", subject="C", detail="1 waits"),
    ]
    seen = [
        Condition(Kind.CDR_HELD, subject, detail) for subject, detail in [("A", "1 waits"), ("B", "2 wait"), ("D", "1")]
    ]
    assert compare(seen, opened) == (["D"], ["C"], {2: "2 wait"})


def test_what_must_last_is_told_when_it_has_and_what_is_not_known_is_kept() -> None:
    passing = [Condition(Kind.BROKER_AWAY, "broker", "away", 10.0)]
    assert compare(passing, [], 9.9)[0] == []
    assert compare(passing, [], 10.0)[0] == ["broker"]
    unknown = [Condition(Kind.CERTIFICATE_EXPIRES, "hub:443", lasting=NEVER)]
    assert compare(unknown, [], 1e9) == ([], [], {})
    assert compare(unknown, [Alert(id=1, kind="certificate_expires", subject="hub:443", detail="ends")]) == ([], [], {})


async def test_several_api_processes_raise_an_alert_once(hub: Hub, eventually: Eventually) -> None:
    async with Watch.running(hub, QUICK), Watch.running(hub, QUICK) as one:
        for _ in range(1000):
            if await every(hub):
                break
            await asyncio.sleep(0.02)
        await one.round()
    assert [(alert.kind, alert.subject, alert.cleared_at) for alert in await every(hub)] == [
        ("sweep_behind", "workers", None)
    ]


async def test_it_goes_on_when_the_database_was_away(hub: Hub, eventually: Eventually) -> None:
    there, hub.db = hub.db, Database("postgresql://nobody:none@127.0.0.1:9/none")
    async with Watch.running(hub, QUICK) as one:
        await eventually(lambda: one._blind)
        hub.db = there
        await eventually(lambda: not one._blind)
    assert len(await every(hub)) == 1
