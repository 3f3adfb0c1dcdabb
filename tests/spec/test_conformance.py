"""CONFORMANCE.md is what the marks say, and the marks say nothing wrong."""

from tests.spec import catalogue, marks, page
from tests.spec.table import Evidence

AGAIN = "run `./run conformance --collect --write`"


def test_marks_and_data_files_are_sound() -> None:
    rows, claims = catalogue.read(), marks.read()
    assert marks.faults(claims, {row.id for row in rows}) == []
    assert catalogue.faults(rows, set(marks.by_row(claims))) == []


def test_the_page_is_that_of_the_marks() -> None:
    assert page.FILE.read_text(encoding="utf-8") == page.render(
        catalogue.read(), Evidence(marks.by_row(marks.read()))
    ), AGAIN
