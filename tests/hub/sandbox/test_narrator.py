"""How the demo's story is told, and how it ends when something is wrong."""

import asyncio
import io

import pytest
from rich.console import Console

from hub.ocpi import envelope
from hub.sandbox.narrator import Narrator, StepFailed, Unexpected
from hub.sandbox.wire import Answer


@pytest.fixture
def told() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def narrator(told: io.StringIO) -> Narrator:
    return Narrator(Console(file=told, width=40))


async def test_steps_are_numbered_and_each_message_is_one_line(narrator: Narrator, told: io.StringIO) -> None:
    answer = Answer(200, {}, envelope.envelope(), 12.3, "c1")
    async with narrator.step("Tokens are made known"):
        narrator.asked("DE*MSA", "NL*HUB", "PUT token", answer)
    async with narrator.step("Done"):
        narrator.line("hub", "DEMO-1", "Authorize", "Accepted")
    lines = told.getvalue().splitlines()
    assert lines[0] == " 1  Tokens are made known"
    assert lines[1].split() == ["DE*MSA", "→", "NL*HUB", "PUT", "token", "200/1000", "12", "ms", "c1"]
    assert lines[2] == " 2  Done"
    assert lines[3].split() == ["hub", "→", "DEMO-1", "Authorize", "Accepted"]


async def test_a_refusal_ends_the_story_and_names_the_step(narrator: Narrator) -> None:
    answer = Answer(200, {}, envelope.envelope(status_code=4001, status_message="No such party."), 1, "c1")
    with pytest.raises(StepFailed, match=r"^step 1, Ask: GET x from A to B was answered 200/4001 No such party\.$"):
        async with narrator.step("Ask"):
            narrator.asked("A", "B", "GET x", answer)


async def test_a_step_has_its_time(narrator: Narrator) -> None:
    with pytest.raises(StepFailed, match=r"step 1, Wait: TimeoutError after 0\.01 s"):
        async with narrator.step("Wait", timeout=0.01):
            await asyncio.Event().wait()


async def test_a_fault_of_the_story_itself_is_not_dressed_up(narrator: Narrator) -> None:
    with pytest.raises(ZeroDivisionError):
        async with narrator.step("Divide"):
            raise ZeroDivisionError
    with pytest.raises(StepFailed, match="no reason"):
        async with narrator.step("Refuse"):
            raise Unexpected("no reason")


def test_the_verdict_names_what_does_not_hold(narrator: Narrator, told: io.StringIO) -> None:
    narrator.check("water is wet", True)
    narrator.verdict()
    narrator.check("the moon is cheese", False)
    with pytest.raises(StepFailed, match="1 of 2 checks failed: the moon is cheese"):
        narrator.verdict()
    assert "FAIL  the moon is cheese" in told.getvalue()
