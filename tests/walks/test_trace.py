"""Story: an operator traces one PUT from a CPO to two eMSPs, one of which is away and comes back."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hub import cli, settings
from hub.ocpi.types import format_datetime
from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp

Fates = dict[str, dict[str, Any]]


def location(minute: int) -> dict[str, Any]:
    """LOC1 as of some minute of the last hour."""
    at = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1) + timedelta(minutes=minute)
    return samples.location(id="LOC1", at=format_datetime(at)) | {"name": f"as of minute {minute}"}


async def hops(world: Any, correlation_id: str) -> list[dict[str, Any]]:
    answer = await world.operator.get(f"/trace/{correlation_id}")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["hops"]
    return found


async def fates(world: Any, correlation_id: str) -> Fates:
    """Where the one object of a message is, by receiver; nothing while its hops are not written yet."""
    answer = await world.operator.get(f"/trace/{correlation_id}")
    objects = answer.json()["objects"] if answer.status_code == 200 else []
    return {row["receiver"]: row for thing in objects for row in thing["receivers"]}


async def until(look: Callable[[], Awaitable[Fates]], good: Callable[[Fates], bool]) -> Fates:
    deadline = time.monotonic() + 40
    while not ((found := await look()) and good(found)):
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.1)
    return found


@pytest.mark.timeout(120)
async def test_the_life_of_a_message(world: Any, capsys: pytest.CaptureFixture[str]) -> None:
    cpo, home, away = CpoBackend("NL*CPA"), Emsp("DE*MSA"), Emsp("FR*MSB")
    for platform in (cpo, home, away):
        await world.join(platform)

    async def push(minute: int) -> str:
        answer = await cpo.send("PUT", "locations", "NL", "CPA", "LOC1", to=cpo.hub, body=location(minute))
        assert answer.ok
        return str(answer.correlation_id)

    await away.go_away()
    first = await push(1)
    waiting = await until(
        lambda: fates(world, first),
        lambda found: found["DE*MSA"]["state"] == "delivered" and found["FR*MSB"]["state"] == "owed",
    )
    assert waiting["FR*MSB"]["detail"].startswith("failed ")
    assert waiting["FR*MSB"]["at"] > waiting["DE*MSA"]["at"]

    second = await push(2)
    waiting = await until(lambda: fates(world, second), lambda found: found["DE*MSA"]["state"] == "delivered")
    assert waiting["FR*MSB"]["state"] in ("behind", "owed")

    await away.come_back()
    ended = await until(lambda: fates(world, first), lambda found: found["FR*MSB"]["state"] == "superseded")
    assert ended["FR*MSB"]["correlation_id"] == second
    assert ended["DE*MSA"]["state"] == "delivered"
    newest = await until(lambda: fates(world, second), lambda f: all(row["state"] == "delivered" for row in f.values()))
    assert newest.keys() == {"DE*MSA", "FR*MSB"}

    received, *sent = await hops(world, first)
    assert (received["sender"], received["receiver"], received["decision"]) == ("NL*CPA", "NL*HUB", "broadcast")
    assert (received["http_status"], received["status_code"], received["detail"]) == (201, 1000, "created")
    assert [hop["http_status"] for hop in sent if hop["receiver"] == "DE*MSA"] == [201]
    assert {hop["http_status"] for hop in sent if hop["receiver"] == "FR*MSB"} == {None}
    for hop in sent:
        assert hop["changed"] == ["OCPI-from: NL*CPA -> NL*HUB", "X-Request-ID new"]
        assert (hop["owner"], hop["module"], hop["key"]) == ("NL*CPA", "locations", "LOC1")

    settings._load.cache_clear()
    capsys.readouterr()
    data = str(world.stack.settings.data)
    assert await asyncio.to_thread(cli.run, ("trace", first, "--data", data)) == 0
    shown = capsys.readouterr().out
    assert f"superseded {ended['FR*MSB']['at'][11:23]} by {second}" in shown
    assert max(map(len, shown.splitlines())) <= 100
