"""hub.delivery.fates: what became of an object at each receiver, as a decision and from the tables."""

import dataclasses
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet

from hub.delivery import fates
from hub.delivery.fates import Fate, Kept
from hub.store import lanes
from hub.store.fates import Arrival, Custody, Due, Standing
from hub.store.journal import Hop, Journal
from hub.store.objects import EVERYBODY
from hub.store.seal import Seal
from modules.catalog import CATALOG

Location = Callable[..., dict[str, Any]]
Eventually = Callable[[Callable[[], object]], Awaitable[None]]

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
KEPT = Kept(("NL*CPA", "locations", "LOC 1"), "mine", NOW, EVERYBODY)
MINE = Arrival("DE*MSA", NOW + timedelta(seconds=2), "mine", 200, 1000)
NEWER = dataclasses.replace(MINE, correlation_id="newer")
DUE = Due("DE*MSA", "mine", 3, NOW + timedelta(seconds=9), "PUT answered HTTP 500", False)
HERS = dataclasses.replace(DUE, correlation_id="hers")
PARKED = dataclasses.replace(DUE, parked=True, tries=8)
PASSED = Standing("DE*MSA", True, 0, True, None, "CONNECTED", None, 0, None)
BEHIND = dataclasses.replace(PASSED, passed=False, behind=7)
OFFLINE = dataclasses.replace(BEHIND, status="OFFLINE", next_try_at=NOW + timedelta(minutes=5))


@pytest.mark.parametrize(
    ("arrival", "due", "standing", "obstacle", "state", "detail"),
    [
        (MINE, None, PASSED, None, "delivered", "answered 200/1000, 2.000 s after the hub had it"),
        (MINE, DUE, PASSED, None, "owed", "3 refused; PUT answered HTTP 500"),
        (MINE, HERS, BEHIND, "is SUSPENDED", "delivered", "answered 200/1000, 2.000 s after the hub had it"),
        (NEWER, HERS, PASSED, None, "superseded", "something newer was delivered"),
        (None, PARKED, PASSED, None, "parked", "after 8 tries: PUT answered HTTP 500"),
        (None, HERS, PASSED, None, "owed", "3 refused; PUT answered HTTP 500"),
        (None, HERS, BEHIND, None, "behind", "PUT answered HTTP 500; its lane is 7 changes from the end of the log"),
        (None, None, OFFLINE, None, "behind", "platform OFFLINE; its lane is 7 changes from the end of the log"),
        (None, None, PASSED, None, "passed", "nothing was left to tell, or the hop was lost in a crash"),
        (None, None, PASSED, "is SUSPENDED", "not a receiver", "is SUSPENDED"),
        (None, None, None, None, "not a receiver", "has no lane"),
    ],
)
def test_decision(
    arrival: Arrival | None, due: Due | None, standing: Standing | None, obstacle: str | None, state: str, detail: str
) -> None:
    fate = fates.decide(KEPT, "DE*MSA", arrival, due, standing, obstacle)
    assert (fate.receiver, fate.state, fate.detail) == ("DE*MSA", state, detail)


def test_whose_name_it_goes_in_and_when() -> None:
    assert fates.decide(KEPT, "DE*MSA", NEWER, None, PASSED, None).correlation_id == "newer"
    assert fates.decide(KEPT, "DE*MSA", None, HERS, PASSED, None).correlation_id == "hers"
    assert fates.decide(KEPT, "DE*MSA", None, DUE, PASSED, None).at == DUE.next_at
    assert fates.decide(KEPT, "DE*MSA", None, DUE, OFFLINE, None).at == OFFLINE.next_try_at


@pytest.mark.parametrize(
    ("standing", "reason"),
    [
        (dataclasses.replace(BEHIND, stopped_reason="401"), "stopped: 401"),
        (dataclasses.replace(BEHIND, held=False), "no worker serves its lane"),
        (dataclasses.replace(BEHIND, failures=2), "failed 2 times in a row"),
        (dataclasses.replace(PASSED, backfill="resync"), "a full delivery is under way (resync)"),
    ],
)
def test_why_a_lane_is_behind(standing: Standing, reason: str) -> None:
    fate = fates.decide(KEPT, "DE*MSA", None, None, standing, None)
    assert fate.state == "behind"
    assert fate.detail.split("; ")[0] == reason


