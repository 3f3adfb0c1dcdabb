"""The journal writes hops in batches, and a database that is away costs hops, never the exchange."""

from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from hub.store import journal, messages
from hub.store.db import Database
from hub.store.journal import Hop, Journal

HOP = Hop("c-1", "r-1", "NL*CPA", "NL*HUB", "PUT", "locations", "broadcast", status_code=1000)


async def test_hops_are_written_in_their_order(database_url: str) -> None:
    db = Database(database_url)
    kept = Journal(db)
    await kept.start()
    for number in range(3):
        kept.note(replace(HOP, request_id=f"r-{number}"))
    await kept.stop()
    async with db.unit_of_work() as session:
        hops = await messages.trace(session, "c-1")
    await db.close()
    assert [hop["request_id"] for hop in hops] == ["r-0", "r-1", "r-2"]
    assert (hops[0]["status_code"], hops[0]["http_status"]) == (1000, None)


async def test_an_overloaded_or_cut_off_journal_only_loses_hops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "CAPACITY", 2)
    db = Database("postgresql://nobody@127.0.0.1:1/nothing")
    kept = Journal(db)
    with capture_logs() as told:
        for _ in range(5):
            kept.note(HOP)
        await kept.flush()
        await kept.flush()
    await db.close()
    assert [(line["event"].partition(",")[0], line["hops"]) for line in told] == [
        ("hops not written", 2),
        ("hops dropped", 3),
    ]
