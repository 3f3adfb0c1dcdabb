import os
import stat
from pathlib import Path

import pytest

from hub.services import ServiceError
from hub.services.data import DataDirectory, Running


@pytest.fixture
def data(tmp_path: Path) -> DataDirectory:
    directory = DataDirectory(tmp_path / "var")
    directory.create()
    return directory


def test_a_secret_is_made_once_and_readable_by_its_owner_only(data: DataDirectory) -> None:
    first = data.secret("api_token")
    assert data.secret("api_token") == first
    assert DataDirectory(data.path).secret("api_token") == first
    assert len(first) > 40
    assert stat.S_IMODE(data.secret_file("api_token").stat().st_mode) == 0o600
    assert stat.S_IMODE(data.secret_file("api_token").parent.stat().st_mode) == 0o700


def test_a_second_hub_is_refused_until_the_first_has_gone(data: DataDirectory) -> None:
    data.lock()
    second = DataDirectory(data.path)
    with pytest.raises(ServiceError, match=r"a hub is already running on .* \(process \d+\): stop it first"):
        second.lock()
    data.unlock()
    second.lock()
    second.unlock()


def test_commands_see_the_running_hub(data: DataDirectory) -> None:
    reader = DataDirectory(data.path)
    assert reader.running() is None
    data.lock()
    assert reader.running() is None
    data.announce("http://127.0.0.1:1", "ws://127.0.0.1:2")
    found = reader.running()
    assert isinstance(found, Running)
    assert found[:2] == ("http://127.0.0.1:1", "ws://127.0.0.1:2")
    data.unlock()
    assert reader.running() is None


def test_what_a_killed_hub_announced_is_not_believed(data: DataDirectory) -> None:
    data.announce("http://127.0.0.1:1", "ws://127.0.0.1:2")
    (data.path / "hub.lock").touch()
    assert data.running() is None


def test_data_of_another_user_is_refused(data: DataDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) == data.path)  # root may enter everywhere
    with pytest.raises(ServiceError, match="belongs to another user: start the hub as that user"):
        DataDirectory(data.path).create()


def test_a_place_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ServiceError, match=r"data directory .*file/var cannot be made .* --data"):
        DataDirectory(tmp_path / "file" / "var").create()
