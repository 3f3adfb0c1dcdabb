"""postgres: the database is gone for a minute. The API says so at once, claims no success, and recovers alone."""

import asyncio
import time

from tests.chaos.ledger import Line, Reader
from tests.chaos.nemesis import Fault, Nemesis
from tests.chaos.plan import Run
from tests.chaos.rig import Result, Rig

RECEIVERS, HANDS = 5, 4
RATE = 20.0
"""Pushes per second."""

ANSWER, BACK, DRAIN = 1.0, 10.0, 60.0
"""Seconds: for an answer while it is gone, for the first success when it is back, for the rest of the deliveries."""

GRACE = 0.5
"""Seconds after the kill in which a request may still have met the dying server."""


async def story(rig: Rig) -> Result:
    """Push, take the database away, hold each answer to the rule."""
    gone_s = 60.0 if rig.full else 8.0
    async with rig.world(receivers=RECEIVERS) as world:
        nemesis = Nemesis(world.hub, rig.folder / "nemesis.jsonl")
        await world.push(1_000_000, hands=HANDS, per_s=RATE)
        await asyncio.sleep(3)
        begun = time.monotonic()
        await nemesis.commit(Fault("gone", "postgres", seconds=gone_s))
        released = time.monotonic()
        await world.hub.kept["postgres"].up()
        up = time.monotonic()
        await asyncio.sleep(BACK + 2)
        await world.sender("stop")
        drained = await world.settled(DRAIN, 1.0)
        checker = world.look()
        faults = checker.faults(await world.cdr_ledger())
        lines = list(Reader(rig.folder / "sent.jsonl").news())
        answers = [line for line in lines if _began(line) > begun + GRACE and line["t"] < released]
        faults += wrong(answers)
        first = min((line["t"] for line in lines if line["outcome"] == "ok" and line["t"] > up), default=float("inf"))
        if first - up > BACK:
            faults.append(
                f"the first push was taken {first - up:.1f} s after PostgreSQL was back, not within {BACK:.0f} s"
            )
        starts = {name: kept.starts for name, kept in world.hub.kept.items() if kept.starts > 1 and name != "postgres"}
        if starts:
            faults.append(f"processes ended with the database: started {starts}")
        if not drained:
            faults.append(f"not drained {DRAIN:.0f} s after the last push")
        figures = {
            "gone_s": gone_s,
            "answers_while_gone": len(answers),
            "slowest_ms": max((line["ms"] for line in answers), default=None),
            "back_s": round(first - up, 2),
        }
        return Result(figures | checker.figures(), faults)


def wrong(answers: list[Line]) -> list[str]:
    """What breaks the rule for answers while the database is gone, as sentences; none at all does too."""
    late = [line for line in answers if line["ms"] > ANSWER * 1000]
    claimed = [line for line in answers if line["outcome"] == "ok"]
    other = [line for line in answers if line not in claimed and not honest(line)]
    told = {"came late": late, "claimed a success": claimed, "were neither 503 with Retry-After nor OCPI 3000": other}
    found = [f"{len(lines)} answers {what}, such as {lines[0]}" for what, lines in told.items() if lines]
    return found if answers else ["nobody asked anything while the database was gone"]


def honest(line: Line) -> bool:
    """Whether an answer says that the hub cannot work."""
    return line.get("ocpi") == 3000 or (line.get("http") == 503 and bool(line.get("retry_after")))


def _began(line: Line) -> float:
    return float(line["t"] - line["ms"] / 1000)


RUN = Run(story, light=True)
