"""Stories of CDRs: each arrives, once, and never in two versions."""

from typing import Any

from hub.sandbox import samples
from hub.sandbox.wire import Json
from tests.chaos.stories.partner import to
from tests.chaos.stories.promise import arrives, keep, until

CDRS = to("POST", "cdrs")


def cdr(id: str = "CDR1", remark: str = "as measured") -> Json:
    """A CDR of NL*CPA for DE*MSA."""
    session = samples.session(of=samples.token())
    return samples.cdr(session, samples.location(), samples.tariff(), id) | {"remark": remark}


async def test_a_cdr_that_may_have_arrived_comes_again_only_as_it_was(world: Any) -> None:
    """The receiver takes it and then answers nonsense: nobody knows whether it has it."""
    partner = await world.partner()
    partner.answers[CDRS] = 500
    sent = cdr()
    assert not (await world.cpo.post_cdr(sent, to="DE*MSA")).ok
    partner.answers.clear()
    await world.cpo.post_cdr(sent | {"remark": "another"}, to="DE*MSA")
    keep("twice", len(partner.cdr_bodies()) == 1, "two CDRs with one id reached the receiver")
    assert (await world.cpo.post_cdr(sent, to="DE*MSA")).ok
    keep("twice", len(partner.cdr_bodies()) == 1, "two CDRs with one id reached the receiver")


async def test_a_cdr_for_a_receiver_that_is_away_arrives_when_it_is_back(world: Any) -> None:
    partner = await world.partner()
    async with world.worker():
        await partner.go_away()
        assert (await world.cpo.post_cdr(cdr(), to="DE*MSA")).ok
        await partner.come_back()
        world.ring()
        await arrives(lambda: len(partner.cdrs) == 1, "the hub answered for a CDR and did not bring it", 8)
    keep("twice", len(partner.sent("POST", "cdrs")) == 1, "the CDR came more than once")


async def test_a_cdr_that_arrived_while_the_database_failed_is_not_sent_again(world: Any) -> None:
    partner = await world.partner()
    await partner.go_away()
    assert (await world.cpo.post_cdr(cdr(), to="DE*MSA")).ok
    await partner.come_back()
    async with world.brake("owed", "DELETE") as brake, world.worker(at_once=True):
        assert await partner.until(lambda: partner.cdrs, 20)
        await brake.catches()
        await brake.crash()
        await world.accepted("OTHER")
        assert await partner.until(lambda: partner.holds("OTHER"))
    async with world.worker():
        await world.accepted("LATER")
        assert await partner.until(lambda: partner.holds("LATER"))
        keep("twice", len(partner.sent("POST", "cdrs")) == 1, "the CDR was sent again, though its worker knew better")
        await until(lambda: world.ask("SELECT NOT EXISTS (SELECT FROM owed)"), "the debt is not cleared")
