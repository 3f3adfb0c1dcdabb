import io
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from hub.sandbox.emsp import Emsp

Command = Callable[..., Awaitable[Any]]


@pytest.fixture
async def partner(knutpunkt: Command) -> str:
    """The id of an eMSP's platform, registered; its back end is gone by now."""
    async with Emsp("DE*MSA") as emsp:
        token_a, url = emsp.invite()
        return str((await knutpunkt("register", url, "--token", token_a, "--json")).value["id"])


async def test_who_is_connected_and_who_is_invited(knutpunkt: Command, host: str) -> None:
    await knutpunkt("invite", "--party", "NL*CPA:CPO", "--name", "Back end")
    ended = await knutpunkt("platform", "list")
    assert ended.status == 0
    assert "(NL*CPA:CPO)" in ended.out
    assert "NL*LOC:CPO" in ended.out
    assert max(map(len, ended.out.splitlines())) <= 100
    listed = (await knutpunkt("platform", "list", "--json")).value
    shown = await knutpunkt("platform", "show", str(listed[-1]["id"]))
    assert shown.status == 0
    assert "PLANNED" in shown.out
    assert "invitation_expires_at" in shown.out
    assert (await knutpunkt("platform", "show", str(listed[-1]["id"]), "--json")).value["endpoints"] == []


async def test_suspended_and_resumed(knutpunkt: Command, partner: str) -> None:
    ended = await knutpunkt("platform", "suspend", partner)
    assert ended.status == 0
    assert "is SUSPENDED" in ended.out
    assert f"`knutpunkt platform resume {partner}`" in ended.out
    again = await knutpunkt("platform", "suspend", partner)
    assert (again.status, again.err) == (1, "knutpunkt: this platform is SUSPENDED already\n")
    resumed = await knutpunkt("platform", "resume", partner, "--json")
    assert (resumed.status, resumed.value["status"]) == (0, "CONNECTED")
    assert resumed.value["correlation_id"]
    twice = await knutpunkt("platform", "resume", partner)
    assert (twice.status, "nothing keeps deliveries from it" in twice.err) == (1, True)


async def test_how_a_platform_is_served(knutpunkt: Command, partner: str) -> None:
    ended = await knutpunkt("platform", "set", partner, "--resync", "pull", "--strict")
    assert (ended.status, "resync pull, strict yes" in ended.out, "trace" in ended.out) == (0, True, False)
    back = await knutpunkt("platform", "set", partner, "--resync", "push")
    assert "resync push, strict yes" in back.out
    assert "what it is given: `knutpunkt trace" in back.out
    assert (await knutpunkt("platform", "set", partner)).status == 2
    assert (await knutpunkt("platform", "set", partner, "--resync", "sometimes")).status == 2


async def test_removal_says_what_goes_and_what_stays(knutpunkt: Command, partner: str, host: str) -> None:
    await knutpunkt("agreement", "add", host, "DE*MSA")
    ended = await knutpunkt("platform", "remove", partner, "--yes")
    assert (ended.status, ended.err) == (0, "")
    for said in ("parties     DE*MSA", "agreements  DE*MSA with NL*LOC", "0 CDRs in custody", "is removed"):
        assert said in ended.out
    assert (await knutpunkt("platform", "show", partner)).status == 1
    assert (await knutpunkt("agreement", "list", "--json")).value == []


async def test_nothing_is_removed_unasked(knutpunkt: Command, partner: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    ended = await knutpunkt("platform", "remove", partner)
    assert (ended.status, ended.err) == (1, "knutpunkt: nothing is removed without being asked for: add --yes\n")
    for typed, status in (("n\n", 1), ("y\n", 0)):
        terminal = io.StringIO(typed)
        monkeypatch.setattr(terminal, "isatty", lambda: True)
        monkeypatch.setattr(sys, "stdin", terminal)
        ended = await knutpunkt("platform", "remove", partner)
        assert ended.status == status
        assert "Remove it?" in ended.err
        assert "parties   DE*MSA" in ended.err


@pytest.mark.parametrize("order", [["show"], ["suspend"], ["resume"], ["set", "--strict"], ["remove", "--yes"]])
async def test_no_such_platform(knutpunkt: Command, order: list[str]) -> None:
    ended = await knutpunkt("platform", *order, "4711")
    assert (ended.status, ended.err) == (
        1,
        "knutpunkt: there is no platform with this id: `knutpunkt platform list` shows them\n",
    )
