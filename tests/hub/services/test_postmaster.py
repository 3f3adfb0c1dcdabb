from pathlib import Path

import pytest

from hub.services.postmaster import NO_PROCESS, Postmaster

LINES = ["4711", "/data", "1700000000", "5432", "", "127.0.0.1", "  123456   7", "ready   "]


@pytest.mark.parametrize(
    ("lines", "ready"),
    [(LINES, True), (["1", *LINES[1:]], False), ([*LINES[:7], "starting"], False), (LINES[:7], False), ([], False)],
)
def test_ready_is_what_the_file_says_of_our_server(lines: list[str], ready: bool, tmp_path: Path) -> None:
    (tmp_path / "postmaster.pid").write_text("\n".join(lines))
    assert Postmaster(tmp_path).is_ready(4711) is ready


def test_no_file_is_not_ready(tmp_path: Path) -> None:
    assert not Postmaster(tmp_path).is_ready(4711)


async def test_the_number_is_taken_out_and_the_way_to_the_memory_stays(tmp_path: Path) -> None:
    (tmp_path / "postmaster.pid").write_text("\n".join(["1", *LINES[1:]]))
    await Postmaster(tmp_path).stop_leftover()
    assert (tmp_path / "postmaster.pid").read_text().splitlines() == [
        str(NO_PROCESS),
        *(line.strip() for line in LINES[1:]),
    ]
