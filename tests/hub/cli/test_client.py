"""How commands find a hub, and what they say when they do not."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from hub import settings
from hub.services.data import DataDirectory

Command = Callable[..., Awaitable[Any]]


async def test_by_the_data_directory(command: Command, served: Any) -> None:
    ended = await command("party", "list", "--json", "--data", str(served.data))
    assert (ended.status, ended.out, ended.err) == (0, "[]\n", "")


async def test_by_the_data_directory_of_the_settings(
    command: Command, served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_DATA", str(served.data))
    assert (await command("party", "list")).status == 0


async def test_by_url_and_token(command: Command, served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_URL", served.url + "/")
    ended = await command("party", "list")
    assert (ended.status, "HUB_API_TOKEN" in ended.err) == (1, True)
    monkeypatch.setenv("HUB_API_TOKEN", served.hub.settings.api_token)
    settings._load.cache_clear()
    assert (await command("party", "list")).status == 0


async def test_a_data_directory_that_is_named_wins_over_the_environment(
    command: Command, served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("HUB_API_TOKEN", "of the other hub")
    assert (await command("party", "list", "--data", str(served.data))).status == 0


async def test_a_wrong_token(command: Command, served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_URL", served.url)
    monkeypatch.setenv("HUB_API_TOKEN", "wrong")
    ended = await command("party", "list")
    assert ended.status == 1
    assert ended.err == (
        f"knutpunkt: the hub at {served.url} does not know this operator token: "
        "set HUB_API_TOKEN to the one `up` printed\n"
    )


async def test_no_hub_runs_there(command: Command, tmp_path: Path) -> None:
    ended = await command("platform", "list", "--data", str(tmp_path / "none"))
    assert ended.status == 1
    assert ended.err == (
        f"knutpunkt: no hub runs on {tmp_path / 'none'}: start it with `knutpunkt up`, choose another --data, "
        "or set HUB_URL and HUB_API_TOKEN\n"
    )


async def test_a_token_that_cannot_be_read(command: Command, tmp_path: Path) -> None:
    data = DataDirectory(tmp_path)
    data.create()
    data.lock()
    data.announce("http://127.0.0.1:9", "ws://127.0.0.1:9")
    ended = await command("status", "--data", str(tmp_path))
    data.unlock()
    assert (ended.status, "operator token" in ended.err, "No such file" in ended.err) == (1, True, True)


async def test_nothing_answers(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}"
        monkeypatch.setenv("HUB_URL", url)
        monkeypatch.setenv("HUB_API_TOKEN", "any")
        ended = await command("status")
    assert (ended.status, ended.err) == (1, f"knutpunkt: nothing answers at {url}: start the hub, or correct HUB_URL\n")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 4\r\n\r\noops", "answered HTTP 502"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", "is not a hub"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n[", "broke off"),
    ],
)
async def test_what_answers_is_not_a_hub(
    command: Command, monkeypatch: pytest.MonkeyPatch, answer: bytes, said: str
) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(speak, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        monkeypatch.setenv("HUB_URL", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("HUB_API_TOKEN", "any")
        ended = await command("party", "list")
    assert ended.status == 1
    assert said in ended.err
    assert ended.err.count("\n") == 1
