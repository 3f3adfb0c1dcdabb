"""The report for programs: JSON and JUnit, whatever a partner wrote into its answers."""

import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from typing import Any

from hub.kit import report
from hub.kit.ask import Secrets
from hub.kit.check import Check
from hub.kit.runner import Result, Run


async def work(peer: Any) -> None:
    """Nothing."""


NASTY = Secrets().hide('<b a="1">&amp;\x00\x1b[31m\u202e\ud800\ufffe]]></b>')
VERSIONS = "version_information_endpoint.asciidoc > Version information endpoint"
MUST = Check("versions", ("VER-001", "TF-001"), "There is <one> & only", work)
SHOULD = Check("versions", ("VER-015",), "A role", work, must=False)
LISTED = Check("tariffs", ("TF-035",), "X-Limit", work)

RUN = Run(
    "https://x.example/versions",
    ("hub",),
    "DE*MSA:EMSP",
    False,
    False,
    datetime(2026, 1, 1, tzinfo=UTC),
    1.26,
    7,
    (
        Result(MUST, "failed", "GET x", NASTY, "a list"),
        Result(SHOULD, "failed", "GET y", "RECEIVER", "SENDER"),
        Result(LISTED, "passed", seconds=0.5),
        Result(LISTED, "skipped", why="the list is empty"),
    ),
)


def test_junit_is_well_formed_and_counts() -> None:
    root = ET.fromstring(report.as_junit(RUN))
    suites = [(s.get("name"), s.get("tests"), s.get("failures"), s.get("skipped")) for s in root]
    assert suites == [("versions", "2", "1", "1"), ("tariffs", "2", "0", "1")]
    failure = root.find("testsuite/testcase/failure")
    assert failure is not None
    assert failure.get("type") == "MUST"
    assert failure.text == f"asked: GET x\ncame: {NASTY}\nexpected: a list\nsource: {VERSIONS}"
    assert '<b a="1">' in failure.text
    assert "\\x1b[31m\\u202e\\ud800\\ufffe" in failure.text


def test_a_should_is_no_failure_in_junit() -> None:
    [case] = [c for c in ET.fromstring(report.as_junit(RUN)).iter("testcase") if "VER-015" in str(c.get("name"))]
    assert [(child.tag, str(child.get("message"))[:16]) for child in case] == [("skipped", "SHOULD not kept.")]


def test_json_holds_all_of_it() -> None:
    told = report.as_json(RUN)
    assert told["must"] == {"passed": 1, "failed": 1, "skipped": 1}
    assert told["should"] == {"passed": 0, "failed": 1, "skipped": 0}
    assert told["checks"][0] == {
        "group": "versions",
        "ids": ["VER-001", "TF-001"],
        "strength": "MUST",
        "title": "There is <one> & only",
        "source": VERSIONS,
        "result": "failed",
        "asked": "GET x",
        "came": NASTY,
        "expected": "a list",
    }
    assert told["checks"][3]["why"] == "the list is empty"
    assert (told["began"], told["seconds"]) == ("2026-01-01T00:00:00Z", 1.3)
