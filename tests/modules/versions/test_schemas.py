"""Versions and modules of another time or of two partners' own making are let through."""

import pytest

from hub.ocpi import types
from hub.ocpi.types import Finding
from modules.versions.schemas import Version, VersionDetails


@pytest.mark.catalogue("VER-006")
def test_a_later_version_is_noted() -> None:
    later = {"version": "2.3.0", "url": "https://ocpi.voltvagen.example/2.3.0"}
    assert types.check(Version, later) == [Finding("version", "unknown value")]


@pytest.mark.catalogue("VER-007", "VER-024")
def test_a_module_of_their_own_is_no_fault() -> None:
    own = {"identifier": "nltnm-tokens", "role": "SENDER", "url": "https://ocpi.voltvagen.example/own"}
    assert types.check(VersionDetails, {"version": "2.2.1", "endpoints": [own]}) == []
