import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from hub.ocpi import json as ocpi_json
from hub.sandbox import samples
from hub.store.journal import Hop

Command = Callable[..., Awaitable[Any]]


async def test_the_hops_of_a_message(knutpunkt: Command, host: str, tmp_path: Path) -> None:
    file = tmp_path / "tariff.json"
    file.write_bytes(ocpi_json.dumps(samples.tariff(host, "T1")))
    put = json.loads((await knutpunkt("tariff", "put", str(file), "--json")).out)
    ended = await knutpunkt("trace", put["correlation_id"])
    assert ended.status == 0
    first, nothing, asked, decided, *_ = ended.out.splitlines()
    assert first.startswith(f"{put['correlation_id']} on 2")
    assert nothing == ""
    assert asked[12:] == f"  {host} -> NL*HUB  PUT receiver/tariffs/NL/LOC/T1"
    assert decided.strip().startswith("broadcast; created; answer 201/1000, ")
    assert "tariffs NL*LOC T1, which the hub had at " in ended.out
    assert "nobody is one" in ended.out
    assert json.loads((await knutpunkt("trace", put["correlation_id"], "--json")).out)["hops"][0]["sender"] == host


async def test_long_and_strange_texts_are_wrapped_and_ids_stay_whole(knutpunkt: Command, served: Any) -> None:
    long_id = "0123456789-" * 5 + "end"
    served.hub.journal.note(
        Hop(
            *("c-1", "r", "NL*CPA", "DE*MSA", "PUT", "locations/" + "x" * 36 + "/" + "y" * 36, "forward"),
            detail="did not answer " * 12 + "\x1b[31m",
            changed=(f"X-Request-ID new, was {long_id}", "Location is the hub's own"),
        )
    )
    ended = await knutpunkt("trace", "c-1")
    assert max(map(len, ended.out.splitlines())) <= 100
    assert long_id in ended.out
    assert "x" * 36 + "/" + "y" * 36 in ended.out
    assert "\x1b" not in ended.out


async def test_bodies_are_shown_on_demand(knutpunkt: Command, served: Any) -> None:
    served.hub.journal._bodies = "all"
    hop = Hop("c-1", "r", "NL*CPA", "DE*MSA", "PUT", "locations", "forward", 200, 1000)
    served.hub.journal.note(hop, b'{"id":"LOC1"}', b'{"status_code":1000}')
    assert "LOC1" not in (await knutpunkt("trace", "c-1")).out
    shown = (await knutpunkt("trace", "c-1", "--bodies")).out
    assert 'request: {"id":"LOC1"}' in shown
    assert 'answer: {"status_code":1000}' in shown


async def test_a_message_that_never_was(knutpunkt: Command) -> None:
    ended = await knutpunkt("trace", "../status")
    assert (ended.status, ended.out) == (1, "")
    assert ended.err.startswith("knutpunkt: ")
