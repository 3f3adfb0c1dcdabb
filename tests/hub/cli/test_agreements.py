import json
from collections.abc import Awaitable, Callable
from typing import Any

Command = Callable[..., Awaitable[Any]]


async def test_an_agreement_from_beginning_to_end(knutpunkt: Command, host: str) -> None:
    await knutpunkt("invite", "--party", "DE*MSA:EMSP")
    ended = await knutpunkt(
        "agreement", "add", host, "DE*MSA", "--modules", "locations, tariffs", "--direction", "a_to_b"
    )
    assert ended.status == 0
    assert "NL*LOC -> DE*MSA, locations, tariffs" in ended.out
    listed = await knutpunkt("agreement", "list")
    assert "NL*LOC -> DE*MSA" in listed.out
    found = json.loads((await knutpunkt("agreement", "list", "--json")).out)
    assert found[0]["modules"] == ["locations", "tariffs"]
    shown = await knutpunkt("agreement", "show", str(found[0]["id"]))
    assert (shown.status, "options    custody, authorise" in shown.out) == (0, True)
    removed = await knutpunkt("agreement", "remove", str(found[0]["id"]))
    assert removed.status == 0
    assert "neither holds anything of the other" in removed.out
    assert json.loads((await knutpunkt("agreement", "list", "--json")).out) == []


async def test_a_slip_of_the_pen(knutpunkt: Command, host: str) -> None:
    ended = await knutpunkt("agreement", "add", host, "DE*MAS")
    assert ended.status == 1
    assert ended.err.startswith("knutpunkt: DE*MAS is neither connected nor hosted nor invited")
    for order in ("show", "remove"):
        missing = await knutpunkt("agreement", order, "4711")
        assert (missing.status, "`knutpunkt agreement list` shows them" in missing.err) == (1, True)


async def test_options_are_switched_and_waited_for(knutpunkt: Command, host: str) -> None:
    await knutpunkt("invite", "--party", "DE*MSA:EMSP")
    ended = await knutpunkt("agreement", "add", host, "DE*MSA", "--no-custody", "--wait", "--json")
    assert (ended.status, ended.value["options"]) == (0, {"custody": False, "authorise": True})
    shown = await knutpunkt("agreement", "show", str(ended.value["id"]))
    assert ("DELIVERED" in shown.out, "is not connected to this hub" in shown.out) == (True, True)
    assert "custody" in (await knutpunkt("agreement", "list")).out
