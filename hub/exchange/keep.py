"""Keeping an object: the rules of hub.ocpi.patch applied to its row, and the change-log row in the same transaction."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from hub import metrics
from hub.delivery import log, view
from hub.ocpi import json, patch
from hub.ocpi.errors import InvalidParameters, NotFound
from hub.ocpi.module import Module, Part, Ref
from hub.ocpi.patch import Outcome, State
from hub.ocpi.types import Finding, PartyId, check, parse_datetime
from hub.store import objects
from hub.store.db import Statements
from hub.store.log import Entry
from hub.store.objects import EVERYBODY, Kept, New

logger = structlog.get_logger(__name__)

# One bad clock must not silence an object for ever.
FUTURE_LIMIT = timedelta(hours=24)
_FIELD = re.compile(r"[.\[]")


@dataclass(frozen=True)
class Change:
    """What arrived for an object: `method` PUT or PATCH, `audience` "*" or a party, and whether lanes deliver it.
    `strict` refuses a PATCH that brings what the spec does not know."""

    method: str
    module: Module
    ref: Ref
    body: dict[str, Any]
    audience: str
    correlation_id: str
    delivered_by_lane: bool
    strict: bool = False

    @property
    def identity(self) -> tuple[str, str]:
        """Module and database key of the object."""
        return self.module.name, self.module.key(self.ref.object_id, self.ref.kind)


def not_from_the_future(body: dict[str, Any], module: Module, depth: int = 0) -> None:
    """Refuse a last_updated of more than 24 hours from now, at the addressed level or below it."""
    if depth < len(module.parts):
        for child in _children(body, module.parts[depth]):
            not_from_the_future(child, module, depth + 1)
    stamp = body.get("last_updated")
    try:
        ahead = isinstance(stamp, str) and parse_datetime(stamp) > datetime.now(UTC) + FUTURE_LIMIT
    except ValueError:
        raise InvalidParameters("last_updated: not an OCPI DateTime") from None
    if ahead:
        raise InvalidParameters("last_updated: more than 24 hours in the future, check the clock")


def _children(body: dict[str, Any], part: Part) -> list[dict[str, Any]]:
    found = body.get(part.list_field)
    return [child for child in found if isinstance(child, dict)] if isinstance(found, list) else []


def note_oddities(module: Module, owner: PartyId, findings: Sequence[Finding], *, strict: bool = False) -> None:
    """Count what is let through although the spec does not know it; InvalidParameters (2001) if `strict`."""
    if not findings:
        return
    if strict:
        raise InvalidParameters(str(findings[0]))
    metrics.oddities(module.name, str(owner)).inc(len(findings))
    logger.info(
        "let through with oddities",
        module=module.name,
        owner=str(owner),
        oddities=len(findings),
        first=str(findings[0]),
    )


async def apply(session: Statements, change: Change) -> Outcome:
    """Store a change if it is newer, and tell the lanes; says what became of it."""
    (found,) = await apply_all(session, [change])
    if isinstance(found, Exception):
        raise found
    return found


async def apply_all(session: Statements, changes: Sequence[Change]) -> list[Outcome | Exception]:
    """The same for changes of one owner, each of another object: in as many statements as for one. What is wrong with a
    change stands in its place, and the others go on."""
    owner = str(changes[0].ref.owner)
    await objects.lock_all(session, owner, [change.identity for change in changes])
    rows = await objects.rows_of(session, owner, [(*change.identity, change.audience) for change in changes])
    found: list[Outcome | Exception] = []
    new: list[New] = []
    told: list[Entry] = []
    for change, standing in zip(changes, rows, strict=True):
        try:
            outcome, row = decide(change, standing)
        except Exception as error:
            found.append(error)
            continue
        found.append(outcome)
        if row is not None:
            new.append(row)
            told += [_entry(change)] if change.delivered_by_lane else []
    if new:
        await objects.write(session, owner, new)
    if told:
        await log.append(session, told)
    return found


def decide(change: Change, standing: Mapping[str, Kept]) -> tuple[Outcome, New | None]:
    """What becomes of a change, and the row that it makes of the object, if any. `standing` are the rows that it builds
    on, by audience."""
    everybody = standing.get(EVERYBODY) if change.audience != EVERYBODY else None
    outcome, state = _decide(change, standing.get(change.audience), everybody)
    metrics.outcomes(change.module.name, outcome.name.lower()).inc()
    if not outcome.changes or state is None:
        return outcome, None
    if change.method == "PATCH":
        _whole(state, change)
    body, times = json.dumps(state.body).decode(), json.dumps(state.times).decode()
    last_updated = parse_datetime(state.body["last_updated"])
    return outcome, New(*change.identity, change.audience, body, times, last_updated)


def _entry(change: Change) -> Entry:
    return Entry(
        str(change.ref.owner), *change.identity, change.audience, change.ref.part_ids,
        sorted(change.body) if change.method == "PATCH" else None, change.correlation_id,
    )  # fmt: skip


def _whole(state: State, change: Change) -> None:
    """A PATCH may not leave a level without what it needs: InvalidParameters (2001) names the field."""
    level = patch.find_part(state.body, change.module, change.ref.part_ids)
    findings = check(change.module.level_model(len(change.ref.part_ids)), level or {})
    brought = [finding for finding in findings if _FIELD.split(finding.path)[0] in change.body.keys() | {"body"}]
    with structlog.contextvars.bound_contextvars(correlation_id=change.correlation_id):
        note_oddities(change.module, change.ref.owner, brought, strict=change.strict)


async def bury(session: Statements, module: Module, ref: Ref, audience: str | None, correlation_id: str) -> bool:
    """Leave tombstones where rows of the object are: of one audience, or of all (None). False if there was none."""
    owner, key = str(ref.owner), module.key(ref.object_id, ref.kind)
    await objects.lock(session, owner, module.name, key)
    if audience not in (None, EVERYBODY):
        await objects.take_own_copy(session, owner, module.name, key, audience)
    audiences = await objects.bury(session, owner, module.name, key, audience)
    if audiences:
        await log.append(
            session, [Entry(owner, module.name, key, buried, (), None, correlation_id) for buried in audiences]
        )
    return bool(audiences)


async def visible(session: Statements, module: Module, ref: Ref, receiver: PartyId) -> dict[str, Any] | None:
    """The object as `receiver` sees it."""
    key = module.key(ref.object_id, ref.kind)
    own, everybody = await objects.rows_for(session, str(ref.owner), module.name, key, str(receiver))
    return view.view(own, everybody, module)


def _decide(change: Change, own: Kept | None, everybody: Kept | None) -> tuple[Outcome, State | None]:
    module, parts = change.module, change.ref.part_ids
    if change.method == "PUT" and not parts:
        if own is not None and own.deleted:
            return _revive(own, change)
        return patch.put(_state(own), change.body, module)
    # A part or a PATCH builds on what the receiver sees: its own row and everybody's.
    base = _state(own) if everybody is None else _seen(own, everybody, module)
    if change.method == "PUT":
        return patch.put(base, change.body, module, parts)
    if base is None:
        raise NotFound("this object is not known here: PUT it first")
    return patch.patch(base, change.body, module, parts)


def _revive(tombstone: Kept, change: Change) -> tuple[Outcome, State | None]:
    """A PUT that is not older than the tombstone brings the object back."""
    if parse_datetime(change.body["last_updated"]) < tombstone.last_updated:
        return Outcome.OLDER, None
    return patch.put(None, change.body, change.module)


def _state(row: Kept | None) -> State | None:
    if row is None or row.deleted:
        return None
    return State(json.loads(row.body.encode()), row.times)


def _seen(own: Kept | None, everybody: Kept, module: Module) -> State | None:
    body = view.view(own, everybody, module)
    if body is None:
        return None
    times = dict(everybody.times)
    for path, text in (own.times if own is not None else {}).items():
        if path not in times or parse_datetime(text) >= parse_datetime(times[path]):
            times[path] = text
    return State(body, times)
