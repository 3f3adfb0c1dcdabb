import json
from collections.abc import Awaitable, Callable
from typing import Any

Command = Callable[..., Awaitable[Any]]


async def test_a_party_is_hosted_and_listed(knutpunkt: Command) -> None:
    ended = await knutpunkt("party", "add", "nl*loc", "--role", "cpo", "--name", "Station Square", "--json")
    assert (ended.status, json.loads(ended.out)["code"]) == (0, "NL*LOC")
    listed = await knutpunkt("party", "list")
    assert "NL*LOC" in listed.out
    assert "Station Square" in listed.out


async def test_a_code_is_given_once(knutpunkt: Command, host: str) -> None:
    ended = await knutpunkt("party", "add", host, "--role", "CPO", "--name", "Again")
    assert (ended.status, ended.out, ended.err) == (1, "", "knutpunkt: NL*LOC exists already\n")
