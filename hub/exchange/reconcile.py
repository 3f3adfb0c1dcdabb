"""Reconciliation: what the hub acknowledged, what it delivered, and what partners' own GET shows, by partner and day.

A run is done by one worker, partner after partner: bulk work that must not be noticed, so few questions at a time, and
none any more of a partner that is away. A partner that receives is asked for a sample of what it acknowledged, and for
every CDR of the day; a party whose lists are pulled is asked for what changed that day. What is wrong is looked at once
more in the database, since a newer version may have been on its way; then it is a gap: an alert until a later run
finds it closed. A run with `repair` sends it anew.
"""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import structlog

from hub.delivery import audience, owed, view
from hub.delivery import send as delivery
from hub.exchange import crawl, forward, gaps, gather
from hub.exchange.context import Hub
from hub.exchange.crawl import List
from hub.exchange.gaps import Book, Finding, Heard, Kind, Meaning
from hub.ocpi import envelope, headers, json
from hub.ocpi.client import Answer, NetworkError
from hub.ocpi.module import Module
from hub.ocpi.types import PartyId, format_datetime, masked, parse_datetime
from hub.store import messages, outgoing, pull_plan, pulls
from hub.store import reconciliations as store
from hub.store.db import Statements
from hub.store.directory import Directory, PartyView
from hub.store.journal import Hop
from hub.store.objects import EVERYBODY, Kept
from hub.store.outgoing import Identity
from hub.store.reconciliations import DELIVERED, Job, LedgerRow, Meant, Missed, OpenGap, Standing

log = structlog.get_logger(__name__)

LEASE = 120.0
"""Seconds in which a run is still its worker's: longer than one round of questions may take."""

AT_ONCE = 4
"""Questions to a partner at the same time."""

CDRS_AT_ONCE = 200
SETTLED = 600.0
"""Seconds that a Session must have stood still: while it goes on, its owner pushes it, and may at this moment."""

DECISION = "reconcile"
"""In the message log."""


class ClaimLost(Exception):
    """Another process does this run now."""


def partners(directory: Directory) -> list[PartyView]:
    """The parties that can be reconciled with: registered here, on platforms of their own."""
    return [
        party
        for party in directory.parties
        if not party.platform.hosted and not party.roles <= {"HUB"} and party.status in audience.REACHED
    ]


async def run(hub: Hub, job: Job) -> None:
    """Make a run. Raises ClaimLost."""
    directory = await hub.directory.refresh()
    wanted = [party for party in partners(directory) if job.partner in (None, str(party.code))]
    found = 0
    for party in wanted:
        book = await _Partner(hub, job, directory, party).reconcile()
        found += len(book.missed)
    log.info("reconciled", day=str(job.day), partners=len(wanted), gaps=found, repair=job.repair)


