from decimal import Decimal

import pytest
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


# A lone "-" stands for "nothing here", which a paragraph leaves out.
WORDS = st.lists(st.text("abc0189-.*", min_size=1, max_size=36).filter(lambda word: word != "-"), max_size=6).map(
    " ".join
)


@given(st.integers(1, 9).flatmap(lambda columns: st.lists(st.tuples(*[WORDS] * columns), min_size=1, max_size=3)))
def test_no_word_is_cropped_or_broken(rows: list[tuple[str, ...]]) -> None:
    headings = [f"H{number}" for number in range(len(rows[0]))]
    shown = " ".join(tables.table(headings, rows, "nothing")).split()
    wanted = [word for row in rows for cell in row for word in cell.split()]
    assert [word for word in wanted if word not in shown] == []


def test_a_bill_keeps_its_digits_and_its_state() -> None:
    row = ("NL*LOC", "DE*MSA", IDS[0], "2026-11-21 16:45:42", "5.000", "2.2500 EUR", "2.7225 EUR", "delivered")
    shown = " ".join(tables.table(("OWNER", "RECEIVER", "ID", "ENDED", "KWH", "EXCL", "INCL", "STATE"), [row], ""))
    assert all(word in shown.split() for value in row for word in value.split())


IDS = ("8c4b9d1e-0000-4000-8000-0123456789ab", "6f1d2c3b-0000-4000-8000-ba9876543210")
ROW = (*IDS, "NL*CPA", "a reason of several words that may be broken")


def test_ids_are_kept_whole_where_there_is_room() -> None:
    lines = tables.table(("ID", "OTHER", "OWNER", "WHY"), [ROW], "nothing")
    assert any(IDS[0] in line and IDS[1] in line for line in lines)


def test_where_there_is_not_each_row_is_a_paragraph(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "width", lambda: 80)
    lines = tables.table(("ID", "OTHER", "OWNER", "EMPTY", "WHY"), [(*ROW[:3], None, ROW[3])] * 2, "nothing")
    assert lines[:4] == [
        f"ID     {IDS[0]}",
        f"OTHER  {IDS[1]}",
        "OWNER  NL*CPA",
        "WHY    a reason of several words that may be broken",
    ]
    assert lines[4:] == ["", *lines[:4]]


@pytest.mark.parametrize("columns", [80, 100])
def test_no_heading_is_cut(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "width", lambda: columns)
    headings = ("ID", "NAME", "STATUS", "PARTIES", "SEEN", "BEHIND", "OWED", "PARKED", "BACKFILLS")
    row = (2, "DE*MSA", "CONNECTED", ["DE*MSA:EMSP"], "2026-11-21 15:40:35", 1_000_000, 0, 0, 0)
    shown = "\n".join(tables.table(headings, [row], "nothing"))
    assert all(heading in shown for heading in headings)
    assert max(map(len, shown.splitlines())) <= columns
