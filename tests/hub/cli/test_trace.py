import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from hub.ocpi import json as ocpi_json
from hub.sandbox import samples

Command = Callable[..., Awaitable[Any]]


async def test_the_hops_of_a_message(knutpunkt: Command, host: str, tmp_path: Path) -> None:
    file = tmp_path / "tariff.json"
    file.write_bytes(ocpi_json.dumps(samples.tariff(host, "T1")))
    put = json.loads((await knutpunkt("tariff", "put", str(file), "--json")).out)
    ended = await knutpunkt("trace", put["correlation_id"])
    assert ended.status == 0
    assert "broadcast" in ended.out
    assert max(map(len, ended.out.splitlines())) <= 100
    assert json.loads((await knutpunkt("trace", put["correlation_id"], "--json")).out)[0]["sender"] == host


async def test_a_message_that_never_was(knutpunkt: Command) -> None:
    ended = await knutpunkt("trace", "../status")
    assert (ended.status, ended.out) == (1, "")
    assert ended.err.startswith("knutpunkt: ")
