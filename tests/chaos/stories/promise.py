"""What a hub promises about delivery, as failures that say which promise was broken.

A saboteur names the promise that falls with its guard, and its story must fail with just that: not because something
else in the hub did not work.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal

Promise = Literal["lost", "backwards", "twice", "shown", "hammered"]
"""lost: what was accepted does not arrive. backwards: an older version after a newer one. twice: a CDR goes out again,
or two of them under one id. shown: somebody is sent what is not for them. hammered: a receiver in trouble is asked more
than its budget and the plan of retries allow."""

LOOK = 0.02


class Broken(AssertionError):
    """A promise was broken."""

    def __init__(self, promise: Promise, what: str) -> None:
        super().__init__(f"{promise}: {what}")
        self.promise = promise


def keep(promise: Promise, held: object, what: str) -> None:
    """A promise holds at this moment."""
    if not held:
        raise Broken(promise, what)


async def arrives(condition: Callable[[], object], what: str, seconds: float = 20.0) -> None:
    """What was accepted is there within so many seconds."""
    if not await comes(condition, seconds):
        raise Broken("lost", f"{what}, within {seconds:g} s")


async def comes(condition: Callable[[], object], seconds: float) -> bool:
    """Whether a condition comes to hold within so many seconds."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                if condition():
                    return True
                await asyncio.sleep(LOOK)
    except TimeoutError:
        return False


async def until(question: Callable[[], Awaitable[object]], what: str, seconds: float = 20.0) -> None:
    """The story goes on once a question is answered with yes. It is no promise of the hub: if it fails, the story is
    at fault."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                if await question():
                    return
                await asyncio.sleep(LOOK)
    except TimeoutError:
        raise TimeoutError(f"the story cannot go on: {what}") from None