@pytest.mark.parametrize(
    ("state", "due", "expected"),
    [
        ("custody", DUE, ("owed", "3 refused; PUT answered HTTP 500")),
        ("custody", PARKED, ("parked", "after 8 tries: PUT answered HTTP 500")),
        ("custody", None, ("behind", "held up")),
        ("discarded", None, ("discarded", "held up")),
        ("delivered", None, ("delivered", "answered 200/1000, 2.000 s after the hub had it")),
    ],
)
def test_cdrs(state: str, due: Due | None, expected: tuple[str, str]) -> None:
    custody = Custody("DE*MSA", state, NOW, "held up", None)
    fate = fates.decide_cdr(KEPT, custody, MINE, due, PASSED)
    assert (fate.state, fate.detail) == expected


def hop(decision: str, **facts: Any) -> dict[str, Any]:
    named = {"owner": "NL*CPA", "module": "locations", "key": "L", "sender": "NL*CPA", "receiver": "NL*HUB"}
    answer = {"http_status": 200, "status_code": 1000, "correlation_id": "mine", "at": NOW, "detail": None}
    return named | answer | {"decision": decision} | facts


def test_what_a_message_brought() -> None:
    later = NOW + timedelta(seconds=1)
    hops = [
        hop("broadcast", detail="created"),
        hop("broadcast", detail="older than stored, ignored", key="OLD"),
        hop("broadcast", detail="applied", at=later),
        hop("deliver", receiver="DE*MSA"),
        hop("forward", receiver="FR*MSB", key="D"),
        hop("keep", receiver="FR*MSB", key="D", detail="created", at=later),
        hop("keep", receiver="FR*MSB", key="X", detail="not kept: it is too old"),
        hop("custody", receiver="DE*MSA", module="cdrs", key="CDR1", detail="in the ledger"),
        hop("refuse", key=None),
    ]
    direct = Arrival("FR*MSB", NOW, "mine", 200, 1000)
    assert fates.kept_in(hops) == [
        Kept(("NL*CPA", "locations", "L"), "mine", later, EVERYBODY),
        Kept(("NL*CPA", "locations", "D"), "mine", later, "FR*MSB", direct),
        Kept(("NL*CPA", "cdrs", "CDR1"), "mine", NOW, "DE*MSA"),
    ]


@dataclasses.dataclass
class Book:
    """A small hub whose hops are written, as those of a real one are."""

    hub: Any
    seal: Seal
    journal: Journal

    async def write(self) -> None:
        for noted in self.hub.hops:
            self.journal.note(noted)
        self.hub.hops.clear()
        await self.journal.flush()

    async def keep(self, body: dict[str, Any], module: str = "locations") -> Kept:
        """Accept a broadcast, note its hop, and say what was kept."""
        await self.hub.accept(body, module=module)
        about = (f"{body['country_code']}*{body['party_id']}", module, CATALOG[module].key_of(body))
        message = f"c-{body['last_updated']}"
        self.hub.hops.append(
            Hop(message, "r", about[0], "SE*HUB", "PUT", module, "broadcast", 201, 1000, 1, "created", about)
        )
        await self.write()
        [(at, key)] = await self.hub.run("SELECT at, key FROM hop WHERE correlation_id = :id AND key <> ''", id=message)
        return Kept((*about[:2], key), message, at, EVERYBODY)

    async def fates(self, kept: Kept) -> dict[str, Fate]:
        await self.write()
        async with self.hub.db.unit_of_work() as session:
            found = await fates.of_object(session, self.hub.directory.now, CATALOG, self.seal, kept)
        return {fate.receiver: fate for fate in found}


@pytest.fixture
def book(small_hub: Any) -> Book:
    seal = Seal(Fernet.generate_key().decode())
    return Book(small_hub, seal, Journal(small_hub.db, seal))


