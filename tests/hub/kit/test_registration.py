"""Handshakes that break one rule; and leave, which is always taken."""

import asyncio
import base64
from typing import Any

import pytest
from aiohttp import web

from hub.kit import registration, runner
from hub.kit.check import Check
from hub.kit.peer import Untestable
from hub.ocpi import json
from hub.sandbox import wire
from hub.sandbox.registration import Refused, Registration

Response = web.Response
GROUPS = ("registration", "leaving")


def outcomes(run: Any) -> dict[str, str]:
    return {r.check.ids[0]: r.outcome for r in run.results}


async def test_a_handshake_as_it_should_be(cpo: Any, emsp: Any, registering: Any) -> None:
    for platform in (cpo, emsp):
        run = await registering(platform, *GROUPS, "its requests")
        assert {result.outcome for result in run.results} == {"passed"}
        assert platform.peer is None


async def test_a_peer_that_does_not_look_us_up(
    cpo: Any, registering: Any, found: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def blindly(self: Any, versions_url: str, token: str) -> dict[Any, str]:
        return {}

    monkeypatch.setattr(Registration, "_look_up", blindly)
    run = await registering(cpo, *GROUPS)
    assert found(run, "registration") == {"CRED-006", "CRED-030", "CRED-053"}
    told = {r.check.ids[0]: r.came for r in run.results}
    assert told["CRED-006"] == "meanwhile it asked us for nothing"


async def test_a_peer_whose_token_a_lives_on(
    cpo: Any, registering: Any, found: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Lasting(set[str]):
        def clear(self) -> None:
            pass

    cpo._guests = Lasting(cpo._guests)
    run = await registering(cpo, *GROUPS)
    assert found(run, "registration") == {"CRED-010"}


def mangled(method: str, status: int, when: int) -> Any:
    def mangle(request: web.Request, response: Response) -> None:
        if request.path.endswith("/credentials") and request.method == method and response.status == when:
            response.set_status(status)

    return mangle


def leaves_open(request: web.Request, response: Response) -> Response | None:
    return wire.ok([]) if response.status == 401 and request.path.endswith("/versions") else None


def one_token(request: web.Request, response: Response) -> None:
    """PUT is answered with the token that was shown."""
    if request.method == "PUT" and response.status == 200:
        shown = base64.b64decode(request.headers["Authorization"].split()[1]).decode()
        envelope = json.loads(response.body)  # type: ignore[arg-type]
        if "data" in envelope:
            response.body = json.dumps({**envelope, "data": {**envelope["data"], "token": shown}})


@pytest.mark.parametrize(
    ("mangle", "catalogue_ids"),
    [
        (mangled("PUT", 404, 405), {"CRED-029"}),
        (mangled("POST", 400, 405), {"CRED-026"}),
        (mangled("DELETE", 500, 401), {"CRED-034"}),
        (leaves_open, {"CRED-033", "CRED-010"}),
        (one_token, {"CRED-031"}),
    ],
)
async def test_the_broken_rule_is_named(
    cpo: Any, registering: Any, found: Any, mangle: Any, catalogue_ids: set[str]
) -> None:
    cpo.mangle = mangle
    run = await registering(cpo, *GROUPS)
    assert found(run, "registration") | found(run, "leaving") == catalogue_ids


async def test_a_refused_handshake_says_what_the_peer_had_asked(
    cpo: Any, registering: Any, found: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def picky(self: Any, versions_url: str, token: str) -> dict[Any, str]:
        answer = await self.call("GET", versions_url, token)
        raise Refused("GET versions", answer)

    monkeypatch.setattr(Registration, "_look_up", picky)
    run = await registering(cpo, *GROUPS, "tariffs")
    assert found(run, "registration") == {"CRED-008"}
    came = next(r.came for r in run.results if r.outcome == "failed")
    assert "status_code 3001" in came
    assert came.endswith("before that it asked us: GET /ocpi/versions (we answered HTTP 200)")
    assert outcomes(run)["CRED-033"] == "skipped"
    assert [r.why for r in run.results if r.check.group == "registration"][2] == "the handshake did not succeed"


async def test_leave_is_taken_when_the_run_is_cut_short(
    cpo: Any, registering: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = runner._run

    async def cut(check: Check, peer: Any) -> Any:
        if check.work is registration.post_again:
            raise asyncio.CancelledError
        return await whole(check, peer)

    monkeypatch.setattr(runner, "_run", cut)
    with pytest.raises(asyncio.CancelledError):
        await registering(cpo, *GROUPS)
    assert cpo.peer is None
    assert cpo.received[-1].method == "DELETE"


async def test_leave_is_taken_when_the_time_is_up(cpo: Any, registering: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def slow(peer: Any) -> None:
        peer.asker._ends = 0.0

    late = Check("registration", ("CRED-026",), "slow", slow)
    monkeypatch.setattr(registration.GROUP, "checks", [*registration.GROUP.checks[:2], late])
    run = await registering(cpo, *GROUPS, "tariffs")
    assert cpo.peer is None
    assert {r.why for r in run.results if r.check.group == "tariffs" and r.check.ids[0] == "TF-069"} == {
        "the time of the run was up (--deadline)"
    }


async def test_a_port_that_is_taken(cpo: Any, registering: Any) -> None:
    with pytest.raises(Untestable, match=r"no listening at 127\.0\.0\.1:\d+ \(Address already in use\)"):
        await registering(cpo, listen=cpo._address)
