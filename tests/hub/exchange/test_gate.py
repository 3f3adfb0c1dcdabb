"""The gate: sizes, encodings, message ids and a list of bodies and URLs that have brought other servers down."""

import io
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from sqlalchemy.exc import TimeoutError as PoolTimeout
from yarl import URL

from hub.ocpi import headers, json
from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend

NASTY_BODIES = [
    b"[" * 100_000,
    b'{"a":' * 50 + b"1" + b"}" * 50,
    b"null",
    b"[]",
    b'"text"',
    b'{"last_updated": 1767225600}',
    b'{"last_updated": "0001-01-01T00:00:00+14:00"}',
    json.dumps(samples.location() | {"name": "\x00"}),
    json.dumps(samples.location()).replace(b'"publish":true', b'"publish":"true"'),
    b'{"kwh": 1e400}',
    b'{"kwh": -Infinity}',
    b'{"name": "\\ud800"}',
    b'{"n": ' + b"9" * 5_000 + b"}",
    "{}".encode("utf-16"),
]
NASTY_PATHS = [
    "receiver/locations/NL/CPA/%00",
    "receiver/locations/NL/CPA/" + "x" * 300,
    "receiver/locations/NL/CPA/%0d%0aX-Evil:1",
    "receiver/locations/NLD/CPA/LOC1",
    "receiver/locations/NL/%F0%9F%98%80/LOC1",
    "receiver/locations/NL/CPA/..%2f..%2fetc",
    "sender/locations?limit=-1",
    "sender/locations?offset=9223372036854775808",
    "sender/locations?limit=1000000000",
    "sender/locations?date_from=%00",
    "sender/locations?cursor=" + "A" * 3_000,
    "sender/tokens/%ff/authorize?type=%00",
    "receiver/tokens/NL/CPA/X?type=NONE",
    "page/%00",
    "receiver/cdrs/%27%20OR%201=1--",
]


async def raw(
    cpo: CpoBackend, method: str, url: str | URL, body: Any = None, **more: str
) -> tuple[int, dict[str, str], bytes]:
    """A request with full control of its headers."""
    token = headers.encode_token(cpo.registered.token_out)
    shown = {"Authorization": token, headers.TO_COUNTRY: "NL", headers.TO_PARTY: "HUB"}
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, url, data=body, headers=shown | more) as answer,
    ):
        return answer.status, {k.lower(): v for k, v in answer.headers.items()}, await answer.read()


async def test_nasty_bodies_are_refused_briefly(running: Any, cpo: CpoBackend) -> None:
    url = f"{running.url}/ocpi/2.2.1/receiver/locations/NL/CPA/LOC1"
    for body in NASTY_BODIES:
        for method in ("PUT", "PATCH"):
            status, _, said = await raw(cpo, method, url, body)
            assert status in (200, 400, 404), body[:40]
            assert json.loads(said)["status_code"] in (2001, 2003), body[:40]
            assert len(said) < 1_000, body[:40]


async def test_nasty_urls_never_break_the_hub(running: Any, cpo: CpoBackend) -> None:
    for path in NASTY_PATHS:
        for method in ("GET", "PUT", "POST"):
            url = URL(f"{running.url}/ocpi/2.2.1/{path}", encoded=True)
            status, answer_headers, said = await raw(cpo, method, url, b"{}" if method != "GET" else None)
            assert status < 500, path
            assert "x-evil" not in answer_headers, path
            assert isinstance(json.loads(said)["status_code"], int), path


async def test_a_body_too_large_is_413_whether_declared_or_not(running: Any, cpo: CpoBackend) -> None:
    url = f"{running.url}/ocpi/2.2.1/receiver/locations/NL/CPA/LOC1"

    async def chunks() -> Any:
        for _ in range(40):
            yield b" " * 65_536

    assert (await raw(cpo, "PUT", url, io.BytesIO(b" " * (2**20 + 1))))[0] == 413
    assert (await raw(cpo, "PUT", url, chunks()))[0] == 413


async def test_compressed_bodies_are_not_taken(running: Any, cpo: CpoBackend) -> None:
    url = f"{running.url}/ocpi/2.2.1/receiver/locations/NL/CPA/LOC1"
    status, _, said = await raw(cpo, "PUT", url, b"x", **{"Content-Encoding": "gzip"})
    assert (status, json.loads(said)["status_code"]) == (400, 2001)


@pytest.mark.catalogue("TF-130", "TF-131", "TF-136")
async def test_message_ids_are_echoed_or_made(running: Any, cpo: CpoBackend) -> None:
    given = {headers.REQUEST_ID: "r-1", headers.CORRELATION_ID: "c-1"}
    url = f"{running.url}/ocpi/2.2.1/sender/locations"
    _, echoed, _ = await raw(cpo, "GET", url, **given)
    assert (echoed["x-request-id"], echoed["x-correlation-id"]) == ("r-1", "c-1")
    _, made, _ = await raw(cpo, "GET", url, **{headers.REQUEST_ID: quote("a b")})
    assert made["x-correlation-id"]
    assert made["x-request-id"] != quote("a b")


async def test_a_database_that_does_not_serve_is_503_and_never_1000(
    running: Any, cpo: CpoBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_connection(*_: object) -> None:
        raise PoolTimeout("no connection left")

    monkeypatch.setattr(running.hub.db, "unit_of_work", no_connection)
    answer = await cpo.put_location(samples.location(), to=cpo.hub)
    assert (answer.http_status, answer.status_code) == (503, 3000)
    assert answer.headers["Retry-After"] == "1"
    monkeypatch.undo()
    assert (await cpo.put_location(samples.location(), to=cpo.hub)).ok


async def test_a_fault_inside_the_hub_is_an_envelope_that_tells_nothing(
    running: Any, cpo: CpoBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("an inner secret")

    monkeypatch.setattr(running.hub.db, "unit_of_work", broken)
    answer = await cpo.put_location(samples.location(), to=cpo.hub)
    assert (answer.http_status, answer.status_code) == (500, 3000)
    assert b"secret" not in answer.body