async def test_delivered_superseded_and_behind(book: Book, location: Location, eventually: Eventually) -> None:
    msa, msb = await book.hub.receiver("DE*MSA"), await book.hub.receiver("FR*MSB")
    await book.hub.receiver("NL*CPB", role="CPO")
    msb.answer = lambda call: (503, 3000)
    first = await book.keep(location(1))
    waiting = await book.fates(first)
    assert {receiver: fate.state for receiver, fate in waiting.items()} == {"DE*MSA": "behind", "FR*MSB": "behind"}
    assert waiting["DE*MSA"].detail == "no worker serves its lane"
    async with book.hub.engine():
        await eventually(lambda: msa.state and msb.calls)
        await book.hub.becomes("SELECT receiver, reason IS NULL FROM owed", [("FR*MSB", False)])
        found = await book.fates(first)
        assert (found["DE*MSA"].state, found["FR*MSB"].state) == ("delivered", "owed")
        assert "HTTP 503" in found["FR*MSB"].detail
        second = await book.keep(location(2))
        await eventually(lambda: len(msa.calls) == 2)
        msb.answer = lambda call: (200, 1000)
        await eventually(lambda: msb.state)
        await book.hub.becomes("SELECT receiver FROM owed", [])
    found = await book.fates(first)
    assert (found["DE*MSA"].state, found["DE*MSA"].correlation_id) == ("delivered", None)
    assert (found["FR*MSB"].state, found["FR*MSB"].correlation_id) == ("superseded", second.correlation_id)
    assert {fate.state for fate in (await book.fates(second)).values()} == {"delivered"}


async def test_a_retry_of_an_older_message_does_not_supersede_a_newer_one(book: Book, location: Location) -> None:
    await book.hub.receiver("DE*MSA")
    older, newer = await book.keep(location(1)), await book.keep(location(2))
    retry = Hop(
        older.correlation_id, "r", "SE*HUB", "DE*MSA", "PUT", "locations", "deliver", 200, 1000, 1, None, older.about
    )
    book.hub.hops.append(retry)
    assert (await book.fates(newer))["DE*MSA"].state == "behind"
    assert (await book.fates(older))["DE*MSA"].state == "delivered"


async def test_a_token_is_found_by_its_pseudonym(book: Book) -> None:
    await book.hub.owner("DE*MSA", role="EMSP")
    await book.hub.receiver("BE*CPC", role="CPO")
    token = {
        "country_code": "DE",
        "party_id": "MSA",
        "uid": "04A1",
        "type": "RFID",
        "last_updated": "2026-01-01T00:01:00Z",
    }
    kept = await book.keep(token, "tokens")
    assert "04A1" not in kept.about[2]
    async with book.hub.db.unit_of_work() as session:
        names = {"receiver": "BE*CPC", "owner": "DE*MSA", "module": "tokens", "correlation_id": kept.correlation_id}
        for key in ("RFID:04A1", "RFID:OTHER"):
            await lanes.add(session, key=key, due_in=60, **names)
    found = await book.fates(kept)
    assert {receiver: fate.state for receiver, fate in found.items()} == {"BE*CPC": "owed", "NL*CPA": "not a receiver"}


async def test_who_is_no_receiver_and_why(book: Book, location: Location) -> None:
    await book.hub.receiver("DE*MSA", status="SUSPENDED")
    await book.hub.receiver("FR*MSB", resync="pull")
    await book.hub.owner("BE*NSP", role="NSP")
    await book.hub.receiver("NL*CPB", role="CPO")
    found = await book.fates(await book.keep(location(1)))
    assert {receiver: (fate.state, fate.detail) for receiver, fate in found.items()} == {
        "DE*MSA": ("not a receiver", "is SUSPENDED"),
        "FR*MSB": ("not a receiver", "pulls for itself (resync)"),
        "BE*NSP": ("not a receiver", "publishes no locations receiver endpoint"),
    }


async def test_a_lane_below_the_tail_is_behind(book: Book, location: Location) -> None:
    await book.hub.receiver("DE*MSA")
    kept = await book.keep(location(1))
    await book.hub.run("UPDATE change_log SET position = 1")
    await book.hub.run("UPDATE log_head SET position = 1")
    assert (await book.fates(kept))["DE*MSA"].state == "behind"
    await book.hub.run("UPDATE lane_cursor SET position = 1")
    assert (await book.fates(kept))["DE*MSA"].state == "passed"
    await book.hub.run("UPDATE log_head SET tail = 2")
    assert (await book.fates(kept))["DE*MSA"].state == "behind"
