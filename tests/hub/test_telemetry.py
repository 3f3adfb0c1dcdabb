import io
import json
import logging
import warnings
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from hub import telemetry

FORGED = "\n2026-01-01T00:00:00Z [info] forged \x1b[2J\x85\u2028\u202e"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What is logged during the test; the logging of the process is put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    before = structlog.get_config()
    yield io.StringIO()
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(False)
    structlog.configure(**before)


def test_json_is_one_object_a_line_in_utc(lines: io.StringIO) -> None:
    telemetry.setup("INFO", "json", "api", lines)
    with telemetry.bound(correlation_id="c-1"):
        telemetry.logger("hub.test").info("a push was stored", party="NL*CPA")
        logging.getLogger("sqlalchemy.pool").warning("library %s", "words")
    ours, theirs = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert (ours["message"], ours["party"], ours["level"]) == ("a push was stored", "NL*CPA", "info")
    assert ours["timestamp"].endswith("Z")
    assert (theirs["message"], theirs["logger"]) == ("library words", "sqlalchemy.pool")
    assert {line["correlation_id"] for line in (ours, theirs)} == {"c-1"}
    assert {line["process"] for line in (ours, theirs)} == {"api"}


@pytest.mark.parametrize("name", ["uvicorn.error", "celery.task", "alembic.runtime", "asyncpg"])
def test_libraries_write_through_the_same_handler_once(name: str, lines: io.StringIO) -> None:
    logging.getLogger(name).addHandler(logging.NullHandler())
    telemetry.setup("INFO", "console", "", lines)
    logging.getLogger(name).warning("once", extra={"color_message": "\x1b[1monce"})
    assert lines.getvalue().count("once") == 1


def test_talkative_libraries_are_held_back(lines: io.StringIO) -> None:
    telemetry.setup("INFO", "console", "", lines)
    logging.getLogger("httpx").info("HTTP Request: GET ...")
    telemetry.logger("hub.test").debug("detail")
    assert lines.getvalue() == ""


@pytest.mark.parametrize("style", ["json", "console"])
def test_a_partner_cannot_write_a_line(style: str, lines: io.StringIO) -> None:
    telemetry.setup("INFO", style, "", lines)
    telemetry.logger("hub.test").info(f"event {FORGED}", value=FORGED, nested={FORGED: [FORGED, {"a": FORGED}]})
    logging.getLogger("uvicorn.error").info("%s", FORGED)
    assert len(lines.getvalue().splitlines()) == 2
    assert all(character.isprintable() or character == "\n" for character in lines.getvalue())


def test_the_lines_of_a_traceback_are_marked(lines: io.StringIO) -> None:
    telemetry.setup("INFO", "console", "", lines)
    try:
        raise ValueError(FORGED)
    except ValueError:
        telemetry.logger("hub.test").exception("broken")
    first, *rest = lines.getvalue().rstrip("\n").split("\n")
    assert "broken" in first
    assert any("forged" in line for line in rest)
    assert all(line.startswith("  | ") for line in rest)
    assert all(line.isprintable() for line in rest)


def test_warnings_are_logged(lines: io.StringIO) -> None:
    telemetry.setup("INFO", "json", "", lines)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn("old call", stacklevel=1)
    assert json.loads(lines.getvalue())["logger"] == "py.warnings"


@given(st.text())
def test_printable_is_printable_and_leaves_the_rest(text: str) -> None:
    shown = telemetry.printable(text)
    assert all(character.isprintable() or character == "\u3000" or character.isspace() for character in shown)
    assert len(f"a{shown}b".splitlines()) == 1
    assert text != text.encode("ascii", "ignore").decode() or not text.isprintable() or shown == text
