"""How a command talks to a running hub: over the operator API, found by `--data` or by HUB_URL and HUB_API_TOKEN.

`--data` wins when it is given; without it HUB_URL names the hub, and without that the hub of the default data
directory is meant. Whatever goes wrong becomes an OperatorError of one line.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, NamedTuple
from urllib.parse import quote

import typer

from hub.cli import progress
from hub.services.data import DataDirectory
from hub.settings import OperatorError, Settings, reason

if TYPE_CHECKING:
    import httpx

TIMEOUT = 30.0  # seconds

Data = Annotated[
    Path | None,
    typer.Option("--data", help="The data directory of the hub to talk to; HUB_DATA.", show_default="var"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the answer of the operator API as it is.")]

Query = Mapping[str, str | int | None]


class NoHub(OperatorError):
    """No hub runs where one was looked for."""


class Address(NamedTuple):
    """Where the operator API is, and the token to show."""

    url: str
    token: str


class Answer(NamedTuple):
    """What the operator API said: as it came, and as values (numbers with a fraction are Decimals)."""

    text: str
    value: Any


def find(data: Path | None) -> Address:
    """The hub that is meant; NoHub when there is none, OperatorError when its token is not known."""
    settings = Settings.load()
    if data is None and settings.api_url:
        if not settings.api_token:
            raise OperatorError("HUB_URL is set without HUB_API_TOKEN: set it to the operator token of that hub")
        return Address(settings.api_url, settings.api_token)
    directory = DataDirectory(data or settings.data)
    running = directory.running()
    if running is None:
        raise NoHub(
            f"no hub runs on {directory.path}: start it with `knutpunkt up`, choose another --data, "
            "or set HUB_URL and HUB_API_TOKEN"
        )
    token = "" if settings.api_url else settings.api_token  # beside HUB_URL it is the token of that hub
    return Address(running.url, token or _kept_token(directory))


def ask(
    data: Path | None,
    method: str,
    path: str,
    body: Any = None,
    query: Query | None = None,
    timeout: float = TIMEOUT,
) -> Answer:
    """One call of the operator API; `body` is a value, or bytes to send as they are."""
    from hub.ocpi import json
    from hub.ocpi.errors import InvalidJson

    content = body if isinstance(body, bytes | None) else json.dumps(body)
    address = find(data)
    with _call(address, method, path, content, query, timeout) as answer:
        answer.read()
        text = answer.text
    try:
        return Answer(text, json.loads(text.encode()))
    except InvalidJson:
        raise OperatorError(f"what answers at {address.url} is not a hub: check HUB_URL") from None


def download(data: Path | None, path: str, query: Query, target: BinaryIO) -> None:
    """Write an answer to `target` as it arrives."""
    done = 0
    with _call(find(data), "GET", path, None, query) as answer, progress.bar("receiving", "bytes") as step:
        for piece in answer.iter_bytes():
            target.write(piece)
            done += len(piece)
            step(done, None)


def segment(text: str) -> str:
    """A text as one part of a path."""
    return quote(text, safe="*")


@contextmanager
def _call(
    address: Address,
    method: str,
    path: str,
    content: bytes | None,
    query: Query | None,
    timeout: float = TIMEOUT,
) -> Iterator["httpx.Response"]:
    """An accepted answer, its body still to be read."""
    import httpx

    headers = {"Authorization": f"Bearer {address.token}", "Content-Type": "application/json"}
    wanted = {name: value for name, value in (query or {}).items() if value is not None}
    url = f"{address.url}/api/v1{path}"
    try:
        with (
            httpx.Client(timeout=timeout, trust_env=False) as http,
            http.stream(method, url, content=content, headers=headers, params=wanted) as answer,
        ):
            if not answer.is_success:
                answer.read()
                raise OperatorError(_refusal(address, answer))
            yield answer
    except httpx.InvalidURL:
        raise OperatorError("HUB_URL: is not an address that can be called") from None
    except httpx.TimeoutException:
        raise OperatorError(
            f"the hub at {address.url} did not answer within {timeout:.0f} s: look at its logs"
        ) from None
    except httpx.ConnectError:
        raise NoHub(f"nothing answers at {address.url}: start the hub, or correct HUB_URL") from None
    except httpx.TransportError as error:
        raise OperatorError(f"the hub at {address.url} broke off ({type(error).__name__}): try again") from None


def _refusal(address: Address, answer: "httpx.Response") -> str:
    """The reason the API gives; where there is none, something else answered."""
    if answer.status_code == 401:
        return f"the hub at {address.url} does not know this operator token: set HUB_API_TOKEN to the one `up` printed"
    try:
        return str(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        return f"{address.url} answered HTTP {answer.status_code}: look at the hub's logs, or correct HUB_URL"


def _kept_token(directory: DataDirectory) -> str:
    try:
        return directory.secret_file("api_token").read_text(encoding="ascii")
    except OSError as error:
        raise OperatorError(
            f"the operator token in {directory.path} cannot be read ({reason(error)}): "
            "run this as the user who runs the hub, or set HUB_API_TOKEN"
        ) from None
