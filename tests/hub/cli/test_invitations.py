"""The two ways to a connection: the partner registers, or the hub does."""

import io
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from hub.sandbox.emsp import Emsp

Command = Callable[..., Awaitable[Any]]


async def test_what_is_handed_to_the_partner(knutpunkt: Command, served: Any) -> None:
    ended = await knutpunkt("invite", "--party", "DE*MSA:emsp", "--party", "DE*MSB:EMSP", "--name", "Charge")
    assert (ended.status, ended.err) == (0, "")
    assert f"versions URL  {served.url}/ocpi/versions" in ended.out
    given = (await knutpunkt("invite", "--party", "NL*CPA:CPO", "--json")).value
    assert given["versions_url"] == f"{served.url}/ocpi/versions"
    assert given["token_a"]


async def test_open_invitations_are_listed_and_withdrawn(knutpunkt: Command) -> None:
    await knutpunkt("invite", "--party", "DE*MSA:EMSP", "--name", "Charge")
    listed = await knutpunkt("invitation", "list")
    assert (listed.status, "Charge" in listed.out, "DE*MSA:EMSP" in listed.out) == (0, True, True)
    number = str((await knutpunkt("invitation", "list", "--json")).value[0]["platform_id"])
    withdrawn = await knutpunkt("invitation", "withdraw", number)
    assert (withdrawn.status, "the invitation of Charge is withdrawn" in withdrawn.out) == (0, True)
    assert "no invitation is open" in (await knutpunkt("invitation", "list")).out
    again = await knutpunkt("invitation", "withdraw", number)
    assert (again.status, "`knutpunkt invitation list` shows them" in again.err) == (1, True)


async def test_who_cannot_be_invited(knutpunkt: Command, host: str) -> None:
    ended = await knutpunkt("invite", "--party", f"{host}:CPO")
    assert (ended.status, ended.err.startswith("knutpunkt: NL*LOC is on platform 1 already")) == (1, True)


async def test_the_hub_registers_with_a_partner(knutpunkt: Command) -> None:
    async with Emsp("DE*MSA") as emsp:
        token_a, url = emsp.invite()
        ended = await knutpunkt("register", url, "--token", token_a, "--party", "DE*MSA:EMSP", "--name", "Charge")
        assert (ended.status, ended.err) == (0, "")
        assert "(Charge) is CONNECTED with DE*MSA:EMSP" in ended.out
        again = await knutpunkt("register", url, "--token", token_a, "--party", "DE*MSA:EMSP")
        assert (again.status, "is on platform" in again.err) == (1, True)


async def test_the_token_need_not_stand_in_the_history(
    knutpunkt: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Emsp("DE*MSA") as emsp:
        token_a, url = emsp.invite()
        file = tmp_path / "token"
        file.write_text(token_a + "\n")
        found = (await knutpunkt("register", url, "--token-file", str(file), "--json")).value
        assert (found["status"], found["parties"][0]["code"]) == ("CONNECTED", "DE*MSA")
    async with Emsp("FR*MSB") as emsp:
        token_a, url = emsp.invite()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(token_a.encode())))
        assert (await knutpunkt("register", url, "--token-file", "-")).status == 0


async def test_a_registration_that_fails_says_at_which_step(knutpunkt: Command, tmp_path: Path) -> None:
    async with Emsp("DE*MSA") as emsp:
        wrong = await knutpunkt("register", emsp.versions_url, "--token", "wrong")
    assert (wrong.status, wrong.err) == (
        1,
        "knutpunkt: GET of the versions endpoint answered HTTP 401, status_code 2000: the token is not good there\n",
    )
    away = await knutpunkt("register", emsp.versions_url, "--token", "any")
    assert (away.status, "is not reachable" in away.err) == (1, True)
    inside = await knutpunkt("register", "http://169.254.169.254/versions", "--token", "any")
    assert (inside.status, "HUB_OUTBOUND_ALLOW" in inside.err) == (1, True)
    unread = await knutpunkt("register", "https://x.example/versions", "--token-file", str(tmp_path / "none"))
    assert (unread.status, "cannot be read" in unread.err) == (1, True)


@pytest.mark.parametrize("given", [[], ["--token", "a", "--token-file", "b"]])
async def test_the_token_is_given_once(knutpunkt: Command, given: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert (await knutpunkt("register", "https://x.example/versions", *given)).status == 2
