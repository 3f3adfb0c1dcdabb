"""`conformance` on the command line, against parties of the sandbox."""

import asyncio
import json
import sys
import xml.etree.ElementTree as ET
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from hub.sandbox import wire
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp
from hub.sandbox.registration import Registration
from hub.settings import CHECKOUT

TOKEN = "the-token-of-a-connection"


@asynccontextmanager
async def connected() -> AsyncIterator[CpoBackend]:
    """NL*CPA, of which the kit is a partner, as if after a handshake."""
    async with CpoBackend("NL*CPA") as platform:
        platform.peer = wire.Peer(TOKEN, "unused", "http://127.0.0.1:9/versions", ())
        yield platform


@pytest.fixture
async def cpo() -> AsyncIterator[CpoBackend]:
    async with connected() as platform:
        yield platform


async def test_a_report_for_people(command: Any, cpo: CpoBackend, tmp_path: Path) -> None:
    junit = tmp_path / "report.xml"
    ended = await command("conformance", cpo.versions_url, "--token", TOKEN, "--junit", str(junit))
    assert (ended.status, ended.err) == (0, "")
    assert f"OCPI 2.2.1 at {cpo.versions_url}, tested as a CPO" in ended.out
    assert "We were nobody in particular, only reading" in ended.out
    assert "\nNot kept (SHOULD)\n\nTF-013  access: The word Token is taken in any case" in ended.out
    assert "MUST: " in ended.out.splitlines()[-1]
    assert "it changes something at the peer: needs --allow-writes" in " ".join(ended.out.split())
    assert max(map(len, ended.out.splitlines())) <= 100
    assert TOKEN not in ended.out + junit.read_text()
    assert ET.parse(junit).getroot().tag == "testsuites"


async def test_a_broken_must_is_status_1_and_says_all_that_is_needed(
    command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def versions(self: Any, request: Any) -> Any:
        return wire.ok([{"version": "2.2.1", "url": "/ocpi/\x1b[31m2.2.1"}])

    monkeypatch.setattr(Registration, "_get_versions", versions)
    async with connected() as cpo:
        ended = await command("conformance", cpo.versions_url, "--token", TOKEN, "--only", "versions")
    assert ended.status == 1
    assert ended.err == f"knutpunkt: 1 MUST rule is broken at {cpo.versions_url}\n"
    told = ended.out[ended.out.index("Broken (MUST)") :].splitlines()[:7]
    assert told == [
        "Broken (MUST)",
        "",
        "VER-003  versions: Each version has the absolute URL of its details",
        f"  asked     GET {cpo.versions_url}",
        "  came      url: /ocpi/\\x1b[31m2.2.1",
        "  expected  an absolute http or https URL of at most 255 characters",
        "  source    version_information_endpoint.asciidoc > Version information endpoint",
    ]


async def test_a_report_for_programs(command: Any, cpo: CpoBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCPI_TOKEN", TOKEN)
    ended = await command("conformance", cpo.versions_url, "--json", "--only", "versions,credentials", "--as", "cpo")
    told = json.loads(ended.out)
    assert (told["tested_as"], told["must"]["failed"]) == (["cpo"], 0)
    assert {check["group"] for check in told["checks"]} == {"versions", "credentials"}
    assert TOKEN not in ended.out


async def test_a_handshake_of_its_own(command: Any) -> None:
    async with Emsp("DE*MSA") as emsp:
        token_a, url = emsp.invite()
        ended = await command(
            "conformance", url, "--token", token_a, "--party", "NL*KIT:CPO", "--register", "--allow-writes", "--all"
        )
        assert (ended.status, ended.err) == (0, "")
        assert "We were NL*KIT:CPO, registered by handshake" in ended.out
        assert "ok    registration  CRED-008  POST credentials with token A" in ended.out
        assert emsp.peer is None


REACHED = ["--callback-url", "https://kit.example", "--other-token", "x"]
REGISTERING = ["https://x.example/versions", "--register", "--allow-writes", "--party", "DE*KIT:EMSP"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["ftp://x"], "VERSIONS_URL: an http or https URL"),
        (["https://x.example/versions", "--as", "nsp"], "--as: cpo, emsp or hub"),
        (["https://x.example/versions", "--only", "everything"], "--only: groups are access, versions"),
        (["https://x.example/versions", "--party", "MSA"], "--party: A party is written like NL*CPA."),
        (["https://x.example/versions", "--party", "DE*MSA"], "--party: with its role, CPO or EMSP"),
        (["https://x.example/versions", "--register"], "--register needs --allow-writes"),
        ([*REGISTERING], "--callback-url: is needed, since the endpoint cannot call 127.0.0.1"),
        (
            [*REGISTERING, "--listen", "0.0.0.0:8085"],
            "--callback-url: is needed, since the endpoint cannot call 0",
        ),
        ([*REGISTERING, "--other", "NL*KIT:EMSP", *REACHED], "--other needs --register, a token A of its own"),
        ([*REGISTERING, "--callback-url", "x"], "--callback-url: an http or https URL"),
        (["https://x.example/versions", "--listen", "8085"], "--listen: HOST:PORT"),
        (["https://x.example/versions"], "the token is missing: give it in OCPI_TOKEN, or with --token"),
        (
            ["http://127.0.0.1:1/versions", "--token", "x"],
            "http://127.0.0.1:1/versions cannot be tested: 127.0.0.1 is not",
        ),
    ],
)
async def test_what_cannot_be_tested_is_status_2(command: Any, arguments: list[str], reason: str) -> None:
    token = ["--token", "x"] if "--listen" in arguments or "--register" in arguments else []
    ended = await command("conformance", *arguments, *token)
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.count("\n") == 1
    assert reason in ended.err


async def test_a_file_that_cannot_be_written(command: Any, cpo: CpoBackend, tmp_path: Path) -> None:
    arguments = ["--token", TOKEN, "--only", "versions", "--junit", str(tmp_path)]
    ended = await command("conformance", cpo.versions_url, *arguments)
    assert (ended.status, f"{tmp_path} cannot be written" in ended.err) == (1, True)


async def test_who_is_stopped_leaves_first() -> None:
    async with Emsp("DE*MSA") as emsp:
        emsp.knobs.delay, emsp.knobs.applies = 60, lambda seen: "/receiver/" in seen.path
        token_a, url = emsp.invite()
        arguments = ["conformance", url, "--token", token_a, "--party", "NL*KIT:CPO", "--register", "--allow-writes"]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "hub", *arguments, cwd=CHECKOUT, stdout=PIPE, stderr=PIPE
        )
        await emsp.wait_for(lambda seen: "/receiver/" in seen.path, 60)
        process.terminate()
        await emsp.wait_for(lambda seen: seen.method == "DELETE" and "/credentials" in seen.path, 60)
        output, errors = await process.communicate()
    assert (process.returncode, output, errors) == (1, b"", b"knutpunkt: given up\n")
    assert emsp.peer is None
