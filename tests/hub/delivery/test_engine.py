"""hub.delivery.engine: owed state reaches receivers on real sockets, through a real PostgreSQL."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from hub.delivery import health

Eventually = Callable[[Callable[[], object]], Awaitable[None]]
Location = Callable[..., dict[str, Any]]
LOC = "/locations/NL/CPA/Loc%201"
CURSORS = "SELECT receiver, position FROM lane JOIN lane_cursor USING (party_id) ORDER BY receiver"


@pytest.mark.catalogue("TF-102", "TF-107", "TF-112")
async def test_a_broadcast_reaches_everybody_with_the_hub_as_sender(
    small_hub: Any, location: Location, eventually: Eventually
) -> None:
    msa = await small_hub.receiver("DE*MSA")
    msb = await small_hub.receiver("FR*MSB", token_form="raw")
    async with small_hub.engine() as engine:
        await small_hub.accept(location(1, E1=(1, "AVAILABLE")) | {"extra": 1.50})
        engine.wake()
        await eventually(lambda: msa.calls and msb.calls)
    assert msa.methods() == msb.methods() == [("PUT", LOC)]
    one, other = msa.calls[0], msb.calls[0]
    assert one.body == location(1, E1=(1, "AVAILABLE")) | {"extra": 1.50}
    assert one.headers["Authorization"] == "Token " + base64.b64encode(b"token of DE*MSA").decode()
    assert other.headers["Authorization"] == "Token token of FR*MSB"
    names = ("OCPI-to-country-code", "OCPI-to-party-id", "OCPI-from-country-code", "OCPI-from-party-id")
    assert [one.headers[name] for name in names] == ["DE", "MSA", "SE", "HUB"]
    assert one.headers["X-Correlation-ID"] == other.headers["X-Correlation-ID"] == "c-2026-01-01T00:01:00Z"
    assert one.headers["X-Request-ID"] != other.headers["X-Request-ID"]
    hop = next(hop for hop in small_hub.hops if hop.receiver == "DE*MSA")
    assert (hop.what, hop.decision, hop.http_status, hop.status_code) == (
        "locations NL*CPA/LOC 1",
        "deliver",
        200,
        1000,
    )
    assert hop.about == ("NL*CPA", "locations", "LOC 1")
    assert hop.changed == ("OCPI-from: NL*CPA -> SE*HUB", "X-Request-ID new")


async def test_the_newest_state_arrives_and_what_is_superseded_is_not_sent(
    small_hub: Any, location: Location, eventually: Eventually
) -> None:
    msa = await small_hub.receiver("DE*MSA")
    for minute in range(1, 31):
        await small_hub.accept(
            location(1, E1=(minute, f"S{minute}")), part_ids=("E1",), fields=("status", "last_updated")
        )
    async with small_hub.engine():
        await eventually(lambda: msa.calls)
    assert msa.methods() == [("PATCH", f"{LOC}/E1")]
    assert msa.calls[0].body == {"status": "S30", "last_updated": "2026-01-01T00:30:00Z"}


@pytest.mark.catalogue("TF-053")
async def test_a_receiver_that_does_not_know_the_evse_gets_the_whole_location(
    small_hub: Any, location: Location, eventually: Eventually
) -> None:
    msa = await small_hub.receiver("DE*MSA")
    msa.answer = lambda call: (404, 2003) if call.method == "PATCH" else (201, 1000)
    await small_hub.accept(location(1, E1=(2, "CHARGING")), part_ids=("E1",), fields=("status",))
    async with small_hub.engine():
        await eventually(lambda: len(msa.calls) == 2)
        await eventually(lambda: small_hub.hops[1:])
    assert msa.methods() == [("PATCH", f"{LOC}/E1"), ("PUT", LOC)]
    assert small_hub.hops[1].changed[-1] == "sent whole, for the receiver did not know it"
    await small_hub.owed([])


@pytest.mark.catalogue("TAR-002", "TAR-010")
async def test_a_tombstone_goes_out_as_delete_and_404_is_done(
    small_hub: Any, location: Location, eventually: Eventually
) -> None:
    msa = await small_hub.receiver("DE*MSA")
    msa.answer = lambda call: (404, 2003)
    await small_hub.accept(location(1), module="tariffs", deleted=True)
    async with small_hub.engine() as engine:
        await eventually(lambda: engine.delivered)
    assert msa.methods() == [("DELETE", "/tariffs/NL/CPA/Loc%201")]
    await small_hub.owed([])


async def test_what_is_for_one_party_goes_to_it_alone_in_the_owners_name(
    small_hub: Any, location: Location, eventually: Eventually
) -> None:
    msa, msb = await small_hub.receiver("DE*MSA"), await small_hub.receiver("FR*MSB")
    async with small_hub.engine() as engine:
        await small_hub.accept(location(1, "for one"), module="sessions", audience="DE*MSA")
        await small_hub.accept(location(2, "for all"))
        engine.wake()
        await eventually(lambda: len(msa.calls) == 2 and len(msb.calls) == 1)
    assert sorted(msa.methods()) == [("PUT", LOC), ("PUT", "/sessions/NL/CPA/Loc%201")]
    session = next(call for call in msa.calls if "sessions" in call.path)
    assert session.headers["OCPI-from-party-id"] == "CPA"
    assert msb.methods() == [("PUT", LOC)]


async def test_what_a_receiver_fails_on_is_owed_and_tried_again_while_others_go_on(
    small_hub: Any, location: Location, eventually: Eventually
) -> None:
    msa, msb = await small_hub.receiver("DE*MSA"), await small_hub.receiver("FR*MSB")
    broken = True
    msa.answer = lambda call: (500, 3000) if broken else (200, 1000)
    async with small_hub.engine() as engine:
        await small_hub.accept(location(1))
        engine.wake()
        await eventually(lambda: msa.calls and msb.state)
        await small_hub.owed([("DE*MSA", 1, False)])
        await small_hub.becomes(CURSORS, [("DE*MSA", 1), ("FR*MSB", 1), ("NL*CPA", 0)])
        await small_hub.accept(location(2, "newest"))
        broken = False
        await eventually(lambda: msa.state)
        await eventually(lambda: msa.state[LOC]["name"] == "newest")
    await small_hub.owed([])


async def test_a_refused_object_is_parked_with_the_reason_and_unparked_by_a_newer_version(
    small_hub: Any, location: Location, eventually: Eventually
) -> None:
    msa = await small_hub.receiver("DE*MSA")
    msa.answer = lambda call: (200, 2001) if call.body["name"] == "bad" else (200, 1000)
    async with small_hub.engine() as engine:
        await small_hub.accept(location(1, "bad"))
        engine.wake()
        for tries in range(1, 9):
            await small_hub.owed([("DE*MSA", tries, tries == 8)])
            await small_hub.run("UPDATE owed SET next_at = now() WHERE NOT parked")
            engine.wake()
        assert await small_hub.run("SELECT reason FROM owed") == [("PUT answered HTTP 200, status_code 2001",)]
        assert len(msa.calls) == 8
        await small_hub.accept(location(2, "good"))
        engine.wake()
        await eventually(lambda: msa.state)
    await small_hub.owed([])


async def test_a_platform_that_is_away_waits_with_its_cursor_and_no_try_of_an_object(
    small_hub: Any, location: Location, eventually: Eventually
) -> None:
    msa = await small_hub.receiver("DE*MSA")
    away = True
    msa.answer = lambda call: (503, 3000) if away else (200, 1000)
    for number in range(20):
        await small_hub.accept(location(1) | {"id": f"L{number}"})
    async with small_hub.engine(budget=2) as engine:
        await eventually(lambda: engine.failed >= 3)
        assert len(msa.calls) <= 4
        assert await small_hub.run("SELECT max(tries) FROM owed") == [(0,)]
        assert await small_hub.run("SELECT failures > 0 FROM platform WHERE name = 'DE*MSA'") == [(True,)]
        away = False
        await eventually(lambda: len(msa.state) == 20)
    await small_hub.owed([])


async def test_a_restarted_worker_keeps_the_pause_of_a_failing_platform(
    small_hub: Any, location: Location, eventually: Eventually
) -> None:
    msa, msb = await small_hub.receiver("DE*MSA"), await small_hub.receiver("FR*MSB")
    pause = "UPDATE platform SET failures = 3, next_try_at = now() + interval '60 s' WHERE name = 'DE*MSA'"
    await small_hub.run(pause)
    await small_hub.accept(location(1))
    async with small_hub.engine():
        await eventually(lambda: msb.state)
        assert not msa.calls


async def test_401_stops_the_platform_until_its_credentials_are_renewed(
    small_hub: Any, location: Location, eventually: Eventually
) -> None:
    msa = await small_hub.receiver("DE*MSA")
    msa.answer = lambda call: (401, 2000)
    async with small_hub.engine() as engine:
        await small_hub.accept(location(1))
        engine.wake()
        await eventually(lambda: engine.failed)
        await small_hub.accept(location(2))
        await _sweeps(engine, eventually)
        assert len(msa.calls) == 1
        msa.answer = lambda call: (200, 1000)
        assert await small_hub.run("SELECT name FROM platform WHERE stopped_reason IS NOT NULL") == [("DE*MSA",)]
        await small_hub.run("UPDATE platform SET stopped_reason = NULL")
        await eventually(lambda: msa.state)
    assert msa.state[LOC] == location(2)


@pytest.mark.catalogue("HCI-015")
async def test_a_silent_platform_goes_offline_and_comes_back_when_it_answers_versions(
    small_hub: Any, location: Location, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "SIGN_OF_LIFE_PAUSE", 0.1)
    msa = await small_hub.receiver("DE*MSA", failures=7)
    msa.answer = lambda call: (503, 3000)
    async with small_hub.engine():
        await small_hub.accept(location(1))
        await eventually(lambda: small_hub.directory.now.platform(msa.platform_id).status == "OFFLINE")
        assert {call.method for call in msa.calls} == {"GET"}
        msa.answer = lambda call: (200, 1000)
        await small_hub.run("UPDATE platform SET last_seen_at = now(), next_try_at = now()")
        await eventually(lambda: msa.state)
        await eventually(lambda: small_hub.directory.now.platform(msa.platform_id).status == "CONNECTED")


async def test_a_revoked_agreement_acts_before_the_next_send(
    small_hub: Any, location: Location, eventually: Eventually
) -> None:
    msa, msb = await small_hub.receiver("DE*MSA"), await small_hub.receiver("FR*MSB")
    msa.answer = lambda call: (500, 3000)
    async with small_hub.engine() as engine:
        await small_hub.accept(location(1))
        engine.wake()
        await small_hub.owed([("DE*MSA", 1, False)])
        none = (
            "INSERT INTO agreement (a, b, modules, direction, options) VALUES ('DE*MSA', 'NL*CPA', '{}', 'both', '{}')"
        )
        await small_hub.run(none)
        await small_hub.run("UPDATE counter SET value = value + 1 WHERE name = 'directory'")
        await small_hub.run("UPDATE owed SET next_at = now() WHERE NOT parked")
        await small_hub.accept(location(2))
        engine.wake()
        await eventually(lambda: len(msb.calls) == 2)
        await small_hub.owed([])
    assert len(msa.calls) == 1


async def test_an_engine_that_is_woken_while_it_is_told_to_end_ends(small_hub: Any) -> None:
    """The ring and the end come in one turn of the loop: neither may hide the other."""
    for _ in range(5):
        async with small_hub.engine() as engine:
            turns = engine.turns
            while engine.turns < turns + 2:
                engine.wake()
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.1)
            engine.wake()
            await asyncio.wait_for(engine.drain(), 20)


async def _sweeps(engine: Any, eventually: Eventually) -> None:
    """Give the engine occasion to do what it should not do."""
    before = engine.turns
    await eventually(lambda: engine.turns >= before + 3)
