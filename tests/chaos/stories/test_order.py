"""Stories of order: a receiver that is slow, workers that fall and stand still, and never an older state after a
newer one."""

import asyncio
from typing import Any

from tests.chaos.stories import haste
from tests.chaos.stories.partner import to
from tests.chaos.stories.promise import arrives, comes, keep, until

SWEEPS = 3.0
"""Seconds in which a worker looks for lanes twice at least."""

LOC1 = to("PUT", "locations", "LOC1")


async def test_a_slow_receiver_gets_one_version_after_the_other(world: Any) -> None:
    partner = await world.partner()
    async with world.worker():
        with partner.holding(LOC1) as hold:
            await world.accepted("LOC1", 1)
            assert await comes(lambda: hold.now, 20)
            await world.accepted("LOC1", 2)
            await world.accepted("OTHER", 2)
            assert await partner.until(lambda: partner.holds("OTHER"))
            await comes(lambda: partner.name_of("LOC1") == "v2" or hold.now > 1, 0.5)
            overtaken = hold.now > 1
            hold.release()
        keep("backwards", not overtaken, "v2 of LOC1 left while v1 was under way, and either may arrive first")
        await arrives(lambda: partner.name_of("LOC1") == "v2", "v2 of LOC1 never came", 6)
        keep("backwards", not partner.backwards, f"{partner.backwards}")


async def test_what_is_tried_again_is_the_state_of_now(world: Any) -> None:
    partner = await world.partner()
    partner.knobs.http_status, partner.knobs.applies = 500, lambda seen: "LOC1" in seen.path
    async with world.worker():
        await world.accepted("LOC1", 1)
        assert await partner.until(lambda: partner.sent("PUT", "LOC1"))
        await world.accepted("LOC1", 2)
        await world.accepted("OTHER", 2)
        assert await partner.until(lambda: partner.holds("OTHER"))
        partner.knobs.http_status = None
        await arrives(lambda: partner.name_of("LOC1") == "v2", "the receiver is left with an old state of LOC1", 6)


async def test_who_takes_over_a_lane_waits_for_what_its_holder_may_have_under_way(world: Any) -> None:
    partner = await world.partner()
    async with world.worker():
        with partner.holding(LOC1) as hold:
            await world.accepted("LOC1", 1)
            assert await comes(lambda: hold.now, 20)
            await world.cut_lane_sessions()
            await world.accepted("LOC1", 2)
            # v1 left before its worker lost the lane, and is taken at the last moment that it may.
            await comes(lambda: hold.now > 1, haste.DEADLINE)
            overtaken = hold.now > 1
            hold.release()
        keep("backwards", not overtaken, "v2 of LOC1 was sent while v1 of the former holder could still arrive")
        await arrives(lambda: partner.name_of("LOC1") == "v2", "v2 of LOC1 never came")
        keep("backwards", not partner.backwards, f"{partner.backwards}")


async def test_a_worker_that_stood_still_does_not_wake_up_with_old_news(world: Any) -> None:
    partner = await world.partner()
    async with world.process() as process:
        await world.accepted("BEFORE")
        assert await partner.until(lambda: partner.holds("BEFORE"), 30)
        await world.settled()
        process.gate.touch()
        await world.accepted("LOC1", 1)
        assert await comes(process.waiting.exists, 20)
        with process.paused():
            other = await world.partner("FR*MSB")
            await world.accepted("LOC1", 2)
            async with world.worker(at_once=True):
                # It may have stopped amid a transaction, which the database ends after 20 s.
                assert await other.until(lambda: other.name_of("LOC1") == "v2", 60)
                await comes(lambda: partner.name_of("LOC1") == "v2", SWEEPS)
                process.gate.unlink()
        await arrives(lambda: partner.name_of("LOC1") == "v2", "v2 of LOC1 never came")
        await comes(lambda: partner.backwards, 0.5)
        keep("backwards", not partner.backwards, f"{partner.backwards}")


async def test_a_worker_that_is_killed_before_it_noted_a_failure_leaves_it_to_the_next(world: Any) -> None:
    partner = await world.partner()
    async with world.process() as process:
        await world.accepted("BEFORE")
        assert await partner.until(lambda: partner.holds("BEFORE"), 30)
        await world.settled()
        partner.knobs.http_status, partner.knobs.applies = 500, lambda seen: "LOC1" in seen.path
        async with world.brake("owed") as brake:
            await world.accepted("LOC1", 1)
            assert await partner.until(lambda: partner.sent("PUT", "LOC1"))
            await brake.catches()
            await process.kill()
            await brake.crash()
    partner.knobs.http_status = None
    async with world.worker():
        await arrives(lambda: partner.holds("LOC1"), "LOC1 had failed once and was forgotten", 10)


async def test_a_direct_push_that_overtakes_a_broadcast_is_what_the_receiver_keeps(world: Any) -> None:
    partner = await world.partner()
    async with world.worker():
        await world.accepted("LOC1", 1)
        assert await partner.until(lambda: partner.name_of("LOC1") == "v1")
        with partner.holding(LOC1, once=True) as hold:
            await world.accepted("LOC1", 2)
            assert await comes(lambda: hold.now, 20)
            await until(lambda: world.ask("SELECT 1 FROM owed"), "what takes long is not covered")
            await world.accepted("LOC1", 3, to="DE*MSA")
            assert partner.name_of("LOC1") == "v3"
            partner.locations._moments.clear()  # it does not compare, as many receivers do not
            hold.release()
            assert await partner.until(lambda: partner.name_of("LOC1") == "v2" or len(partner.sent("PUT", "LOC1")) > 3)
        await arrives(
            lambda: partner.name_of("LOC1") == "v3", "the receiver was left with v2 of LOC1, overtaken by v3", 6
        )


async def test_a_log_that_was_pruned_before_a_lane_had_read_it_makes_a_full_delivery(world: Any) -> None:
    partner = await world.partner()
    async with world.worker():
        await world.accepted("BEFORE")
        assert await partner.until(lambda: partner.holds("BEFORE"))
    await world.accepted("LOC1", 1)
    await world.accepted("LOC2", 1)
    await world.a_week_later()
    async with world.worker():
        await arrives(lambda: partner.holds("LOC1", "LOC2"), "the log was pruned and nobody noticed", 6)


async def test_a_registration_whose_delivery_could_not_begin_is_none(world: Any) -> None:
    other = await world.partner("FR*MSB")
    async with world.worker():
        for name in ("LOC1", "LOC2"):
            await world.accepted(name)
        assert await other.until(lambda: other.holds("LOC1", "LOC2"))
        async with world.brake("backfill") as brake:
            joining = asyncio.create_task(world.partner())
            await brake.catches()
            await asyncio.wait((joining,), timeout=0.2)
            await brake.crash()
            await asyncio.wait((joining,))
        partner = await world.partner() if joining.exception() else joining.result()
        world.ring()
        await arrives(lambda: partner.holds("LOC1", "LOC2"), "a new receiver was not given what there is", 6)
