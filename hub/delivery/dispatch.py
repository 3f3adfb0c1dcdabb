"""Sending: which object goes out next, and what its answer does to object, lane and platform.

A platform's lanes share its budget of requests under way, in turn. Rights are looked at once more just before a
request goes out, with the directory as new as the state that was read, so that a revoked agreement acts at once.
Platforms that are back from OFFLINE share a few requests among them until they have caught up, so that many that come
back at once leave room for the others.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from hub import telemetry
from hub.delivery import audience, compose, policy
from hub.delivery.health import Health
from hub.delivery.lanes import Item, Lane
from hub.delivery.loader import Loader, State, StateUnknown
from hub.delivery.platforms import Platforms
from hub.delivery.policy import Judgement, Verdict
from hub.delivery.reader import LOW
from hub.delivery.send import Sender
from hub.delivery.settle import Settler
from hub.ocpi.module import Catalog, Module
from hub.ocpi.types import PartyId
from hub.store.directory import Directory, DirectoryCache, PartyView

NO_AGREEMENT_PAUSE = 60.0
"""Seconds until a CDR in custody is looked at again whose parties have no agreement at present."""

RETURNING_AT_ONCE = 16
"""Requests under way to all platforms together that are back and have not caught up; each may have one."""

NOTHING_TO_SEND = Judgement(Verdict.DELIVERED)

log = telemetry.logger(__name__)


@dataclass(slots=True, eq=False)
class Line:
    """The lanes of one platform, whose turn it is first."""

    platform_id: int
    health: Health
    lanes: deque[Lane] = field(default_factory=deque)
    flying: int = 0

    @property
    def is_behind(self) -> bool:
        """Whether its lanes still have to catch up."""
        return any(lane.waiting or lane.walks or not lane.attached for lane in self.lanes if not lane.closed)


@dataclass(slots=True)
class Rights:
    """What `receiver` may see of an owner's module, according to one directory."""

    target: PartyView | None
    everybody: bool
    own: bool