class _Partner:
    """A run's work on one partner."""

    def __init__(self, hub: Hub, job: Job, directory: Directory, party: PartyView) -> None:
        self._hub, self._job, self._directory, self._party = hub, job, directory, party
        self._code = str(party.code)
        self._ledger = ledger(hub)
        self._meant = meant(hub, directory, party)
        self._start = datetime(job.day.year, job.day.month, job.day.day, tzinfo=UTC)
        self._until = self._start + timedelta(days=1)
        self._book = Book()
        self._open: list[OpenGap] = []
        self._away: str | None = None
        self._not_offered: dict[str, str] = {}

    async def reconcile(self) -> Book:
        """Look at everything, and write down what was found."""
        if self._party.status != "CONNECTED":
            self._away = f"not asked: it is {self._party.status}"
        await self._hold()
        async with self._hub.db.unit_of_work() as session:
            self._open = await store.open_gaps(session, self._code)
            tally = await store.tally(session, self._meant, self._start, self._until)
        for (module, state), number in sorted(tally.items()):
            self._book.of(module).take(state, number)
        there = [gap.identity for gap in self._open if not Kind(gap.kind).is_here]
        if not self._party.platform.quirks.gets:
            self._not_offered = dict.fromkeys(self._hub.catalog, "not asked (quirk gets=no)")
            self._book.fine, there = there, []
        await self._objects([identity for identity in there if identity[1] != self._ledger.name])
        await self._cdrs([identity for identity in there if identity[1] == self._ledger.name])
        await self._lists()
        await self._write()
        return self._book

    # --- what was delivered ---

    async def _objects(self, open_gaps: list[Identity]) -> None:
        """Objects of the day by sample, and those that were missing before."""
        moving = [row.name for row in self._hub.catalog.values() if not row.broadcast]
        async with self._hub.db.unit_of_work() as session:
            asked = await store.sample(
                session, self._meant, self._start, self._until, self._job.sample, moving, SETTLED
            )
            before = await store.standings(session, self._meant, open_gaps) if open_gaps else {}
        listed = {row.identity for row in asked}
        # Those that it is not meant to have any more, or that the operator gave up, are nobody's loss.
        self._book.fine += [gap for gap in open_gaps if gap not in before or before[gap].state == "discarded"]
        again = [row for row in before.values() if row.state == DELIVERED and row.identity not in listed]
        for at in range(0, len(asked) + len(again), AT_ONCE):
            await self._ask_all([*again, *asked][at : at + AT_ONCE])

    async def _ask_all(self, asked: Sequence[Standing]) -> None:
        """Ask for a few objects at a time, and look once more at those that are not as they should be."""
        await self._hold()
        async with self._hub.db.unit_of_work() as session:
            states, _ = await outgoing.states(session, [row.identity for row in asked], [self._code])
        answers = await asyncio.gather(*(self._object(row, states.get(row.identity, {})) for row in asked))
        suspects = [row for row, (judged, finding) in zip(asked, answers, strict=True) if judged and finding]
        after: dict[Identity, Standing] = {}
        if suspects:
            async with self._hub.db.unit_of_work() as session:
                after = await store.standings(session, self._meant, [row.identity for row in suspects])
        for row, (judged, finding) in zip(asked, answers, strict=True):
            if judged and (finding is None or gaps.is_gap(row, after.get(row.identity))):
                self._book.judged(row.identity, finding)

    async def _object(self, row: Standing, rows: dict[str, Kept]) -> tuple[bool, Finding | None]:
        """Ask for one object: whether that could be judged, and what is wrong with it."""
        module = self._hub.catalog[row.module]
        endpoint = self._party.platform.endpoint(row.module, "RECEIVER")
        shown = {meant_for for *pair, meant_for in self._meant.rows if pair == [row.owner, row.module]}
        own = rows.get(self._code) if self._code in shown else None
        everybody = rows.get(EVERYBODY) if EVERYBODY in shown else None
        kept = own or everybody
        if endpoint is None or kept is None:
            return False, None
        sender = PartyId.parse(row.owner) if own is not None else self._hub.code
        path = module.path_of(view.read(kept))
        url = delivery.join(endpoint, path, slash=self._party.platform.quirks.slash)
        answer = await self._get(row.identity, url, sender)
        if answer is None:
            return False, None
        return True, gaps.compare(module, view.view(own, everybody, module), answer.body)

    # --- CDRs ---

    async def _cdrs(self, open_gaps: list[Identity]) -> None:
        """Every CDR of the day, and those that were missing before."""
        receiver, ledger = self._code, self._ledger.name
        async with self._hub.db.unit_of_work() as session:
            again = await store.cdrs_named(session, receiver, ledger, open_gaps) if open_gaps else []
        known = {(row.owner, ledger, row.key) for row in again}
        self._book.fine += [gap for gap in open_gaps if gap not in known]
        met = {row.seq for row in again}
        await self._judge_cdrs(again)
        after = 0
        while True:
            async with self._hub.db.unit_of_work() as session:
                rows = await store.cdrs(session, receiver, ledger, self._start, self._until, after, CDRS_AT_ONCE)
            for row in rows:
                self._book.of(ledger).take(row.state, 1)
            await self._judge_cdrs([row for row in rows if row.seq not in met])
            if len(rows) < CDRS_AT_ONCE:
                return
            after = rows[-1].seq

    async def _judge_cdrs(self, rows: Sequence[LedgerRow]) -> None:
        for at in range(0, len(rows), AT_ONCE):
            await self._hold()
            await asyncio.gather(*map(self._cdr, rows[at : at + AT_ONCE]))

    async def _cdr(self, row: LedgerRow) -> None:
        """One CDR, asked for where the receiver said that it keeps it (CDR-018)."""
        identity = row.owner, self._ledger.name, row.key
        if row.state == "lost":
            self._book.judged(identity, Finding(Kind.MISSING, "it is in the hub's custody, and is not on its way"))
        if row.state == "discarded":
            self._book.fine.append(identity)
        if row.state != DELIVERED or row.body is None:
            return
        if row.location is None or not forward.same_host(self._party.platform, row.location):
            where = "named no Location for them" if row.location is None else "keeps them on a host it did not publish"
            self._book.of(self._ledger.name).remark(f"not all asked for: it {where}")
            return
        answer = await self._get(identity, row.location, PartyId.parse(row.owner))
        if answer is not None:
            self._book.judged(identity, gaps.compare(self._ledger, json.loads(row.body.encode()), answer.body))

    # --- asking ---

    async def _get(self, identity: Identity, url: str, sender: PartyId) -> Heard | None:
        """GET one object; None when that told nothing, and why is noted. A partner that is away is not asked again."""
        count = self._book.of(identity[1])
        unasked = self._away or self._not_offered.get(identity[1])
        if unasked is not None:
            count.remark(unasked)
            return None
        try:
            answer = await self._request(identity, url, sender)
        except NetworkError as error:
            self._away = f"not all asked for: {error}"
            count.remark(self._away)
            return None
        found = gaps.heard(answer.status, answer.body)
        if found.meaning in (Meaning.THERE, Meaning.NOT_THERE):
            return found
        why = f"it {found.why}" if found.meaning is Meaning.NOT_OFFERED else f"not all asked for: it {found.why}"
        if found.meaning is Meaning.AWAY:
            self._away = why
        elif found.meaning is Meaning.NOT_OFFERED:
            self._not_offered[identity[1]] = why
        count.remark(why)
        return None

    async def _request(self, identity: Identity, url: str, sender: PartyId) -> Answer:
        owner, module, key = identity
        sent = delivery.onward(self._party.platform, self._job.correlation_id, self._party.code, sender)
        begun = datetime.now(UTC)
        hop = Hop(
            correlation_id=self._job.correlation_id,
            request_id=sent[headers.REQUEST_ID],
            sender=str(sender),
            receiver=self._code,
            method="GET",
            what=f"receiver/{module} {owner}/{masked(key) if module in messages.PERSONAL else key}",
            decision=DECISION,
        )
        timeout = min(delivery.DEADLINE, self._party.platform.quirks.timeout)
        try:
            answer = await self._hub.outbound.send("GET", url, sent, timeout=timeout)
        except NetworkError as error:
            self._hub.journal.note(hop._replace(detail=str(error)))
            raise
        ms = round((datetime.now(UTC) - begun).total_seconds() * 1000)
        code = envelope.read(answer.body)[0]
        self._hub.journal.note(hop._replace(http_status=answer.status, status_code=code, ms=ms), None, answer.body)
        return answer

    # --- what is pulled ---

    async def _lists(self) -> None:
        """What the partner's own lists have of that day, if they are pulled, against what is kept here."""
        async with self._hub.db.unit_of_work() as session:
            lists = [(module, read_at) for party, module, read_at in await store.pulled(session) if party == self._code]
        for name, read_at in lists:
            module = self._hub.catalog.get(name)
            endpoint = self._party.platform.endpoint(name, "SENDER")
            if module is None or endpoint is None:
                continue
            if self._away is not None:
                self._book.of(name).remark(self._away)
                continue
            try:
                await self._list(module, endpoint, read_at)
            except crawl.Failed as failure:
                self._book.of(name).remark(f"its list was not read: {failure}")
            else:  # what has been read since a gap was found, and is not missed again, is here
                again = {(gap.owner, gap.module, gap.key) for gap in self._book.missed}
                here = [gap for gap in self._open if gap.module == name and Kind(gap.kind).is_here]
                self._book.fine += [
                    gap.identity for gap in here if gap.found_at < read_at and gap.identity not in again
                ]

    async def _list(self, module: Module, endpoint: str, read_at: datetime) -> None:
        window = {"date_from": format_datetime(self._start), "date_to": format_datetime(self._until)}
        quirks = self._party.platform.quirks
        wanted, seen = List(endpoint, quirks, window if quirks.dates else {}), 0

        async def ask(url: str) -> Answer:
            await self._hold()
            sent = delivery.onward(self._party.platform, self._job.correlation_id, self._party.code, self._hub.code)
            return await self._hub.outbound.call("GET", url, sent, timeout=quirks.timeout)

        async for page in crawl.pages(ask, wanted):
            taken, _ = gather.sort(self._directory, self._party, module, page.objects)
            of_the_day = [one for one in taken if self._start <= parse_datetime(one.body["last_updated"]) < self._until]
            await self._compare_list(module, of_the_day, read_at)
            seen += len(of_the_day)
            if seen >= self._job.sample and not module.immutable:
                return

    async def _compare_list(self, module: Module, taken: Iterable[gather.Taken], read_at: datetime) -> None:
        """What of a page is not here as it is there, though the list has been pulled since."""
        due = [one for one in taken if parse_datetime(one.body["last_updated"]) < read_at]
        if not due:
            return
        async with self._hub.db.unit_of_work() as session:
            here = await store.stored(session, module.name, self._ledger.name, [one.place for one in due])
        count = self._book.of(module.name)
        for one in due:
            owner, key, _ = one.place
            theirs, ours = parse_datetime(one.body["last_updated"]), here.get((owner, key))
            count.acknowledged += ours is not None
            finding = None
            if ours is None:
                finding = Finding(Kind.MISSING_HERE, "its list has it, and the hub has not")
            elif ours < theirs and not module.immutable:
                finding = Finding(Kind.OLDER_HERE, f"its list has that of {theirs:%Y-%m-%d %H:%M:%S}, the hub an older")
            self._book.judged((owner, module.name, key), finding)

    # --- what becomes of it ---

    async def _write(self) -> None:
        """All that was found, in one commit, and what is to be sent anew with it."""
        book, job = self._book, self._job
        async with self._hub.db.unit_of_work() as session:
            if not await store.hold(session, job, LEASE):
                raise ClaimLost
            for module, count in sorted(book.counts.items()):
                await store.counted(session, job, self._code, module, vars(count))
            await store.found(session, job, self._code, book.missed)
            await store.clear(session, self._code, book.fine)
            for gap in book.missed if job.repair else ():
                if await self._repair(session, gap):
                    await store.sent(session, self._code, gap)
        if book.missed:
            self._hub.bell.ring()
            kinds = [f"{gap.kind}: {gap.module} of {gap.owner}" for gap in book.missed]
            log.error("partner lacks what it acknowledged: `knutpunkt reconcile --last` shows all", partner=self._code,
                      day=str(job.day), gaps=len(kinds), first=kinds[:5], sent_anew=job.repair)  # fmt: skip

    async def _repair(self, session: Statements, gap: Missed) -> bool:
        """Have it sent anew, or pulled; False where nothing can be done from here."""
        if Kind(gap.kind).is_here:
            return bool(await pull_plan.now(session, self._code, gap.module, pulls.FULL))
        if gap.module == self._ledger.name:
            if gap.kind != Kind.MISSING:
                return False  # a CDR is never sent in another form: the two must settle it
            await store.into_custody(session, self._code, gap.owner, gap.key, f"reconciliation: {gap.detail}")
        await owed.add(
            session,
            receiver=self._code,
            owner=gap.owner,
            module=gap.module,
            key=gap.key,
            correlation_id=self._job.correlation_id,
        )
        return True

    async def _hold(self) -> None:
        async with self._hub.db.unit_of_work() as session:
            if not await store.hold(session, self._job, LEASE):
                raise ClaimLost


def meant(hub: Hub, directory: Directory, party: PartyView) -> Meant:
    """What a receiver is meant to have by lanes and direct pushes, CDRs apart."""
    code = party.code
    broadcast = [(owner, module, EVERYBODY) for owner, module in audience.broadcasts_to(directory, hub.catalog, code)]
    kept = [row.name for row in hub.catalog.values() if row.kept]
    own = [
        (str(owner.code), module, str(code))
        for owner in directory.parties
        for module in kept
        if owner.code != code and audience.takes(directory, owner.code, module, code)
    ]
    return Meant(str(code), tuple(sorted([*broadcast, *own])))


def ledger(hub: Hub) -> Module:
    """The module whose objects live in the ledger."""
    return next(row for row in hub.catalog.values() if row.immutable)
