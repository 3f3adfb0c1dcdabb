"""Simulated parties on the command line: the demo, and a CPO or an eMSP to connect to a hub that runs already."""

import asyncio
import ipaddress
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.settings import CHECKOUT, OperatorError, Settings

if TYPE_CHECKING:
    from hub.sandbox.platform import Platform

app = typer.Typer()
sandbox = typer.Typer(help="Simulated parties, for trying out a hub.", no_args_is_help=True)
app.add_typer(sandbox, name="sandbox")

VersionsUrl = Annotated[str, typer.Option("--versions-url", help="The hub's versions URL, from `knutpunkt invite`.")]
TokenA = Annotated[str, typer.Option("--token-a", help="Token A, from `knutpunkt invite`.")]
PartyCode = Annotated[str, typer.Option("--party", help="Its country_code and party_id.")]
ListenPort = Annotated[int, typer.Option("--port", min=0, max=65535, help="Where it listens; 0 for any free port.")]


@app.command()
def demo(
    once: Annotated[bool, typer.Option("--once", help="End after the story; exit status 1 if a check fails.")] = False,
    data: Annotated[Path | None, typer.Option("--data", help="An empty directory to use, and to keep.")] = None,
) -> None:
    """Start a hub of its own and tell the story of one roaming session, from plug to bill."""
    directory = data.absolute() if data else _scratch()
    if directory.exists() and any(directory.iterdir()):
        raise OperatorError(f"the demo starts from nothing, and {directory} is not empty: choose another --data")
    directory.mkdir(parents=True, exist_ok=True)
    try:
        finished = _run(_demo(directory, once))
    except OperatorError as error:
        raise OperatorError(f"{error}\nThe hub's log is {directory / 'hub.log'}") from error
    if data is None:
        shutil.rmtree(directory)
    if once and not finished:
        raise typer.Abort


@sandbox.command()
def cpo(versions_url: VersionsUrl, token_a: TokenA, party: PartyCode = "NL*CPA", port: ListenPort = 0) -> None:
    """A CPO back end: it registers, publishes a location and a tariff, and takes commands."""
    from hub.sandbox import samples
    from hub.sandbox.cpo import CpoBackend

    async def play() -> None:
        async with CpoBackend(party, port=port) as platform, _connected(platform, versions_url, token_a):
            tariff = await platform.put_tariff(samples.tariff(party), to=platform.hub)
            place = await platform.put_location(samples.location(party), to=platform.hub)
            typer.echo(f"published tariff TARIFF1 ({tariff.status_code}) and location LOC1 ({place.status_code})")
            await _watch(platform)

    _run(play())


@sandbox.command()
def emsp(versions_url: VersionsUrl, token_a: TokenA, party: PartyCode = "DE*MSA", port: ListenPort = 0) -> None:
    """An eMSP: it registers, makes a token known, and allows it when it is asked."""
    from hub.sandbox import samples
    from hub.sandbox.emsp import Emsp

    async def play() -> None:
        async with Emsp(party, port=port) as platform, _connected(platform, versions_url, token_a):
            card = samples.token(party)
            answer = await platform.put_token(card, to=platform.hub)
            typer.echo(f"made token {card['uid']} known ({answer.status_code})")
            await _watch(platform)

    _run(play())


@sandbox.command()
def charger(
    url: Annotated[str, typer.Option("--url", help="Its OCPP URL, from `charger add`.")],
    password: Annotated[str, typer.Option("--password", help="Its password, from `charger add`.")],
    card: Annotated[str, typer.Option("--card", help="The uid of the card that is held to it.")] = "04A1B2C3D4E580",
    kwh: Annotated[int, typer.Option("--kwh", min=1, max=50, help="What the car takes.")] = 5,
) -> None:
    """A charger: it boots, a card is held to it, a car charges and leaves. On its clock that takes half an hour."""
    from websockets.exceptions import WebSocketException

    from hub.sandbox.charger import Charger

    async def play() -> None:
        since = timedelta(minutes=4 * (kwh + 8))  # each message is four minutes after the last on its clock
        async with Charger(url, url.rstrip("/").rpartition("/")[2], password, behind=since) as station:
            typer.echo(f"boot: {await station.boot()}")
            await station.status(1, "Available")
            typer.echo(f"card {card}: {(answer := await station.authorize(card))}")
            if answer != "Accepted":
                raise OperatorError(f"the card was not accepted ({answer}): is its eMSP connected?")
            started = await station.start(1, card, 1_000)
            await station.status(1, "Charging")
            for taken in range(1, kwh + 1):
                await station.meter(1_000 + taken * 1_000)
            await station.stop(1_000 + kwh * 1_000)
            await station.status(1, "Available")
            typer.echo(f"transaction {started.number}: {kwh} kWh; see `cdr list`")

    try:
        _run(play())
    except (OSError, WebSocketException) as error:
        raise OperatorError(
            f"the bridge did not take the charger at that URL ({error}): check --url, --password"
        ) from None


