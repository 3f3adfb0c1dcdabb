"""One look at the database tells how the hub is."""

import asyncpg
from sqlalchemy import text

from hub.store import vitals
from hub.store.db import Database
from hub.store.lanes import LOCKS

SETUP = """
INSERT INTO platform (id, name, hosted, status, resync, token_form, strict, failures, last_seen_at)
VALUES (10, 'Alpha', false, 'CONNECTED', 'push', 'base64', false, 0, now() - interval '1 hour'),
       (11, 'Beta', false, 'OFFLINE', 'push', 'base64', false, 7, NULL);
INSERT INTO party (id, code, platform_id, roles, business_details)
VALUES (20, 'DE*MSA', 10, ARRAY['EMSP'], '{}'), (21, 'FR*MSB', 11, ARRAY['EMSP', 'CPO'], '{}');
INSERT INTO lane (party_id, receiver) VALUES (20, 'DE*MSA'), (21, 'FR*MSB');
INSERT INTO lane_cursor (party_id, shard, position) VALUES (20, 0, 5), (21, 0, 2);
INSERT INTO change_log (position, owner, module, key, audience, correlation_id, at)
SELECT n, 'NL*CPA', 'tariffs', 'T1', '*', 'c', now() - (10 - n) * interval '1 minute' FROM generate_series(1, 5) AS n;
INSERT INTO change_log (owner, module, key, audience, correlation_id, at)
VALUES ('NL*CPA', 'tariffs', 'T1', '*', 'c', now() - interval '7 seconds');
UPDATE log_head SET position = 5, tail = 0;
INSERT INTO owed (receiver, owner, module, key, need, correlation_id, reason, parked)
VALUES ('DE*MSA', 'NL*CPA', 'tariffs', 'T1', '{}', 'c', NULL, false),
       ('DE*MSA', 'NL*CPA', 'tokens', '0123456789ABCDEF', '{}', 'c', '2001', true),
       ('DE*MSA', 'NL*CPA', 'tariffs', 'T3', '{}', 'c', '2001', true);
INSERT INTO access_token (hash, platform_id, kind, expires_at)
VALUES ('a', 10, 'C', now() + interval '1 hour'), ('b', 10, 'C', now() + interval '2 hours'),
       ('c', 11, 'C', NULL), ('d', 11, 'C', now() + interval '1 hour'), ('e', 11, 'A', now() + interval '3 hours')
"""


async def test_a_look(database_url: str) -> None:
    db = Database(database_url)
    async with db.unit_of_work() as session:
        for statement in SETUP.split(";\n"):
            await session.execute(text(statement))
    holder = await asyncpg.connect(database_url, ssl=False)
    await holder.execute("SELECT pg_advisory_lock($1, 20)", LOCKS)
    async with db.unit_of_work() as session:
        found = await vitals.look(session)
    await holder.close()
    await db.close()
    near, far = found.lanes
    assert (near.receiver, near.depth, near.age, near.held, near.well) == ("DE*MSA", 0, 0.0, True, True)
    assert (far.receiver, far.depth, far.held, far.well) == ("FR*MSB", 3, False, False)
    assert 420 <= far.age < 430
    (debt,) = found.debts
    assert (debt.receiver, debt.owed, debt.parked, debt.reason) == ("DE*MSA", 1, 2, "2001")
    assert debt.first is not None
    assert debt.first.startswith("tokens NL*CPA/")
    assert "0123" not in debt.first
    assert (found.log.head, found.log.unstamped) == (5, 1)
    assert 7 <= found.log.unstamped_age < 17
    alpha, beta = found.platforms
    assert alpha.token_ends is not None
    assert 7_000 < (alpha.token_ends - found.now).total_seconds() <= 7_200
    assert alpha.invited_until is None
    assert 3_600 <= alpha.quiet < 3_610
    assert (beta.token_ends, beta.has_token, beta.roles) == (None, True, ["CPO", "EMSP"])
    assert beta.invited_until is not None
    assert beta.quiet < 10
    assert found.size > 1_000_000


async def test_an_empty_hub(database_url: str) -> None:
    db = Database(database_url)
    async with db.unit_of_work() as session:
        found = await vitals.look(session)
    await db.close()
    assert (found.lanes, found.debts, found.platforms, found.held, found.signs, found.alerts) == (
        [],
        [],
        [],
        [],
        [],
        {},
    )
    assert (found.log.head, found.log.unstamped, found.log.unstamped_age, found.backfills) == (0, 0, 0.0, 0)
