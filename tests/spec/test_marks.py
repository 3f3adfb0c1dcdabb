"""Reading marks from the source."""

from pathlib import Path

import pytest

from tests.spec import marks
from tests.spec.marks import Claim, Unreadable

SOURCE = """
import pytest

CASES = [pytest.param(1, marks=pytest.mark.catalogue("A-1")), 2]
IDS = {"one": "D-1", "two": "D-2"}


@pytest.mark.catalogue("B-2", "B-1")
def test_plain() -> None: ...


@pytest.mark.catalogue("C-1")
@pytest.mark.parametrize("case", CASES)
async def test_with_cases(case: int) -> None: ...


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.catalogue(IDS[n])) for n in IDS])
def test_by_name(name: str) -> None: ...


@pytest.mark.catalogue("E-1")
class TestTogether:
    @pytest.mark.catalogue("E-2")
    def test_one(self) -> None: ...

    def test_other(self) -> None: ...


def test_unmarked() -> None: ...


@pytest.mark.catalogue("F-1")
def helper() -> None: ...
"""


def read(folder: Path, source: str) -> list[Claim]:
    (folder / "test_it.py").write_text(source)
    return marks.read(folder, folder)


def test_marks_are_found_where_they_stand(tmp_path: Path) -> None:
    assert read(tmp_path, SOURCE) == [
        Claim("test_it.py::test_plain", ("B-1", "B-2")),
        Claim("test_it.py::test_with_cases", ("A-1", "C-1")),
        Claim("test_it.py::test_with_cases", ("C-1",)),
        Claim("test_it.py::test_by_name", ("D-1",)),
        Claim("test_it.py::test_by_name", ("D-2",)),
        Claim("test_it.py::TestTogether::test_one", ("E-1", "E-2")),
        Claim("test_it.py::TestTogether::test_other", ("E-1",)),
    ]


@pytest.mark.parametrize("ids", ["ID", "*ROWS", "f'{x}-1'", "ROWS[0]"])
def test_a_mark_that_cannot_be_looked_up_is_an_error(tmp_path: Path, ids: str) -> None:
    source = f"import pytest\nROWS = ['A-1']\n@pytest.mark.catalogue({ids})\ndef test_it(): ...\n"
    with pytest.raises(Unreadable, match=r"^test_it\.py:3: "):
        read(tmp_path, source)


def test_ids_without_a_row_and_too_many_of_them_are_faults() -> None:
    claims = [Claim("a", ("A-1", "A-2", "A-3")), Claim("b", ("A-1", "A-2", "A-3", "A-4"))]
    assert marks.faults(claims, {"A-1", "A-2", "A-3"}) == [
        "b: there is no row A-4",
        "b: claims 4 rows, 3 at most",
    ]


def test_each_test_stands_once_at_its_row() -> None:
    claims = [Claim("a", ("A-1",)), Claim("a", ("A-1", "A-2")), Claim("b", ("A-1",))]
    assert marks.by_row(claims) == {"A-1": ["a", "b"], "A-2": ["a"]}
