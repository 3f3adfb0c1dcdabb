import json
from collections.abc import Awaitable, Callable
from typing import Any

Command = Callable[..., Awaitable[Any]]


async def test_an_invitation_for_scripts(knutpunkt: Command, served: Any) -> None:
    ended = await knutpunkt("invite", "--party", "NL*CPA:CPO", "--party", "NL*CPA:emsp", "--name", "Back end", "--json")
    assert (ended.status, ended.err) == (0, "")
    given = json.loads(ended.out)
    assert list(given) == ["token_a", "versions_url"]
    assert given["versions_url"] == f"{served.url}/ocpi/versions"


async def test_an_invitation_for_people(knutpunkt: Command, served: Any) -> None:
    ended = await knutpunkt("invite", "--party", "DE*MSA:EMSP")
    assert ended.status == 0
    assert f"versions URL  {served.url}/ocpi/versions" in ended.out
    assert "token A       kp-" in ended.out


async def test_a_role_that_ocpi_does_not_have(knutpunkt: Command) -> None:
    ended = await knutpunkt("invite", "--party", "NL*CPA:BOSS")
    assert (ended.status, ended.out) == (1, "")
    assert ended.err.startswith("knutpunkt: parties[0].role: ")
