"""Story: a hub is backed up under load, goes on for a while, and its machine burns down. From the backup another one
takes its place: nothing that was acknowledged before the backup began is lost, what may be is told, lanes go on."""

import asyncio
import itertools
import json
import os
import sys
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hub.ocpi.types import format_datetime
from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp
from hub.sandbox.wire import Answer
from hub.services.supervisor import Stack
from hub.settings import CHECKOUT

LOCATIONS = 12
START = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
SESSION = samples.session(of=samples.token()) | {"kwh": Decimal("12.500")}
CDR = samples.cdr(SESSION, samples.location(), samples.tariff())


class WithoutLists(CpoBackend):
    """A CPO that only pushes."""

    modules = (("tokens", "RECEIVER"), ("commands", "RECEIVER"))


class Load:
    """Pushes of two CPOs, one version after the other, and CDRs; `acknowledged` is the last version of each Location
    that the hub took, `billed` the ids of the CDRs it took."""

    def __init__(self, cpos: dict[str, CpoBackend]) -> None:
        self.cpos = cpos
        self.numbers = itertools.count(1)
        self.acknowledged: dict[tuple[str, str], int] = {}
        self.billed: set[str] = set()
        self.going = True
        self.goal = 0
        self.reached = asyncio.Event()

    async def run(self) -> None:
        while self.going:
            for party in self.cpos:
                await self.location(party)
            await self.cdr()

    async def billed_more(self, cdrs: int, running: asyncio.Task[None]) -> None:
        """Wait until the hub has taken so many more."""
        self.goal = len(self.billed) + cdrs
        self.reached.clear()
        waiting = asyncio.create_task(self.reached.wait())
        await asyncio.wait({waiting, running}, return_when=asyncio.FIRST_COMPLETED)
        assert waiting.done(), running.exception()

    async def location(self, party: str) -> None:
        number, cpo = next(self.numbers), self.cpos[party]
        name = f"LOC{number % LOCATIONS}"
        moment = format_datetime(START + timedelta(seconds=number))
        body = samples.location(party, id=name, at=moment) | {"name": str(number)}
        cpo.locations.put((*party.split("*"), name), body)
        await taken(lambda: cpo.send("PUT", "locations", *party.split("*"), name, to=cpo.hub, body=body))
        self.acknowledged[party, name] = number

    async def cdr(self) -> None:
        name = f"CDR{next(self.numbers)}"
        await taken(lambda: self.cpos["NL*CPA"].post_cdr(CDR | {"id": name, "session_id": name}, to="DE*MSA"))
        self.billed.add(name)
        if len(self.billed) >= self.goal:
            self.reached.set()


async def taken(send: Callable[[], Awaitable[Answer]]) -> None:
    """Send until the hub is not too busy for it."""
    answer = await send()
    while answer.http_status in (429, 503):
        await asyncio.sleep(0.2)
        answer = await send()
    assert answer.ok, answer.body


async def knutpunkt(*arguments: str, **settings: str) -> Any:
    """What a command says, as JSON."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
    environment = kept | {"PYTHONPATH": str(CHECKOUT), "HUB_LOG_FORMAT": "json"} | settings
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "hub", *arguments, "--json", env=environment, cwd=CHECKOUT, stdout=asyncio.subprocess.PIPE
    )
    words, _ = await child.communicate()
    assert child.returncode == 0
    return json.loads(words)


def holds(emsp: Emsp, parties: Iterable[str], versions: dict[tuple[str, str], int]) -> bool:
    """Whether an eMSP holds just these versions of the Locations of these parties."""
    return {place: number for party in parties for place, number in held(emsp, party).items()} == versions


def held(emsp: Emsp, party: str) -> dict[tuple[str, str], int]:
    own = [body for body in emsp.locations.all() if f"{body['country_code']}*{body['party_id']}" == party]
    return {(party, body["id"]): int(body["name"]) for body in own}


@pytest.mark.timeout(600)
async def test_nothing_acknowledged_before_a_backup_is_lost_by_restoring_it(world: Any, tmp_path: Path) -> None:
    cpos: dict[str, CpoBackend] = {"NL*CPA": CpoBackend("NL*CPA"), "NL*CPB": WithoutLists("NL*CPB")}
    here, away = Emsp("DE*MSA"), Emsp("FR*MSB")
    for platform in (*cpos.values(), here, away):
        await world.join(platform)
    load = Load(cpos)
    running = asyncio.create_task(load.run())
    await load.billed_more(10, running)
    await away.go_away()
    custody = await cpos["NL*CPA"].post_cdr(CDR | {"id": "KEPT", "session_id": "KEPT"}, to="FR*MSB")
    assert custody.http_status == 201
    before, billed_before = dict(load.acknowledged), set(load.billed)
    file, asked = tmp_path / "hub.dump", datetime.now(UTC)
    told = await knutpunkt("backup", str(file), "--data", str(world.stack.data.path))
    assert told["bytes"] > 10_000
    await load.billed_more(5, running)
    load.going = False
    await running
    old = world.stack.settings
    await world.stack.stop()

    restored = await knutpunkt("restore", str(file), "--data", str(tmp_path / "new"), HUB_SECRET_KEY=old.secret_key)
    since = datetime.fromisoformat(restored["since"])
    assert asked - timedelta(seconds=30) < since < datetime.fromisoformat(restored["now"])
    assert ["NL*CPA", "locations"] in restored["read"]
    assert ["NL*CPB", "locations"] in restored["not_read"]
    assert restored["custody"] >= 1
    await away.come_back()

    settings = old.model_copy(update={"data": tmp_path / "new", "database_url": "", "redis_url": ""})
    async with Stack(settings, log_file=tmp_path / "new.log"):
        newest = load.acknowledged
        mine = {place: number for place, number in newest.items() if place[0] == "NL*CPA"}
        for emsp in (here, away):
            await emsp.until(partial(holds, emsp, ("NL*CPA",), mine), 60, "the owner's list")
        least = {place: number for place, number in before.items() if place[0] == "NL*CPB"}

        def arrived() -> bool:
            found = held(away, "NL*CPB")
            return all(found.get(place, 0) >= number for place, number in least.items())

        await away.until(arrived, 60, "what was owed when the backup began")
        await away.until(lambda: any(ref[-1].upper() == "KEPT" for ref in away.cdrs), 60, "the CDR in custody")
        ledger = await knutpunkt("ledger", "verify", "--data", str(tmp_path / "new"))
        assert ledger["ok"], ledger
        assert ledger["chains"][0]["entries"] >= len(billed_before) + 1
        for name in sorted(load.billed):  # its owner does not know which of them were lost
            body = CDR | {"id": name, "session_id": name}
            await taken(partial(cpos["NL*CPA"].post_cdr, body, to="DE*MSA"))
        assert {ref[-1].upper() for ref in here.cdrs} == load.billed
        for party in cpos:
            for _ in range(LOCATIONS):
                await load.location(party)
        for emsp in (here, away):
            await emsp.until(partial(holds, emsp, cpos, load.acknowledged), 60, "the lanes go on")
            # What was owed when the backup began, of an owner without a list: the hub cannot know what came later.
            assert [push for push in emsp.backwards if "NL/CPB" not in push] == []
        assert away.backwards == []
