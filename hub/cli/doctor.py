"""`knutpunkt doctor`: what is wrong, and what to do."""

import asyncio
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from hub.cli import client, tables
from hub.cli.client import Answer, AsJson, Data, NoHub
from hub.settings import OperatorError, Settings

app = typer.Typer()

_SIGNS = {"ok": "ok  ", "warn": "WARN", "fail": "FAIL"}


@app.command()
def doctor(data: Data = None, json: AsJson = False) -> None:
    """Say what is wrong and what to do. Exit status 1 if anything fails; a warning is for soon.

    A running hub is asked. Where none answers, it is looked whether `up` could start one here: data directory, ports,
    programs, secrets, settings.
    """
    try:
        answer = client.ask(data, "GET", "/doctor", timeout=60)
    except NoHub as error:
        answer = _local(data, str(error))
    findings = answer.value
    tables.show(answer, json, [line for finding in findings for line in _lines(finding)])
    failed = sum(finding["verdict"] == "fail" for finding in findings)
    if failed:
        raise OperatorError(f"{failed} of {len(findings)} checks failed: do what stands below them")


def _local(data: Path | None, missing: str) -> Answer:
    """What can be seen from here while no hub answers."""
    from hub.admin.findings import Finding
    from hub.ocpi import json
    from hub.services import checkup

    settings = Settings.load()
    detail, _, advice = missing.partition(": ")
    local = asyncio.run(checkup.examine(settings, (data or settings.data).absolute()))
    found = [asdict(finding) for finding in (Finding("hub", "fail", detail, advice), *local)]
    return Answer(json.dumps(found).decode(), found)


def _lines(finding: dict[str, Any]) -> Iterator[str]:
    yield f"{_SIGNS[finding['verdict']]}  {finding['check']}: {tables.plain(finding['detail'])}"
    if finding["advice"]:
        yield f"      {finding['advice']}"
