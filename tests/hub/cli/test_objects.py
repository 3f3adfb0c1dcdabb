import io
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from hub.ocpi import json as ocpi_json
from hub.sandbox import samples

Command = Callable[..., Awaitable[Any]]


def write(path: Path, body: object) -> str:
    path.write_bytes(ocpi_json.dumps(body))
    return str(path)


async def test_a_location_from_a_file(knutpunkt: Command, host: str, tmp_path: Path) -> None:
    file = write(tmp_path / "square.json", samples.location(host, "SQUARE"))
    ended = await knutpunkt("location", "put", file)
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.startswith("location SQUARE of NL*LOC is new\nwho gets it: `knutpunkt trace ")
    again = await knutpunkt("location", "put", file, "--json")
    assert json.loads(again.out)["created"] is False
    listed = await knutpunkt("location", "list", "--owner", host)
    assert "Utrecht" in listed.out
    assert " open " in listed.out
    assert "everybody" in listed.out


async def test_a_private_location(knutpunkt: Command, host: str, tmp_path: Path) -> None:
    file = write(tmp_path / "home.json", samples.location(host, "HOME"))
    ended = await knutpunkt("location", "put", file, "--private")
    assert (ended.status, ended.out.splitlines()[:2]) == (0, ["location HOME of NL*LOC is new", "no partner sees it"])
    listed = await knutpunkt("location", "list", "--owner", host)
    assert ("HOME" in listed.out, "everybody" in listed.out) == (True, False)
    assert (await knutpunkt("location", "put", write(tmp_path / "s.json", samples.location(host, "S")))).status == 0
    too_late = await knutpunkt("location", "put", str(tmp_path / "s.json"), "--private")
    assert (too_late.status, "partners have this object already" in too_late.err) == (1, True)


async def test_a_tariff_from_the_standard_input(knutpunkt: Command, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = io.TextIOWrapper(io.BytesIO(ocpi_json.dumps(samples.tariff(host, "T1"))))
    monkeypatch.setattr(sys, "stdin", sent)
    assert (await knutpunkt("tariff", "put", "-")).status == 0
    listed = await knutpunkt("tariff", "list")
    assert "ENERGY 0.35" in listed.out
    assert "FLAT 0.50" in listed.out
    assert (await knutpunkt("tariff", "remove", host, "T1")).status == 0
    assert "no tariff is kept here" in (await knutpunkt("tariff", "list")).out


async def test_a_long_list_says_how_to_go_on(knutpunkt: Command, host: str, tmp_path: Path) -> None:
    for number in range(3):
        await knutpunkt("tariff", "put", write(tmp_path / "t.json", samples.tariff(host, f"T{number}")))
    listed = await knutpunkt("tariff", "list", "--limit", "2")
    assert "T2" not in listed.out
    after = listed.out.split("there are more: --after ")[1].strip()
    assert "T2" in (await knutpunkt("tariff", "list", "--after", after)).out


async def test_a_field_that_is_wrong_is_named(knutpunkt: Command, host: str, tmp_path: Path) -> None:
    body = samples.location(host, "SQUARE")
    del body["evses"][1]["connectors"][0]["standard"]
    ended = await knutpunkt("location", "put", write(tmp_path / "square.json", body))
    assert (ended.status, ended.err) == (1, "knutpunkt: evses[1].connectors[0].standard: field required\n")


async def test_a_file_that_is_not_there(knutpunkt: Command, tmp_path: Path) -> None:
    ended = await knutpunkt("tariff", "put", str(tmp_path / "none.json"))
    assert (ended.status, ended.err) == (
        1,
        f"knutpunkt: {tmp_path / 'none.json'} cannot be read: No such file or directory\n",
    )


async def test_a_party_that_is_not_hosted(knutpunkt: Command, tmp_path: Path) -> None:
    ended = await knutpunkt("tariff", "put", write(tmp_path / "tariff.json", samples.tariff("NL*CPA")))
    assert ended.status == 1
    assert "add it with `knutpunkt party add`" in ended.err
    assert (await knutpunkt("tariff", "remove", "NL*CPA", "T1")).status == 1
    assert (await knutpunkt("location", "list", "--owner", "NLCPA")).status == 1
