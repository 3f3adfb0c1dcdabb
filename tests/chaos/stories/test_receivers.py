"""Stories of receivers in trouble: what is asked of them is bounded, and nobody is sent what is not for it."""

import asyncio
from typing import Any

from hub.delivery.health import BUDGET
from hub.sandbox.wire import Answer
from tests.chaos.stories.partner import Partner, to
from tests.chaos.stories.promise import arrives, comes, keep

LOCATIONS = to("PUT", "locations")
RETRIES = 4.0
"""Seconds in which what had failed would be tried again."""

MANY = [f"LOC{number}" for number in range(3 * BUDGET)]


async def test_a_receiver_that_hangs_is_asked_no_more_at_once_than_its_budget(world: Any) -> None:
    hanging, well = await world.partner("DE*MSA"), await world.partner("FR*MSB")
    async with world.worker():
        with hanging.holding(LOCATIONS) as hold:
            for name in MANY:
                await world.accepted(name)
            await arrives(lambda: well.holds(*MANY), "one that hangs keeps the others waiting", 10)
            assert await comes(lambda: hold.now, 20)
            await comes(lambda: hold.now > BUDGET, 0.5)
            most = hold.most
            hold.release()
        keep("hammered", most <= BUDGET, f"{most} requests at once under way to a receiver that hangs")
        await arrives(lambda: hanging.holds(*MANY), "what waited for the one that hung never came")


async def test_a_receiver_that_asks_to_be_left_alone_is_asked_as_the_plan_says(world: Any) -> None:
    partner = await world.partner()
    partner.knobs.http_status, partner.knobs.applies = 503, lambda seen: "locations" in seen.path
    async with world.worker():
        for name in MANY:
            await world.accepted(name)
        assert await partner.until(lambda: partner.sent("PUT", "locations"))
        await asyncio.sleep(2.0)
        asked = len(partner.sent("PUT", "locations"))
        keep("hammered", asked <= BUDGET + 3, f"{asked} requests in 2 s to a receiver that answers 503")
        partner.knobs.http_status = None
        await arrives(lambda: partner.holds(*MANY), "what it could not take then never came")


async def test_a_receiver_that_does_not_know_the_token_is_left_alone_until_it_is_renewed(world: Any) -> None:
    partner = await world.partner()
    partner.knobs.http_status, partner.knobs.applies = 401, lambda seen: "locations" in seen.path
    await world.ask("UPDATE access_token SET made_at = now() - interval '1 minute' RETURNING 1")  # or it may be new
    async with world.worker():
        for name in MANY:
            await world.accepted(name)
        assert await partner.until(lambda: partner.sent("PUT", "locations"))
        await asyncio.sleep(1.5)  # what was under way is answered
        asked = len(partner.sent("PUT", "locations"))
        more = await comes(lambda: len(partner.sent("PUT", "locations")) > asked, RETRIES)
        keep("hammered", not more, "a receiver that refuses the token is asked on and on")
        partner.knobs.http_status = None
        await partner.renew()
        await arrives(lambda: partner.holds(*MANY), "with new tokens the rest did not come")


async def test_an_agreement_that_ends_acts_before_the_next_try(world: Any) -> None:
    partner = await world.partner()
    partner.knobs.http_status, partner.knobs.applies = 500, lambda seen: "locations" in seen.path
    async with world.worker():
        await world.accepted("LOC1", 1)
        assert await partner.until(lambda: partner.sent("PUT", "LOC1"))
        ended = {"a": "NL*CPA", "b": "DE*MSA", "modules": ["tariffs"]}
        answer = await world.operator.post("/agreements", json=ended)
        assert answer.status_code == 201, answer.text
        tried = len(partner.sent("PUT", "LOC1"))
        partner.knobs.http_status = None
        await comes(lambda: len(partner.sent("PUT", "LOC1")) > tried, 2.5)
        keep("shown", not partner.holds("LOC1"), "LOC1 went to a party whose agreement had ended")


async def test_a_delivery_that_is_faster_than_the_answer_of_the_handshake_stops_nothing(world: Any) -> None:
    """The partner takes the hub's new token for good once its own POST is answered."""
    other, late = await world.partner("FR*MSB"), Late("DE*MSA")
    async with world.worker():
        await world.accepted("LOC1")
        assert await other.until(lambda: other.holds("LOC1"))
        await world.join(late)
        await arrives(lambda: late.holds("LOC1"), "a token that was refused too early stopped the lane", 10)


class Late(Partner):
    """An eMSP whose answers to its handshake are long under way: what is delivered meanwhile, it refuses."""

    async def call(self, method: str, url: str, *given: Any, **named: Any) -> Answer:
        """One request."""
        answer = await super().call(method, url, *given, **named)
        if method == "POST":
            await self.until(lambda: self.sent("PUT", "locations"))
        return answer
