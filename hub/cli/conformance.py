"""`knutpunkt conformance`: somebody else's endpoint, held to the rules of OCPI 2.2.1. No hub of ours is needed."""

import asyncio
import signal
import sys
import textwrap
import threading
from collections.abc import Coroutine, Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from hub.cli import progress, tables
from hub.settings import OperatorError, reason

if TYPE_CHECKING:
    from hub.kit.runner import Result, Run
    from hub.ocpi.types import PartyId

app = typer.Typer()

TOKEN, OTHER_TOKEN = "OCPI_TOKEN", "OCPI_OTHER_TOKEN"

_SIGNS = {"passed": "ok  ", "skipped": "-   "}


class Untested(typer.TyperException):
    """There was nothing to test: exit status 2, as for wrong usage."""

    exit_code = 2


@app.command()
def conformance(
    versions_url: Annotated[str, typer.Argument(metavar="VERSIONS_URL", help="The versions URL of the endpoint.")],
    token: Annotated[
        str,
        typer.Option(
            help=f"The token to show there. Better in {TOKEN}, or typed in when asked: not seen by others.",
            envvar=TOKEN,
            show_envvar=False,
        ),
    ] = "",
    kind: Annotated[
        str, typer.Option("--as", help="What it is tested as: cpo, emsp or hub. Left out, as what it says.")
    ] = "",
    party: Annotated[str, typer.Option("--party", help="Whose token it is, with the role: DE*MSA:EMSP.")] = "",
    allow_writes: Annotated[bool, typer.Option("--allow-writes", help="Push objects of our own, too.")] = False,
    register: Annotated[
        bool, typer.Option("--register", help="The token is a token A: register with it, and leave in the end.")
    ] = False,
    listen: Annotated[
        str, typer.Option("--listen", metavar="HOST:PORT", help="With --register, where the endpoint's calls arrive.")
    ] = "127.0.0.1:0",
    callback_url: Annotated[
        str, typer.Option("--callback-url", help="The address of --listen as the endpoint sees it.")
    ] = "",
    charge_at: Annotated[
        str, typer.Option("--charge-at", metavar="LOC/EVSE/CONN", help="With --register, start a session there.")
    ] = "",
    other: Annotated[
        str, typer.Option("--other", help="With --register at a hub, a second party in the other role: NL*CPA:CPO.")
    ] = "",
    other_token: Annotated[
        str, typer.Option(help=f"Its token A. Better in {OTHER_TOKEN}.", envvar=OTHER_TOKEN, show_envvar=False)
    ] = "",
    other_callback_url: Annotated[
        str, typer.Option("--other-callback-url", help="Its address; it listens at the port after that of --listen.")
    ] = "",
    only: Annotated[str, typer.Option("--only", help="Groups to test, with commas: versions,locations.")] = "",
    timeout: Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds to wait for one answer.")] = 10.0,
    deadline: Annotated[float, typer.Option("--deadline", min=1, help="Seconds for all of it.")] = 600.0,
    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML to this file, too.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Show each check, those that passed as well.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Test an OCPI 2.2.1 endpoint: a hub, a CPO or an eMSP, before it is connected.

    It only reads, and tries methods that do not exist with an empty object, unless --allow-writes is given. Then it
    pushes a token, or a Location that is not published, a Tariff, a Session and a CDR over nothing, under ids that
    start with KIT. A hub passes these on to its other parties.

    Exit status 1 when a MUST is broken, 2 when the endpoint cannot be tested.
    """
    from hub.kit import report, runner
    from hub.kit.peer import Plan, Untestable
    from hub.ocpi import json as ocpi_json

    us, role = _whose(party)
    if not versions_url.startswith(("http://", "https://")):
        raise typer.BadParameter("VERSIONS_URL: an http or https URL, ending in /versions as a rule")
    if register and not (allow_writes and us):
        raise typer.BadParameter("--register needs --allow-writes, since it changes something there, and --party")
    plan = Plan(
        versions_url=versions_url,
        kinds=_kinds(kind),
        party=us,
        role=role,
        writes=allow_writes,
        register=register,
        only=_groups(only),
        listen=_address(listen),
        callback_url=_reachable(callback_url, listen, versions_url) if register else "",
        charge_at=tuple(part for part in charge_at.split("/") if part),
        timeout=timeout,
        deadline=deadline,
        token=token or _asked(),
    )
    if other:
        second, second_role = _whose(other)
        if not (register and other_token) or role == second_role:
            raise typer.BadParameter("--other needs --register, a token A of its own and another role than --party")
        host, port = plan.listen
        plan = replace(
            plan,
            other=replace(
                plan,
                token=other_token,
                party=second,
                role=second_role,
                listen=(host, port and port + 1),
                callback_url=_reachable(other_callback_url, listen, versions_url),
            ),
        )
    try:
        with progress.bar("testing", "checks") as step:
            run = asyncio.run(_until_stopped(runner.examine(plan, lambda done, total, group: step(done, total))))
    except Untestable as error:
        raise Untested(str(error)) from None
    except asyncio.CancelledError:
        raise typer.Abort from None
    if junit is not None:
        _write(junit, report.as_junit(run))
    for line in [ocpi_json.dumps(report.as_json(run)).decode()] if json else _lines(run, every):
        typer.echo(line)
    if broken := run.count("failed", must=True):
        raise OperatorError(f"{broken} MUST {'rule is' if broken == 1 else 'rules are'} broken at {run.url}")


async def _until_stopped(work: Coroutine[Any, Any, "Run"]) -> "Run":
    """The work; SIGTERM and a closed terminal end it like Ctrl-C, so that the kit leaves where it registered."""
    working = asyncio.ensure_future(work)
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, working.cancel)
    return await working


def _whose(party: str) -> tuple["PartyId | None", str]:
    """DE*MSA:EMSP as a party and its role; None when nothing is given."""
    from hub.ocpi.errors import InvalidParameters
    from hub.ocpi.types import PartyId

    if not party:
        return None, ""
    code, _, role = party.upper().partition(":")
    try:
        us = PartyId.parse(code)
    except InvalidParameters as error:
        raise typer.BadParameter(f"--party: {error}") from None
    if role not in ("CPO", "EMSP"):
        raise typer.BadParameter("--party: with its role, CPO or EMSP, like DE*MSA:EMSP")
    return us, role


def _kinds(kind: str) -> frozenset[str]:
    from hub.kit.check import KINDS

    if kind and kind not in KINDS:
        raise typer.BadParameter("--as: cpo, emsp or hub")
    return frozenset({kind} - {""})


def _groups(only: str) -> frozenset[str]:
    from hub.kit.runner import NAMES

    groups = frozenset(name.strip() for name in only.split(",") if name.strip())
    if groups - set(NAMES):
        raise typer.BadParameter(f"--only: groups are {', '.join(NAMES)}")
    return groups


def _reachable(callback_url: str, listen: str, versions_url: str) -> str:
    """The address for the endpoint's calls; on one machine the one listened at will do."""
    if callback_url and not callback_url.startswith(("http://", "https://")):
        raise typer.BadParameter("--callback-url: an http or https URL")
    host = _address(listen)[0]
    here = host in _HERE and urlsplit(versions_url).hostname in _HERE
    if not callback_url and (host in _ANYWHERE or (host in _HERE and not here)):
        raise typer.BadParameter(f"--callback-url: is needed, since the endpoint cannot call {host}")
    return callback_url


_HERE = ("127.0.0.1", "localhost")
_ANYWHERE = ("0.0.0.0", "::", "[::]")


def _asked() -> str:
    """The token as the user types it, unseen."""
    if not sys.stdin.isatty():
        raise typer.BadParameter(f"the token is missing: give it in {TOKEN}, or with --token")
    return str(typer.prompt("Token", hide_input=True, err=True))


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65535:
        raise typer.BadParameter("--listen: HOST:PORT, like 0.0.0.0:8085")
    return host, int(port)


def _write(file: Path, content: bytes) -> None:
    try:
        file.write_bytes(content)
    except OSError as error:
        raise OperatorError(f"{file} cannot be written: {reason(error)}: choose another --junit") from None


def _lines(run: "Run", every: bool) -> Iterator[str]:
    """The report for people: a table of the groups, what failed, what was skipped and why, the verdict."""
    yield f"OCPI 2.2.1 at {run.url}, tested as {' and '.join(_KINDS[kind] for kind in run.kinds)}"
    asked = f"{run.requests} requests in {run.seconds:.0f} s"
    yield f"We were {run.party or 'nobody in particular'}, {_manner(run)}: {asked}"
    yield ""
    yield from tables.table(("group", "passed", "MUST broken", "SHOULD not kept", "skipped"), _rows(run), "no checks")
    if every:
        yield ""
        yield from (_line(result) for result in run.results)
    for must, heading in ((True, "Broken (MUST)"), (False, "Not kept (SHOULD)")):
        found = [r for r in run.results if r.outcome == "failed" and r.check.must == must]
        if found:
            yield f"\n{heading}"
        for result in found:
            yield from _told(result)
    yield from _skipped(run)
    yield f"\n{_verdict(run)}"


_KINDS = {"hub": "a hub", "cpo": "a CPO", "emsp": "an eMSP"}


def _manner(run: "Run") -> str:
    return "registered by handshake" if run.registered else "writing allowed" if run.writes else "only reading"


def _rows(run: "Run") -> Iterator[tuple[object, ...]]:
    for group, found in groupby(run.results, key=lambda result: result.check.group):
        ended = [(result.outcome, result.check.must) for result in found]
        passed, skipped = (sum(outcome == wanted for outcome, _ in ended) for wanted in ("passed", "skipped"))
        yield group, passed, ended.count(("failed", True)) or "-", ended.count(("failed", False)) or "-", skipped or "-"


def _line(result: "Result") -> str:
    sign = _SIGNS.get(result.outcome, "FAIL" if result.check.must else "WARN")
    return f"{sign}  {result.check.group}  {result.check.ids[0]}  {result.check.title}"


def _told(result: "Result") -> Iterator[str]:
    """A failed check: the rule, and below it what was asked, what came and what should have come."""
    check = result.check
    yield ""
    yield from _wrapped(f"{check.ids[0]}  {check.group}: ", check.title)
    for name in ("asked", "came", "expected"):
        yield from _wrapped(f"  {name:<8}  ", getattr(result, name))
    yield from _wrapped("  source    ", check.source)


def _skipped(run: "Run") -> Iterator[str]:
    """What was not looked at, by reason."""
    reasons: dict[str, list[str]] = {}
    for result in run.results:
        if result.outcome == "skipped":
            reasons.setdefault(result.why, []).append(result.check.group)
    if reasons:
        yield "\nSkipped"
    for why, groups in sorted(reasons.items(), key=lambda entry: -len(entry[1])):
        where = ", ".join(dict.fromkeys(groups))
        yield from _wrapped(f"{len(groups):>4}  ", f"{why} ({where})")


def _verdict(run: "Run") -> str:
    passed, failed, skipped = (run.count(outcome, True) for outcome in ("passed", "failed", "skipped"))
    warned = run.count("failed", False)
    return f"MUST: {passed} passed, {failed} broken, {skipped} skipped. SHOULD: {warned} not kept."


def _wrapped(start: str, text: str) -> list[str]:
    """A line that goes on below itself; URLs are broken where they have to be."""
    return textwrap.wrap(text, tables.width(), initial_indent=start, subsequent_indent=" " * len(start)) or [start]
