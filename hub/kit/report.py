"""A run as data for programs: JSON, and JUnit for build servers. Pure.

In JUnit a MUST that is broken is a failure. A SHOULD that is not kept is no failure there either, since the exit
status of the command does not count it: it stands as skipped, with its reason.
"""

import xml.etree.ElementTree as ET
from itertools import groupby
from typing import Any

from hub.kit.runner import Result, Run
from hub.ocpi.types import format_datetime


def as_json(run: Run) -> dict[str, Any]:
    """The whole run: what was tested, the counts, and each check with what it found."""
    return {
        "versions_url": run.url,
        "ocpi_version": "2.2.1",
        "tested_as": list(run.kinds),
        "party": run.party,
        "writes": run.writes,
        "registered": run.registered,
        "began": format_datetime(run.began),
        "seconds": round(run.seconds, 1),
        "requests": run.requests,
        "must": counts(run, True),
        "should": counts(run, False),
        "checks": [_check(result) for result in run.results],
    }


def counts(run: Run, must: bool) -> dict[str, int]:
    """How many checks of a strength passed, failed and were skipped."""
    return {outcome: run.count(outcome, must) for outcome in ("passed", "failed", "skipped")}


def _check(result: Result) -> dict[str, Any]:
    check = result.check
    said = {name: getattr(result, name) for name in ("asked", "came", "expected", "why")}
    return {
        "group": check.group,
        "ids": list(check.ids),
        "strength": check.strength,
        "title": check.title,
        "source": check.source,
        "result": result.outcome,
        **{name: text for name, text in said.items() if text},
    }


def as_junit(run: Run) -> bytes:
    """The run as JUnit XML: a suite for each group."""
    root = ET.Element("testsuites", name=f"OCPI 2.2.1 conformance of {run.url}")
    for group, found in groupby(run.results, key=lambda result: result.check.group):
        results = list(found)
        suite = ET.SubElement(
            root,
            "testsuite",
            name=group,
            tests=str(len(results)),
            failures=str(sum(_fails(result) for result in results)),
            skipped=str(sum(result.outcome != "passed" and not _fails(result) for result in results)),
            errors="0",
            time=_seconds(sum(result.seconds for result in results)),
            timestamp=format_datetime(run.began),
        )
        for result in results:
            _case(suite, result)
    ET.indent(root)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _case(suite: ET.Element, result: Result) -> None:
    check = result.check
    name = f"{check.ids[0]} {check.title}"
    case = ET.SubElement(suite, "testcase", classname=f"ocpi.{check.group}", name=name, time=_seconds(result.seconds))
    told = f"asked: {result.asked}\ncame: {result.came}\nexpected: {result.expected}\nsource: {check.source}"
    if _fails(result):
        ET.SubElement(case, "failure", type="MUST", message=f"came: {result.came}").text = told
    elif result.outcome == "failed":
        ET.SubElement(case, "skipped", message=f"SHOULD not kept. {told}")
    elif result.outcome == "skipped":
        ET.SubElement(case, "skipped", message=result.why)


def _fails(result: Result) -> bool:
    return result.outcome == "failed" and result.check.must


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f}"
