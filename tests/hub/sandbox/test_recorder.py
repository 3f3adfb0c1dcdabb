"""Waiting for what has come or is yet to come."""

import asyncio

import pytest

from hub.sandbox.recorder import Received, Recorder


async def test_what_has_come_is_found_at_once() -> None:
    recorder = Recorder("test")
    recorder.note(Received("GET", "/a", {}))
    recorder.note(Received("PUT", "/a", {}))
    assert (await recorder.wait_for(lambda r: r.path == "/a")).method == "GET"


async def test_what_comes_later_wakes_the_one_who_waits() -> None:
    recorder = Recorder("test")
    waiting = asyncio.create_task(recorder.wait_for(lambda r: r.method == "PUT"))
    await asyncio.sleep(0)
    recorder.note(Received("GET", "/a", {}))
    await asyncio.sleep(0)
    assert not waiting.done()
    recorder.note(Received("PUT", "/b", {}))
    assert (await waiting).path == "/b"


async def test_the_timeout_tells_what_was_seen_instead() -> None:
    recorder = Recorder("DE*MSA")
    recorder.note(Received("GET", "/a", {}))
    with pytest.raises(TimeoutError, match=r"DE\*MSA: the CDR did not come within 0.01 s; last received: GET /a"):
        await recorder.until(lambda: None, timeout=0.01, what="the CDR")


def test_a_request_knows_its_parties() -> None:
    routing = {"OCPI-to-country-code": "de", "OCPI-to-party-id": "msa", "X-Correlation-ID": "c1"}
    received = Received("GET", "/a", routing)
    assert str(received.to) == "DE*MSA"
    assert received.sender is None
    assert received.correlation_id == "c1"
