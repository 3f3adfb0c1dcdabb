"""What goes by itself: callbacks and tokens whose time is over; nothing else."""

from sqlalchemy import text

from hub.store import destinations, expiry
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


MORE = """
INSERT INTO reservation (sender, key, receiver, expires_at) VALUES
    ('DE*MSA', 'OLD', 'NL*CPA', now() - interval '1 second'), ('DE*MSA', 'NEW', 'NL*CPA', now() + interval '1 hour');
INSERT INTO profile_setter (owner, key, setter, expires_at) VALUES
    ('NL*CPA', 'OLD', 'DE*MSA', now() - interval '1 second'), ('NL*CPA', 'NEW', 'DE*MSA', now() + interval '1 hour');
INSERT INTO given_command (sender, request_id, hash, at) VALUES
    ('DE*MSA', 'old', '', now() - interval '25 hours'), ('DE*MSA', 'new', '', now() - interval '23 hours')
"""


REMAINING = (
    "SELECT key FROM reservation",
    "SELECT key FROM profile_setter",
    "SELECT request_id FROM given_command",
)


async def test_where_calls_went_and_what_commands_said_goes_when_it_is_over(database_url: str) -> None:
    db = Database(database_url)
    async with db.unit_of_work() as session:
        for statement in MORE.split(";"):
            await session.execute(text(statement))
        assert await destinations.holders(session, "DE*MSA", "OLD") == []
        assert await destinations.holders(session, "DE*MSA", "NEW") == ["NL*CPA"]
        assert await destinations.setter(session, "NL*CPA", "OLD") is None
        assert await destinations.setter(session, "NL*CPA", "NEW") == "DE*MSA"
        await expiry.expire(session)
        left = [(await session.execute(text(query))).scalars().all() for query in REMAINING]
    await db.close()
    assert left == [["NEW"], ["NEW"], ["new"]]
