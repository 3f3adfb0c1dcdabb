"""Stories of what the hub takes: an answer holds whatever happens at that moment, and the newest is what counts."""

import asyncio
from typing import Any

from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend
from tests.chaos.stories.promise import arrives, keep

PUSHES_AFTER = (
    "INSERT INTO change_log (owner, module, key, audience, correlation_id)"
    " SELECT 'NL*CPA', 'locations', 'ANOTHER', '*', 'c' FROM generate_series(1, 2500)"
)


async def push_until_taken(world: Any, location_id: str, second: int) -> None:
    """As a CPO does: what got no answer, or a 5xx, is sent again."""
    while not (answer := await world.put(location_id, second)).ok:
        assert answer.http_status >= 500, answer.body
        await asyncio.sleep(0.1)


async def test_a_database_that_dies_at_the_commit_loses_nothing_that_was_answered(world: Any) -> None:
    partner = await world.partner()
    async with world.worker():
        await world.accepted("BEFORE")
        assert await partner.until(lambda: partner.holds("BEFORE"))
        async with world.brake("change_log") as brake:
            pushing = asyncio.create_task(push_until_taken(world, "LOC1", 1))
            await brake.catches()
            await asyncio.wait((pushing,), timeout=0.2)  # long enough for an answer that comes too soon
            await brake.crash()
            await pushing
        await arrives(lambda: partner.holds("LOC1"), "LOC1 was accepted and never came", 6)


async def test_a_change_whose_commit_took_long_arrives_after_those_that_overtook_it(world: Any) -> None:
    partner, other = await world.partner(), CpoBackend("FR*CPB")
    await world.join(other)
    async with world.worker():
        await world.accepted("BEFORE")
        assert await partner.until(lambda: partner.holds("BEFORE"))
        async with world.brake("change_log", when="NEW.key = 'SLOW'") as brake:
            pushing = asyncio.create_task(world.accepted("SLOW", 1))
            await brake.catches()
            await world.ask(PUSHES_AFTER)
            assert (await other.put_location(samples.location("FR*CPB", "LATER"), to=other.hub)).ok
            world.ring()
            assert await partner.until(lambda: partner.locations.get("FR", "CPB", "LATER"))
            await brake.release()
            await pushing
        world.ring()
        await arrives(lambda: partner.holds("SLOW"), "SLOW was accepted and never came", 6)


async def test_an_old_message_that_comes_late_takes_nobody_back(world: Any) -> None:
    partner = await world.partner()
    async with world.worker():
        await world.accepted("LOC1", 2)
        assert await partner.until(lambda: partner.name_of("LOC1") == "v2")
        await world.accepted("LOC1", 1)
        await world.accepted("AFTER")
        assert await partner.until(lambda: partner.holds("AFTER"))
        keep("backwards", partner.name_of("LOC1") == "v2", "the old message went out after the new one")


async def test_with_redis_gone_the_workers_find_what_is_new_by_themselves(world: Any) -> None:
    """Nobody rings here."""
    partner = await world.partner()
    async with world.worker():
        await world.accepted("BEFORE")
        assert await partner.until(lambda: partner.holds("BEFORE"))
        world.ring = lambda: None
        await world.accepted("LOC1", 1)
        await arrives(lambda: partner.holds("LOC1"), "LOC1 did not come without a ring", 5)
