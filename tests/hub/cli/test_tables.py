from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from hub import telemetry
from hub.cli import tables


@given(st.lists(st.tuples(st.text(max_size=300), st.text(max_size=300), st.integers()), max_size=5))
def test_a_table_fits_whatever_partners_wrote(rows: list[tuple[str, str, int]]) -> None:
    lines = tables.table(("ONE", "OTHER", "NUMBER"), rows, "nothing")
    assert all(cell_len(line) <= tables.WIDTH and telemetry.printable(line) == line for line in lines)


def test_markup_and_control_characters_are_shown_as_they_are() -> None:
    shown = "\n".join(tables.table(("NAME",), [("[bold]x[/bold] \x1b[2J",)], "nothing"))
    assert "[bold]x[/bold] \\x1b[2J" in shown


def test_nothing_to_show() -> None:
    assert tables.table(("NAME",), [], "no party yet") == ["no party yet"]


def test_details_leave_out_what_is_not_there() -> None:
    assert tables.details({"name": "A", "versions_url": None, "id": 7, "strict": False}) == [
        "name    A",
        "id      7",
        "strict  no",
    ]


def test_values_for_people() -> None:
    assert tables.plain(Decimal("0.10")) == "0.10"
    assert tables.plain(["a", "b"]) == "a, b"
    assert tables.plain(None) == tables.plain([]) == tables.moment(None) == "-"
    assert tables.moment("2026-11-21T12:00:00.123456Z") == "2026-11-21 12:00:00"
