"""A sandbox party on the command line, against a sandbox platform in the place of a hub."""

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hub.cli import sandbox
from hub.ocpi import json
from hub.ocpi.types import Schema, check
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp
from hub.sandbox.platform import Platform
from hub.settings import CHECKOUT, OperatorError
from modules.locations.schemas import Location
from modules.tariffs.schemas import Tariff


@asynccontextmanager
async def started(*arguments: str) -> AsyncIterator[Process]:
    """A `sandbox` command as a process of its own; it has ended when the block ends."""
    code = "from hub.cli.sandbox import app; app()"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, *arguments, cwd=CHECKOUT, stdout=PIPE, stderr=PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def invited(platform: Platform) -> list[str]:
    token_a, versions_url = platform.invite()
    return ["--versions-url", versions_url, "--token-a", token_a]


async def left(platform: Platform, process: Process) -> None:
    """Interrupt it; it leaves and ends well."""
    process.send_signal(signal.SIGINT)
    _, errors = await process.communicate()
    assert (process.returncode, errors) == (0, b"")
    assert platform.received[-1].method == "DELETE"
    assert platform.peer is None


async def test_an_emsp_registers_makes_a_token_known_and_leaves() -> None:
    async with CpoBackend("NL*CPA") as hub, started("sandbox", "emsp", "--party", "FR*MSB", *invited(hub)) as process:
        assert process.stdout is not None
        assert (await process.stdout.readline()).startswith(b"FR*MSB is registered and listens at http://127.0.0.1:")
        assert await process.stdout.readline() == b"made token 04A1B2C3D4E580 known (1000)\n"
        assert hub.tokens.all()[0]["party_id"] == "MSB"
        await left(hub, process)


async def test_a_cpo_publishes_and_shows_what_comes_in() -> None:
    async with Emsp("DE*MSA") as hub, started("sandbox", "cpo", *invited(hub)) as process:
        assert process.stdout is not None
        await process.stdout.readuntil(b"published tariff TARIFF1 (1000) and location LOC1 (1000)\n")
        assert len(hub.locations) == len(hub.tariffs) == 1
        await hub.stop_session("S9", to="NL*CPA")
        await process.stdout.readuntil(b"DE*MSA  POST /ocpi/2.2.1/receiver/commands/STOP_SESSION")
        await left(hub, process)


async def test_a_refused_handshake_says_why() -> None:
    async with CpoBackend("NL*CPA") as hub:
        arguments = ["sandbox", "emsp", "--versions-url", hub.versions_url, "--token-a", "wrong"]
        async with started(*arguments) as process:
            _, errors = await process.communicate()
        assert process.returncode != 0
        assert b"GET versions: HTTP 401, OCPI 2000" in errors


def test_the_demo_refuses_a_directory_that_is_in_use(tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    with pytest.raises(OperatorError, match="is not empty: choose another --data"):
        sandbox.demo(once=True, data=tmp_path)


def place(first_line: bytes) -> Path:
    """The directory that a demo says it uses."""
    return Path(first_line.decode().strip().removeprefix("Starting a hub in "))


@pytest.mark.timeout(240)
async def test_the_demo_tells_its_story_and_leaves_nothing_behind() -> None:
    async with started("demo", "--once") as process:
        output, errors = await process.communicate()
    assert process.returncode == 0, output.decode() + errors.decode()
    assert "All true" in output.decode()
    assert "FAIL" not in output.decode()
    assert not place(output.splitlines()[0]).exists()


async def test_a_demo_that_is_stopped_leaves_nothing_behind() -> None:
    async with started("demo", "--once") as process:
        assert process.stdout is not None
        directory = place(await process.stdout.readline())
        assert directory.parent == CHECKOUT / "var"
        process.terminate()
        await process.communicate()
    assert process.returncode == 1
    assert not directory.exists()


def test_a_demo_that_fails_says_where_the_log_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async def fail(directory: Path, once: bool) -> None:
        (directory / "hub.log").touch()
        raise OperatorError("step 7, Charge: the session did not come")

    monkeypatch.setattr(sandbox, "_demo", fail)
    with pytest.raises(OperatorError, match=r"^step 7, Charge: the session did not come\nThe hub's log is .*hub\.log$"):
        sandbox.demo(once=True, data=tmp_path)
    assert (tmp_path / "hub.log").exists()


@pytest.mark.parametrize(("what", "schema"), [("location", Location), ("tariff", Tariff)])
async def test_samples_are_valid_and_of_the_party_asked_for(what: str, schema: type[Schema]) -> None:
    async with started("sandbox", "sample", what, "--party", "SE*ABC") as process:
        printed, _ = await process.communicate()
    made = json.loads(printed)
    assert check(schema, made) == []
    assert (made["country_code"], made["party_id"]) == ("SE", "ABC")


async def test_a_charger_that_finds_no_bridge_says_so() -> None:
    arguments = ("sandbox", "charger", "--url", "ws://127.0.0.1:1/ocpp/CP1", "--password", "secret")
    async with started(*arguments) as process:
        _, complaint = await process.communicate()
    assert process.returncode != 0
    assert b"check --url, --password" in complaint
