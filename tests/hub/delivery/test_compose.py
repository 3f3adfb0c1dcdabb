"""hub.delivery.compose: the requests that bring a receiver up to date."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.delivery import compose
from hub.delivery.need import WHOLE, Need
from modules.catalog import CDRS, LOCATIONS, SESSIONS, TARIFFS, TOKENS

Maker = Callable[..., Any]
STATUS: Need = {"E1": frozenset({"status", "last_updated"})}


def _methods(found: list[compose.Message]) -> list[tuple[str, str]]:
    return [(message.method, message.path) for message in found]


def _body(message: compose.Message) -> Any:
    return json.loads(message.body or b"null")


@pytest.mark.catalogue("TF-052")
def test_fields_of_one_evse_go_as_a_patch_with_its_time(kept: Maker, location: Maker) -> None:
    row = kept(location(1, E1=(7, "CHARGING"), E2=(1, "AVAILABLE")))
    (message,) = compose.messages(LOCATIONS, STATUS, None, row)
    assert (message.method, message.path) == ("PATCH", "NL/CPA/Loc%201/E1")
    assert _body(message) == {"status": "CHARGING", "last_updated": "2026-01-01T00:07:00Z"}
    assert message.for_everybody


def test_fields_of_one_connector_go_as_a_patch(kept: Maker, location: Maker) -> None:
    row = kept(location(1, e1=(7, "CHARGING")))
    (message,) = compose.messages(LOCATIONS, {"E1/1": frozenset({"max_voltage"})}, None, row)
    assert (message.method, message.path) == ("PATCH", "NL/CPA/Loc%201/e1/1")
    assert _body(message) == {"max_voltage": 230, "last_updated": "2026-01-01T00:07:00Z"}


@pytest.mark.parametrize(
    ("need", "expected"),
    [
        (WHOLE, [("PUT", "NL/CPA/Loc%201")]),
        ({"": frozenset({"name"})}, [("PUT", "NL/CPA/Loc%201")]),
        ({"E1": None}, [("PUT", "NL/CPA/Loc%201/E1")]),
        ({"E1/1": None}, [("PUT", "NL/CPA/Loc%201/E1/1")]),
        ({"E1": frozenset({"connectors"})}, [("PUT", "NL/CPA/Loc%201/E1")]),
        ({"E1": frozenset({"status"}), "E1/1": frozenset({"max_voltage"})}, [("PUT", "NL/CPA/Loc%201/E1")]),
        pytest.param(
            {"E1": frozenset({"left_out_now"})},
            [("PUT", "NL/CPA/Loc%201/E1")],
            marks=pytest.mark.catalogue("TF-055"),
        ),
        ({"E9": frozenset({"status"})}, [("PUT", "NL/CPA/Loc%201")]),
        ({f"E{n}": frozenset({"status"}) for n in (1, 2, 3)}, [("PATCH", f"NL/CPA/Loc%201/E{n}") for n in (1, 2, 3)]),
        ({f"E{n}": frozenset({"status"}) for n in (1, 2, 3, 4)}, [("PUT", "NL/CPA/Loc%201")]),
    ],
)
def test_what_goes_out(kept: Maker, location: Maker, need: Need, expected: list[tuple[str, str]]) -> None:
    row = kept(location(1, **{f"E{n}": (n, "AVAILABLE") for n in (1, 2, 3, 4)}))
    assert _methods(compose.messages(LOCATIONS, need, None, row)) == expected


@pytest.mark.catalogue("TF-050", "TF-127")
def test_the_whole_object_of_one_row_goes_byte_for_byte(kept: Maker, location: Maker) -> None:
    row = kept(location(1, E1=(1, "AVAILABLE")) | {"surprise": [1, 2.5]})
    (message,) = compose.messages(LOCATIONS, WHOLE, None, row)
    assert message.body == row.body.encode()


def test_a_mix_of_two_rows_is_never_patched_and_comes_from_whom_the_level_is(kept: Maker, location: Maker) -> None:
    own = kept(location(5, "own", E1=(5, "AVAILABLE")), "DE*MSA")
    everybody = kept(location(1, "all", E1=(9, "CHARGING")), times={"": "2026-01-01T00:01:00Z"} | _of("E1", 9))
    (evse,) = compose.messages(LOCATIONS, STATUS, own, everybody)
    assert (evse.method, evse.path, evse.for_everybody) == ("PUT", "NL/CPA/Loc%201/E1", True)
    assert _body(evse)["status"] == "CHARGING"
    (whole,) = compose.messages(LOCATIONS, WHOLE, own, everybody)
    assert (whole.method, whole.for_everybody, _body(whole)["name"]) == ("PUT", False, "own")
    (alone,) = compose.messages(LOCATIONS, STATUS, own, None)
    assert (alone.method, alone.for_everybody) == ("PATCH", False)


@pytest.mark.catalogue("TAR-002", "SES-027", "TOK-011")
def test_modules_differ(kept: Maker, location: Maker) -> None:
    body = location(1) | {"uid": "T/1", "type": "APP_USER"}
    row = kept(body)
    assert _methods(compose.messages(TARIFFS, WHOLE, None, kept(body, deleted=True))) == [("DELETE", "NL/CPA/Loc%201")]
    assert compose.messages(LOCATIONS, WHOLE, None, kept(body, deleted=True)) == []
    assert _methods(compose.messages(SESSIONS, {"": frozenset({"kwh"})}, row, None)) == [("PUT", "NL/CPA/Loc%201")]
    tokens = compose.messages(TOKENS, {"": frozenset({"valid"})}, None, row)
    assert _methods(tokens) == [("PUT", "NL/CPA/T%2F1?type=APP_USER")]
    assert _methods(compose.messages(CDRS, WHOLE, row, None)) == [("POST", "")]
    assert compose.messages(TARIFFS, WHOLE, None, None) == []


paths = st.sampled_from(["", "E1", "E2", "E9", "E1/1", "E1/7"])
needs = st.dictionaries(paths, st.none() | st.frozensets(st.sampled_from(["status", "gone", "connectors"])), min_size=1)


@given(needs, st.booleans())
def test_every_need_is_met(kept: Maker, location: Maker, need: Need, mixed: bool) -> None:
    """Whatever is owed, each changed level is inside something that goes out."""
    everybody = kept(location(1, E1=(1, "A"), E2=(2, "B")))
    own = kept(location(2, "own", E1=(3, "C")), "DE*MSA") if mixed else None
    found = compose.messages(LOCATIONS, need, own, everybody)
    sent = {message.level for message in found}
    for level in need:
        assert any(level == one or one == "" or level.startswith(one + "/") for one in sent), (need, sent)
    assert all(message.method in ("PUT", "PATCH") for message in found)


def _of(evse: str, minute: int) -> dict[str, str]:
    stamp = f"2026-01-01T00:{minute:02}:00Z"
    return {evse: stamp, f"{evse}/1": stamp}


@pytest.mark.parametrize(
    ("need", "method", "level", "said"),
    [
        (STATUS, "PATCH", "E1", None),
        ({"E1": None}, "PUT", "E1", None),
        (WHOLE, "PUT", "", None),
        (WHOLE, "DELETE", "", None),
        (WHOLE, "POST", "", None),
        (STATUS, "PUT", "E1", "sent as PUT of E1, not as PATCH"),
        (STATUS, "PUT", "", "sent as PUT of the whole object"),
        ({"E1/1": None, "E1/2": None}, "PUT", "E1", "sent as PUT of E1"),
    ],
)
def test_how_a_message_departs_from_what_was_pushed(need: Need, method: str, level: str, said: str | None) -> None:
    assert compose.departure(need, compose.Message(method, "NL/CPA/L", b"{}", level, True)) == said


@pytest.mark.parametrize(
    ("patch", "need", "expected"),
    [
        ("yes", {"E1": frozenset({"status", "capabilities"})}, {"E1": frozenset({"status", "capabilities"})}),
        ("no", {"E1": frozenset({"status"}), "E2": None}, {"E1": None, "E2": None}),
        ("no_lists", {"E1": frozenset({"status"})}, {"E1": frozenset({"status"})}),
        ("no_lists", {"E1": frozenset({"status", "capabilities"})}, {"E1": None}),
        ("no_lists", {"E1/1": frozenset({"tariff_ids"}), "E2/1": frozenset({"max_voltage"})},
         {"E1/1": None, "E2/1": frozenset({"max_voltage"})}),
        ("no_lists", {"": frozenset({"images"})}, {"": None}),
    ],
)  # fmt: skip
def test_who_takes_no_patch_is_owed_the_level_as_a_whole(patch: str, need: Need, expected: Need) -> None:
    assert compose.need_for(LOCATIONS, need, patch) == expected
