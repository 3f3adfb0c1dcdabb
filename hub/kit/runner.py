"""A run of the kit: who the peer is, then check by check, and leave taken in the end, whatever happened."""

import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from hub.kit import (
    access,
    answers,
    between,
    broadcasts,
    callbacks,
    cdrs,
    chargingprofiles,
    commands,
    credentials,
    hubclientinfo,
    locations,
    registration,
    routing,
    sessions,
    tariffs,
    tokens,
    versions,
)
from hub.kit.ask import Asker, NoAnswer, addresses
from hub.kit.check import Broken, Check, Group, Skipped
from hub.kit.party import KitParty, made
from hub.kit.peer import Peer, Plan, Untestable

GROUPS: tuple[Group, ...] = (
    access.GROUP,
    versions.GROUP,
    registration.GROUP,
    credentials.GROUP,
    hubclientinfo.GROUP,
    routing.GROUP,
    locations.GROUP,
    tariffs.GROUP,
    tokens.GROUP,
    sessions.GROUP,
    cdrs.GROUP,
    commands.GROUP,
    chargingprofiles.GROUP,
    broadcasts.GROUP,
    between.GROUP,
    registration.LEAVING,
    callbacks.GROUP,
    answers.GROUP,
)
"""Every check, in the order in which it runs."""

NAMES = tuple(group.name for group in GROUPS)

FAREWELL = 15.0
"""Seconds for taking leave after the time is up."""


@dataclass(frozen=True)
class Result:
    """What a check found. `outcome` is passed, failed or skipped; the rest is text fit to be shown, without tokens."""

    check: Check
    outcome: str
    asked: str = ""
    came: str = ""
    expected: str = ""
    why: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Run:
    """All results, and what was tested. `kinds` and `party` are what the peer turned out to be, and who we were."""

    url: str
    kinds: tuple[str, ...]
    party: str
    writes: bool
    registered: bool
    began: datetime
    seconds: float
    requests: int
    results: tuple[Result, ...]

    def count(self, outcome: str, must: bool) -> int:
        """How many checks of a strength ended so."""
        return sum(result.outcome == outcome and result.check.must == must for result in self.results)


Step = Callable[[int, int, str], None]
"""Told how many checks are done, of how many, and the next one's group."""


async def examine(plan: Plan, step: Step = lambda done, total, group: None) -> Run:
    """Test the peer of a plan. Raises Untestable."""
    began, clock = datetime.now(UTC), time.monotonic()
    try:
        allow = await addresses(plan.versions_url)
    except (OSError, ValueError):
        raise Untestable(f"{plan.versions_url} cannot be tested: the name of its host is not known") from None
    async with (
        Asker(allow, plan.timeout, plan.deadline, plan.pause) as asker,
        _party(plan, asker) as party,
        _party(plan.other, asker) as other,
    ):
        peer = Peer(plan, asker, party)
        peer.other = Peer(plan.other, asker, other) if plan.other else None
        await peer.discover()
        wanted = [check for group in GROUPS for check in group.checks if _concerns(check, peer)]
        results = []
        try:
            for number, check in enumerate(wanted):
                step(number, len(wanted), check.group)
                results.append(await _run(check, peer))
        finally:
            await _take_leave(peer)
    return Run(
        asker.secrets.hide(plan.versions_url),
        tuple(sorted(peer.kinds)),
        f"{peer.us or ''}{':' if peer.us and peer.role else ''}{peer.role}",
        plan.writes,
        party is not None,
        began,
        time.monotonic() - clock,
        len(asker.heard),
        tuple(results),
    )


@contextlib.asynccontextmanager
async def _party(plan: Plan | None, asker: Asker) -> AsyncIterator[KitParty | None]:
    """The kit's own platform, listening, where the plan wants a handshake. Raises Untestable."""
    if plan is None or not plan.register:
        yield None
        return
    try:
        party = made(plan, asker)
        await party.start()
    except OSError as error:
        host, port = plan.listen
        raise Untestable(f"no listening at {host}:{port} ({error.strerror}): choose another --listen") from None
    try:
        yield party
    finally:
        await party.stop()


def _concerns(check: Check, peer: Peer) -> bool:
    """Whether a check is for this kind of peer and was asked for; the handshake is done whatever was asked for."""
    only = peer.plan.only
    chosen = not only or check.group in only or (peer.party is not None and check.work in _NEEDED)
    return chosen and bool(check.kinds & peer.kinds)


_NEEDED = frozenset({registration.handshake, registration.other_registers, registration.leave})


async def _run(check: Check, peer: Peer) -> Result:
    began = time.monotonic()
    hide = peer.asker.secrets.hide

    def result(outcome: str, **texts: str) -> Result:
        shown = {name: hide(text) for name, text in texts.items()}
        return Result(check, outcome, **shown, seconds=time.monotonic() - began)

    try:
        if check.writes and not peer.may_write:
            raise Skipped("it changes something at the peer: needs --allow-writes")
        if check.registered and peer.party is None:
            raise Skipped("the peer has to call back: needs --register, with a token A")
        await check.work(peer)
    except Skipped as reason:
        return result("skipped", why=str(reason))
    except Broken as broken:
        return result("failed", asked=broken.asked, came=broken.came, expected=broken.expected)
    except NoAnswer as failure:
        return result("failed", asked=failure.asked, came=str(failure), expected="an answer")
    except (TypeError, ValueError, KeyError, AttributeError, IndexError, ArithmeticError) as error:
        # What the peer sent has a shape that no check foresaw.
        asked = peer.asker.heard[-1].asked if peer.asker.heard else ""
        came = f"something that cannot be read ({type(error).__name__})"
        return result("failed", asked=asked, came=came, expected="an answer as the specification has it")
    return result("passed")


async def _take_leave(peer: Peer) -> None:
    """Unregister, unless a check did so; it may fail, since nothing is left to be done then."""
    for one in (peer, peer.other):
        if one is None or one.party is None or one.guest or one.left:
            continue
        one.asker.grant(FAREWELL)
        with contextlib.suppress(NoAnswer, Skipped):
            await registration.take_leave(one)