class Dispatcher:
    """Sends what the lanes hold. `wake` is called when a lane that reads for itself has room again, and when a
    platform's wait is over; `outcome` with each judgement."""

    def __init__(
        self,
        *,
        directory: DirectoryCache,
        catalog: Catalog,
        loader: Loader,
        sender: Sender,
        settler: Settler,
        platforms: Platforms,
        wake: Callable[[], None],
        outcome: Callable[[Judgement], None],
    ) -> None:
        self._directory, self._catalog = directory, catalog
        self._loader, self._sender, self._settler, self._platforms = loader, sender, settler, platforms
        self._wake, self._outcome = wake, outcome
        self._rights: dict[tuple[str, str, PartyId], Rights] = {}
        self._rights_of: Directory | None = None
        self.lines: dict[int, Line] = {}
        self._line_of: dict[Lane, Line] = {}
        self.tasks: dict[asyncio.Task[None], Lane] = {}
        self.stopped = False

    def add(self, lane: Lane, platform_id: int) -> None:
        """Serve a lane."""
        line = self.lines.get(platform_id)
        if line is None:
            line = self.lines[platform_id] = Line(platform_id, self._platforms.health(platform_id))
        line.lanes.append(lane)
        self._line_of[lane] = line

    def remove(self, lane: Lane) -> None:
        """Serve a lane no longer. What is under way for it goes on."""
        line = self._line_of.pop(lane, None)
        if line is not None:
            line.lanes.remove(lane)
            if not line.lanes:
                del self.lines[line.platform_id]

    def abort(self) -> None:
        """Cut off what is under way, at once: the lanes may be somebody else's by now."""
        for task in self.tasks:
            task.cancel()
        self.lines.clear()
        self._line_of.clear()

    def health(self, lane: Lane) -> Health | None:
        """How the platform of a lane does, None for a lane that is not served any more."""
        line = self._line_of.get(lane)
        return line.health if line is not None else None

    def pump(self, line: Line) -> None:
        """Fill the budget of a platform from its lanes, in turn."""
        if self.stopped or self.lines.get(line.platform_id) is not line:
            return
        now = time.monotonic()
        allowance = self._allowance(line, now)
        idle = 0
        while line.flying < allowance and idle < len(line.lanes):
            lane = line.lanes[0]
            line.lanes.rotate(-1)
            item = None if lane.catching_up or lane.closed else lane.take(now)
            if item is None:
                idle += 1
                continue
            idle = 0
            line.flying += 1
            task = asyncio.create_task(self._deliver(line, lane, item))
            self.tasks[task] = lane
            task.add_done_callback(self._forget)

    def _allowance(self, line: Line, now: float) -> int:
        """How many requests may be under way to a platform; of those that are back each has its share."""
        line.health.returning = line.health.returning and line.is_behind
        allowed = line.health.allowance(now)
        if not line.health.returning:
            return allowed
        returning = sum(other.health.returning for other in self.lines.values())
        return min(allowed, max(RETURNING_AT_ONCE // returning, 1))

    async def _deliver(self, line: Line, lane: Lane, item: Item) -> None:
        structlog.contextvars.bind_contextvars(correlation_id=item.correlation_id)  # in this task alone
        try:
            state = await self._loader.state(item.object, str(lane.receiver))
            judgement = await self._attempt(lane, item, state)
            self._conclude(line, lane, item, state, judgement)
        except StateUnknown as error:
            log.warning("state not read, will try again in 1 s", receiver=str(lane.receiver), error=str(error))
            lane.put_back(item)
            line.health.hold(time.monotonic(), 1.0)
        except Exception as error:  # one object that cannot be composed must not stop the others
            log.exception("object could not be sent", receiver=str(lane.receiver), owner=item.object[0])
            reason = f"the hub could not send it: {type(error).__name__}"
            self._conclude(line, lane, item, State(), Judgement(Verdict.REFUSED, reason))
        finally:
            line.flying -= 1
        self.pump(line)

    async def _attempt(self, lane: Lane, item: Item, state: State) -> Judgement:
        """Send what brings the receiver up to date, and judge the last answer."""
        owner, name, _ = item.object
        module = self._catalog[name]
        if state.version > self._directory.now.version:
            await self._directory.refresh()
        rights = self._rights_to(owner, name, lane.receiver)
        if state.cdr is not None and (state.cdr.waits or not rights.own):
            return _not_yet(state.cdr.waits)
        if rights.target is None:
            return NOTHING_TO_SEND
        receiver = str(lane.receiver)
        need = compose.need_for(module, item.need, rights.target.platform.quirks.patch)
        messages, _ = state.messages(module, need, receiver, rights.everybody, rights.own)
        judgement = NOTHING_TO_SEND
        for message in messages:
            form = compose.departure(item.need, message)
            judgement = await self._sender.deliver(rights.target, item.object, message, item.correlation_id, form)
            if judgement.verdict is Verdict.SEND_WHOLE:
                return await self._send_whole(rights, module, item, state, receiver)
            if judgement.verdict is not Verdict.DELIVERED:
                break
        return judgement

    async def _send_whole(self, rights: Rights, module: Module, item: Item, state: State, receiver: str) -> Judgement:
        """The receiver did not know what a PATCH changes: it gets the PUT of the whole (TF-053)."""
        judgement = NOTHING_TO_SEND
        assert rights.target is not None
        form = "sent whole, for the receiver did not know it"
        for message in state.whole(module, receiver, rights.everybody, rights.own):
            judgement = await self._sender.deliver(rights.target, item.object, message, item.correlation_id, form)
        return judgement

    def _conclude(self, line: Line, lane: Lane, item: Item, state: State, judgement: Judgement) -> None:
        now, verdict = time.monotonic(), judgement.verdict
        if verdict is Verdict.DELIVERED:
            lane.landed(item)
        else:
            after = policy.after(judgement, item.tries, _jitter(), line.health.short_retry)
            lane.failed(item, after, judgement.reason)
            if after.parked:
                if judgement.sample:
                    self._settler.sample(lane, item.object, judgement.sample)
                _report_parked(lane, item, judgement, state.cdr is not None)
        if state.cdr is not None and judgement is not NOTHING_TO_SEND and verdict is not Verdict.WAITING:
            self._settler.cdr(state.cdr.seq, judgement)
        self._settler.touch(lane)
        self._tell_platform(line, judgement, now)
        self._outcome(judgement)
        if not lane.attached and len(lane.waiting) in (0, LOW):
            self._wake()

    def _tell_platform(self, line: Line, judgement: Judgement, now: float) -> None:
        """What an answer says of the platform; a refusal is a sign of life as well."""
        if judgement.verdict is Verdict.UNAUTHORISED:
            self._platforms.stop(line.platform_id, judgement.reason)
        elif judgement.verdict in (Verdict.AWAY, Verdict.TROUBLE):
            wait = line.health.failed(now, _jitter(), judgement.asked)
            if wait is not None:
                self._platforms.failing(line.platform_id, wait, judgement.reason)
                asyncio.get_running_loop().call_later(wait, self._wake)
        elif judgement.http_status is not None and line.health.succeeded():
            self._platforms.well(line.platform_id)

    def _rights_to(self, owner: str, module: str, receiver: PartyId) -> Rights:
        directory = self._directory.now
        if directory is not self._rights_of:
            self._rights, self._rights_of = {}, directory
        key = (owner, module, receiver)
        if key not in self._rights:
            code = PartyId.parse(owner)
            everybody = audience.wants(directory, self._catalog, code, module, receiver)
            own = audience.takes(directory, code, module, receiver)
            self._rights[key] = Rights(directory.party(receiver) if everybody or own else None, everybody, own)
        return self._rights[key]

    def _forget(self, task: asyncio.Task[None]) -> None:
        del self.tasks[task]
        if not task.cancelled() and task.exception() is not None:
            log.error("a delivery ended in an unexpected way", error=repr(task.exception()))


def _not_yet(waits: bool) -> Judgement:
    if waits:
        return Judgement(Verdict.WAITING, "a Credit CDR waits for its original", asked=1.0)
    reason = "no agreement, or the receiver publishes no cdrs endpoint"
    return Judgement(Verdict.WAITING, reason, asked=NO_AGREEMENT_PAUSE)


def _report_parked(lane: Lane, item: Item, judgement: Judgement, is_cdr: bool) -> None:
    owner, module, key = item.object
    write = log.error if is_cdr else log.warning
    write(
        "parked: the receiver refuses it; have it corrected, or `knutpunkt deliveries replay` once the receiver is",
        receiver=str(lane.receiver),
        owner=owner,
        module=module,
        key=key,
        reason=judgement.reason,
    )


def _jitter() -> float:
    return random.uniform(-1, 1)
