"""What goes by itself: callbacks and tokens whose time is over; nothing else."""

from sqlalchemy import text

from hub.store import expiry
from hub.store.db import Database

ROWS = """
INSERT INTO callback (id, kind, module, url, caller, target, correlation_id, expires_at) VALUES
    ('old', 'page', 'locations', 'u', 'a', 'b', 'c', now() - interval '1 second'),
    ('new', 'page', 'locations', 'u', 'a', 'b', 'c', now() + interval '1 hour');
INSERT INTO access_token (hash, platform_id, kind, expires_at) VALUES
    ('old', 1, 'C', now() - interval '1 second'), ('new', 1, 'A', now() + interval '1 hour'),
    ('for ever', 1, 'C', NULL)
"""


LEFT = ("SELECT id FROM callback ORDER BY 1", "SELECT hash FROM access_token ORDER BY 1")


async def test_only_what_is_over_goes(database_url: str) -> None:
    db = Database(database_url)
    async with db.unit_of_work() as session:
        for statement in ROWS.split(";"):
            await session.execute(text(statement))
    async with db.unit_of_work() as session:
        await expiry.expire(session)
    async with db.unit_of_work() as session:
        kept = [(await session.execute(text(query))).scalars().all() for query in LEFT]
    await db.close()
    assert kept == [["new"], [b"for ever", b"new"]]
