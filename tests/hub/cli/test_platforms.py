import io
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
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
    quick = await knutpunkt("platform", "set", partner, "--no-short-retry")
    assert (quick.status, "short retry no" in quick.out) == (0, True)
    assert (await knutpunkt("platform", "set", partner)).status == 2
    assert (await knutpunkt("platform", "set", partner, "--resync", "sometimes")).status == 2


async def test_delivered_anew(knutpunkt: Command, partner: str, host: str) -> None:
    ended = await knutpunkt("platform", "resync", partner, "--owner", host, "--module", "tariffs")
    assert (ended.status, "is given it anew" in ended.out, "`knutpunkt trace" in ended.out) == (0, True, True)
    found = await knutpunkt("platform", "resync", partner, "--json")
    assert (found.status, found.value["parties"][0]["backfills"]) == (0, 3)
    refused = await knutpunkt("platform", "resync", partner, "--module", "cdrs")
    assert (refused.status, "`knutpunkt reconcile` finds" in refused.err) == (1, True)


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


async def test_tokens_are_renewed(knutpunkt: Command, partner_there: Emsp) -> None:
    number = str((await knutpunkt("platform", "list", "--json")).value[-1]["id"])
    before = partner_there.registered
    ended = await knutpunkt("platform", "rotate", number)
    assert (ended.status, ended.err) == (0, "")
    assert "took a new token" in ended.out
    assert "both tokens are good until it has shown which one it uses" in ended.out
    assert partner_there.registered.token_out != before.token_out
    again = await knutpunkt("platform", "rotate", number)
    assert (again.status, "is not over" in again.err) == (1, True)
    shown = await knutpunkt("platform", "show", number)
    assert "renewed_at" in shown.out
    assert "renewal" in shown.out


async def test_a_connection_is_ended_and_the_partner_told(knutpunkt: Command, partner_there: Emsp) -> None:
    number = str((await knutpunkt("platform", "list", "--json")).value[-1]["id"])
    ended = await knutpunkt("platform", "unregister", number)
    assert (ended.status, "is SUSPENDED" in ended.out, "the partner took note" in ended.out) == (0, True, True)
    assert partner_there.peer is None
    again = await knutpunkt("platform", "unregister", number)
    assert (again.status, "has no tokens" in again.err) == (1, True)


async def test_what_a_platform_may_register_is_edited(knutpunkt: Command, partner_there: Emsp) -> None:
    number = str((await knutpunkt("platform", "list", "--json")).value[-1]["id"])
    ended = await knutpunkt("platform", "admit", number, "--add", "de*msb:emsp", "--add", "DE*MSA:EMSP")
    assert (ended.status, ended.err) == (0, "")
    assert "may register DE*MSA:EMSP, DE*MSB:EMSP" in ended.out
    shown = await knutpunkt("platform", "show", number)
    assert "REGISTERED" in shown.out
    dropped = await knutpunkt("platform", "admit", number, "--drop", "DE*MSB:EMSP")
    assert "may register DE*MSA:EMSP" in dropped.out
    nothing = await knutpunkt("platform", "admit", number, "--drop", "DE*MSA:EMSP")
    assert (nothing.status, "nothing would be left" in nothing.err) == (1, True)
    assert (await knutpunkt("platform", "admit", number)).status == 2


@pytest.fixture
async def partner_there(knutpunkt: Command) -> AsyncIterator[Emsp]:
    """An eMSP that is registered, and there."""
    async with Emsp("DE*MSA") as emsp:
        token_a, url = emsp.invite()
        assert (await knutpunkt("register", url, "--token", token_a)).status == 0
        yield emsp


@pytest.mark.parametrize(
    "order",
    [
        ["show"], ["suspend"], ["resume"], ["set", "--strict"], ["resync"], ["remove", "--yes"], ["rotate"],
        ["unregister"], ["admit", "--add", "NL*XYZ:CPO"],
    ],
)  # fmt: skip
async def test_no_such_platform(knutpunkt: Command, order: list[str]) -> None:
    ended = await knutpunkt("platform", *order, "4711")
    assert (ended.status, ended.err) == (
        1,
        "knutpunkt: there is no platform with this id: `knutpunkt platform list` shows them\n",
    )
