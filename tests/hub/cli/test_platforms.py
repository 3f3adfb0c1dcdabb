import json
from collections.abc import Awaitable, Callable
from typing import Any

Command = Callable[..., Awaitable[Any]]


async def test_who_is_connected_and_who_is_invited(knutpunkt: Command, host: str) -> None:
    await knutpunkt("invite", "--party", "NL*CPA:CPO", "--name", "Back end")
    ended = await knutpunkt("platform", "list")
    assert ended.status == 0
    assert "(NL*CPA:CPO)" in ended.out
    assert "NL*LOC:CPO" in ended.out
    assert max(map(len, ended.out.splitlines())) <= 100
    listed = json.loads((await knutpunkt("platform", "list", "--json")).out)
    shown = await knutpunkt("platform", "show", str(listed[-1]["id"]))
    assert shown.status == 0
    assert "PLANNED" in shown.out
    assert "invitation_expires_at" in shown.out
    assert json.loads((await knutpunkt("platform", "show", str(listed[-1]["id"]), "--json")).out)["endpoints"] == []


async def test_no_such_platform(knutpunkt: Command) -> None:
    ended = await knutpunkt("platform", "show", "4711")
    assert (ended.status, ended.err) == (
        1,
        "knutpunkt: there is no platform with this id: `knutpunkt platform list` shows them\n",
    )
