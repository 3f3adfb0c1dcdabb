from pathlib import Path

from hub.settings import Settings
from hub.watch.room import room

OURS = "postgresql://owner:secret@127.0.0.1:5555/knutpunkt"


def test_the_limit_of_the_operator_comes_first(tmp_path: Path) -> None:
    found = room(Settings(database_url=OURS, database_limit=2, data=tmp_path), 2**30)
    assert found is not None
    assert (found.used, found.limit) == (2**30, 2**31)


def test_the_disk_is_watched_where_the_database_is_our_own(tmp_path: Path) -> None:
    settings = Settings(database_url=OURS, data=tmp_path)
    assert room(settings, 1) is None
    (tmp_path / "postgres").mkdir()
    pid_file = tmp_path / "postgres" / "postmaster.pid"
    pid_file.write_text("42\n/data\n1767225600\n5555\n/tmp\nlocalhost\n")
    found = room(settings, 1)
    assert found is not None
    assert 0 < found.used <= found.limit
    pid_file.write_text("42\n/data\n1767225600\n6666\n/tmp\nlocalhost\n")
    assert room(settings, 1) is None
    assert room(Settings(database_url="postgresql://owner@db.example:6666/k", data=tmp_path), 1) is None
