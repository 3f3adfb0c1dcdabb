"""The chores of a worker: the message log keeps the days of its setting, the change log its week."""

from typing import Any

import pytest

from hub.delivery.chores import Chores

HOPS = """
INSERT INTO hop (at, correlation_id, request_id, sender, receiver, method, what, decision)
SELECT now() - n * interval '1 day', n, '', '', '', '', '', '' FROM generate_series(0, 14) AS n
"""
CHANGES = """
INSERT INTO change_log (owner, module, key, audience, correlation_id, position, at)
SELECT 'NL*CPA', 'locations', n, '*', n, n, now() - (10 - n) * interval '1 day' + interval '1 hour'
FROM generate_series(1, 10) AS n
"""


@pytest.mark.parametrize("days", [3, 14])
async def test_old_days_of_the_message_log_go(small_hub: Any, days: int) -> None:
    await small_hub.run(HOPS)
    for _ in range(2):
        await Chores(small_hub.db, days).expire()
    ages = await small_hub.run("SELECT correlation_id::integer FROM hop ORDER BY 1")
    assert ages == [(age,) for age in range(days + 1)]
    ahead = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'hop'::regclass"
    assert await small_hub.run(ahead) == [(days + 1 + 3,)]


async def test_old_changes_go(small_hub: Any) -> None:
    await small_hub.run(CHANGES)
    for _ in range(2):
        await Chores(small_hub.db, 14).prune()
    assert await small_hub.run("SELECT key::integer FROM change_log ORDER BY 1") == [(n,) for n in range(3, 11)]
    assert await small_hub.run("SELECT tail FROM log_head") == [(2,)]


async def test_old_alerts_go(small_hub: Any) -> None:
    old = "INSERT INTO alert (kind, subject, detail, cleared_at) SELECT 'cdr_held', n, '', now() - n * interval '1 day'"
    await small_hub.run(f"{old} FROM unnest(ARRAY[89, 91]) AS n")
    await Chores(small_hub.db, 14).expire()
    assert await small_hub.run("SELECT subject FROM alert") == [("89",)]


async def test_the_clock_is_heard(small_hub: Any) -> None:
    for _ in range(2):
        await Chores(small_hub.db, 14).heard()
    assert await small_hub.run("SELECT process, kind, now() - at < interval '1 minute' FROM heartbeat") == [
        ("beat", "beat", True)
    ]