@sandbox.command()
def sample(
    what: Annotated[str, typer.Argument(help="location or tariff")],
    party: Annotated[str, typer.Option("--party", help="The CPO it belongs to.")] = "NL*LOC",
) -> None:
    """Print a valid OCPI object to start from: `sandbox sample tariff > tariff.json`."""
    from hub.ocpi import json
    from hub.sandbox import samples

    made = {"location": lambda: samples.location(party), "tariff": lambda: samples.tariff(party)}
    if what not in made:
        raise typer.BadParameter("location or tariff")
    typer.echo(json.dumps(made[what]()).decode())


async def _demo(directory: Path, once: bool) -> None:
    """A hub in `directory`, and the story told on it. Raises OperatorError."""
    from rich.console import Console

    from hub.sandbox import demo as story
    from hub.sandbox.narrator import Narrator, StepFailed
    from hub.services.supervisor import Stack

    console = Console()
    narrator = Narrator(console)
    console.print(f"Starting a hub in {directory}", soft_wrap=True, highlight=False)
    async with Stack(_settings(directory), log_file=directory / "hub.log") as stack:
        console.print(f"It is up at {stack.url} after {narrator.seconds:.1f} s", highlight=False)
        async with story.stage(stack.url, stack.settings.api_token, narrator) as told:
            try:
                await told.tell()
            except StepFailed as failed:
                raise OperatorError(str(failed)) from failed
            console.print(f"All true, after {narrator.seconds:.1f} s", highlight=False)
            if not once:
                console.print(_where_to_look(stack.url, directory), soft_wrap=True, highlight=False)
                await asyncio.Event().wait()


def _settings(directory: Path) -> Settings:
    """Settings of the demo's own: nothing in the environment can lead it to another database or hub."""
    return Settings.model_construct(
        data=directory, port=0, bridge_port=0, outbound_allow=(ipaddress.ip_network("127.0.0.0/8"),)
    )


def _where_to_look(url: str, directory: Path) -> str:
    return (
        f"It stays up until Ctrl-C. Look around in another terminal:\n"
        f"    ./run platform list --data {directory}\n"
        f"    ./run cdr list --data {directory}\n"
        f"    ./run trace CORRELATION_ID --data {directory}\n"
        f"    {url}/ocpi/versions, log: {directory / 'hub.log'}"
    )


def _scratch() -> Path:
    """A fresh directory inside the checkout, because nothing else may be littered."""
    (CHECKOUT / "var").mkdir(exist_ok=True)
    return Path(tempfile.mkdtemp(prefix="demo-", dir=CHECKOUT / "var"))


@asynccontextmanager
async def _connected(platform: "Platform", versions_url: str, token_a: str) -> AsyncIterator[None]:
    """Registered with the hub, and gone from it in the end: its tokens are forgotten with this process."""
    await platform.register(versions_url, token_a)
    typer.echo(f"{platform.name} is registered and listens at {platform.origin}; Ctrl-C makes it leave and end")
    try:
        yield
    finally:
        await platform.leave()


async def _watch(platform: "Platform") -> None:
    """Show what comes in, for ever."""
    async for seen in platform.follow():
        typer.echo(f"{seen.at:%H:%M:%S}  {seen.sender or 'hub'}  {seen}  {seen.correlation_id}")


def _run(work: Coroutine[Any, Any, None]) -> bool:
    """Run to the end, True, or until SIGINT, SIGTERM or a closed terminal, False; either way all is tidied up."""
    import aiohttp

    from hub.ocpi.errors import OcpiError
    from hub.sandbox.registration import Refused

    async def main() -> None:
        working = asyncio.ensure_future(work)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, lambda: working.cancelling() or working.cancel())
        await working

    try:
        asyncio.run(main())
    except asyncio.CancelledError:
        return False
    except (Refused, OcpiError, aiohttp.ClientError) as error:
        raise OperatorError(f"the hub could not be worked with: {error}") from error
    return True
