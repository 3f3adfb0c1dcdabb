"""The basic types, and the check: what is let through, what is refused, and what neither may say."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hub.ocpi import json, types
from hub.ocpi.errors import InvalidParameters
from hub.ocpi.types import Finding, PartyId


class Colour(StrEnum):
    RED = "RED"


class Leaf(types.Schema):
    id: types.Id36
    colour: Colour


class Branch(types.Schema):
    leaves: types.Some[Leaf]
    nickname: types.String10 | None = None
    width: types.Int5 | None = None


class Tree(types.Schema):
    name: types.CiString3
    tall: types.Boolean
    planted: types.DateTime
    height: types.Number
    rings: types.Int
    photo: types.Url | None = None
    colours: types.Many[Colour] = None
    nests: types.Many[types.CiString3] = None
    twin: Leaf | None = None
    branches: Annotated[types.Many[Branch], types.Structural] = None


def tree(**changes: Any) -> dict[str, Any]:
    sound = {"name": "Oak", "tall": True, "planted": "2026-01-01T00:00:00Z", "height": Decimal("2.5"), "rings": 7}
    return sound | changes


def leaf(**changes: Any) -> dict[str, Any]:
    return {"id": "1", "colour": "RED"} | changes


def refusal(data: Any) -> str:
    with pytest.raises(InvalidParameters) as raised:
        types.check(Tree, data)
    return raised.value.message


# --- parties ---


@pytest.mark.catalogue("TYP-003", "TYP-022")
def test_a_party_has_one_name() -> None:
    assert PartyId.of("nl", "cpa") == PartyId.parse("NL*cpa") == ("NL", "CPA")
    assert str(PartyId.of("nl", "c1a")) == f"{PartyId.parse('nl*c1a')}" == "NL*C1A"


@pytest.mark.parametrize("text", ["", "NL", "NLCPA", "NL*", "*CPA", "NLD*CPA", "NL*CPAX", "N1*CPA", "NL*C-A", "NL*CP*"])
def test_what_names_no_party(text: str) -> None:
    with pytest.raises(InvalidParameters):
        PartyId.parse(text)


@pytest.mark.parametrize(("country_code", "party_id"), [("NL\n", "CPA"), ("ŁL", "CPA"), ("NL", "ÇPA"), ("NL", "٣٣٣")])
def test_a_party_is_plain_letters_and_digits(country_code: str, party_id: str) -> None:
    with pytest.raises(InvalidParameters) as raised:
        PartyId.of(country_code, party_id)
    assert country_code not in raised.value.message
    assert party_id not in raised.value.message


# --- times ---

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        pytest.param("2026-01-01T00:00:00Z", NEW_YEAR, marks=pytest.mark.catalogue("TYP-004", "CDR-038")),
        pytest.param("2026-01-01T00:00:00", NEW_YEAR, marks=pytest.mark.catalogue("TYP-005")),
        ("2026-01-01t00:00:00z", NEW_YEAR),
        pytest.param("2026-01-01T02:30:00+02:30", NEW_YEAR, marks=pytest.mark.catalogue("TYP-007")),
        pytest.param("2025-12-31T23:00:00-01:00", NEW_YEAR, marks=pytest.mark.catalogue("TYP-007")),
        pytest.param(
            "2026-01-01T00:00:00.5Z", NEW_YEAR.replace(microsecond=500_000), marks=pytest.mark.catalogue("TYP-008")
        ),
        pytest.param(
            "2026-01-01T00:00:00.123456789Z",
            NEW_YEAR.replace(microsecond=123_456),
            marks=pytest.mark.catalogue("TYP-008"),
        ),
        ("1970-01-01T00:00:00Z", datetime(1970, 1, 1, tzinfo=UTC)),
    ],
)
def test_times_that_are_read(text: str, moment: datetime) -> None:
    assert types.parse_datetime(text) == moment
    assert types.parse_datetime(text).tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-01-01",
        "2026-01-01 00:00:00Z",
        "2026-01-01T00:00Z",
        "20260101T000000Z",
        "2026-W01-1T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:00:00+24:00",
        "2026-01-01T00:00:00Z ",
        "2026-01-01T00:00:00Z\n",
        "٢٠٢٦-01-01T00:00:00Z",
        "1970-1-1T00:00:00Z",
        "1970-01-02T00:00:00Z",
        "1999-12-31T23:59:59Z",
        "2101-01-01T00:00:00Z",
        "0001-01-01T00:00:00+02:00",
        "9999-12-31T23:59:59-02:00",
    ],
)
def test_times_that_are_not(text: str) -> None:
    with pytest.raises(ValueError, match="must be a time") as raised:
        types.parse_datetime(text)
    assert len(text) < 12 or text not in str(raised.value)


@pytest.mark.catalogue("TYP-004", "TYP-006")
def test_times_as_written() -> None:
    assert types.format_datetime(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00Z"
    assert types.format_datetime(datetime(2026, 1, 1, 0, 0, 0, 123_456, UTC)) == "2026-01-01T00:00:00.123Z"
    assert types.format_datetime(datetime(2026, 1, 1, 0, 0, 0, 999, UTC)) == "2026-01-01T00:00:00Z"
    assert types.format_datetime(datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=2)))) == "2025-12-31T22:00:00Z"


@given(st.integers(0, 100 * 365 * 86_400 * 1000))
def test_times_there_and_back(milliseconds: int) -> None:
    moment = datetime(2000, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    text = types.format_datetime(moment)
    assert len(text) <= 25
    assert types.parse_datetime(text) == moment


# --- text ---


@pytest.mark.catalogue("TYP-001", "TOK-036")
def test_ci_strings_are_compared_without_case() -> None:
    assert types.same("NL-CPA-c1", "nl-cpa-C1")
    assert types.same(None, None)
    assert not types.same("a", None)
    assert not types.same(None, "a")
    assert not types.same("a", "b")
    assert types.fold("aB*1") == "AB*1"


# --- the check ---


@pytest.mark.catalogue("VER-030", "VER-031", "TYP-018")
def test_sound_bodies_have_no_findings() -> None:
    assert types.check(Tree, tree()) == []
    assert types.check(Tree, tree(height=2, rings=Decimal("7.0"), photo="https://oak.example/a?b=c")) == []
    assert types.check(Tree, tree(photo=None, colours=None, nests=[], twin=None, branches=[], custom={"x": 1})) == []
    assert (
        types.check(
            Tree, tree(branches=[{"leaves": [leaf(), leaf(shape="x")], "nickname": "Åsa" * 3 + "Å", "width": 5}])
        )
        == []
    )


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"name": "Oaks"}, Finding("name", "longer than 3 characters")),
        pytest.param(
            {"name": "Öak"},
            Finding("name", "holds characters that are not allowed here"),
            marks=pytest.mark.catalogue("TYP-001"),
        ),
        ({"photo": "ftp://oak"}, Finding("photo", "holds characters that are not allowed here")),
        ({"photo": 5}, Finding("photo", "must be a string")),
        pytest.param(
            {"photo": "https://oak.example/" + "x" * 255},
            Finding("photo", "longer than 255 characters"),
            marks=pytest.mark.catalogue("TYP-019"),
        ),
        pytest.param(
            {"colours": ["RED", "red"]},
            Finding("colours[1]", "unknown value"),
            marks=pytest.mark.catalogue("TYP-017", "LOC-066"),
        ),
        ({"colours": [1]}, Finding("colours[0]", "must be a string")),
        ({"colours": "RED"}, Finding("colours", "must be a list")),
        ({"nests": ["four"]}, Finding("nests[0]", "longer than 3 characters")),
        ({"twin": []}, Finding("twin", "must be an object")),
        ({"twin": leaf(colour="BLUE")}, Finding("twin.colour", "unknown value")),
        (
            {"branches": [{"leaves": [leaf()], "width": 100_000}]},
            Finding("branches[0].width", "must be at most 99999"),
        ),
        pytest.param(
            {"branches": [{"leaves": [leaf()], "nickname": "\n"}]},
            Finding("branches[0].nickname", "holds characters that are not allowed here"),
            marks=pytest.mark.catalogue("TYP-016"),
        ),
        pytest.param(
            {"branches": [{"leaves": [leaf()], "nickname": "Ö" * 11}]},
            Finding("branches[0].nickname", "longer than 10 characters"),
            marks=pytest.mark.catalogue("TYP-018"),
        ),
        ({"branches": [{"leaves": [leaf(colour="BLUE")]}]}, Finding("branches[0].leaves[0].colour", "unknown value")),
    ],
)
def test_what_is_let_through(changes: dict[str, Any], finding: Finding) -> None:
    assert types.check(Tree, tree(**changes)) == [finding]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": 5}, "name: must be a string"),
        ({"name": None}, "name: must be a string"),
        ({"tall": 1}, "tall: must be true or false"),
        ({"tall": "true"}, "tall: must be true or false"),
        pytest.param({"height": "2.5"}, "height: must be a number", marks=pytest.mark.catalogue("TYP-011")),
        ({"height": True}, "height: must be a number"),
        ({"height": 2.5}, "height: must be a number"),
        ({"height": Decimal("NaN")}, "height: must be a number"),
        ({"rings": Decimal("7.5")}, "rings: must be a whole number"),
        ({"rings": False}, "rings: must be a whole number"),
        ({"rings": "7"}, "rings: must be a whole number"),
        ({"planted": "yesterday"}, "planted: must be a time like 2026-01-01T00:00:00Z"),
        ({"planted": "2026-02-30T00:00:00Z"}, "planted: must be a time that exists, like 2026-01-01T00:00:00Z"),
        ({"planted": "2999-01-01T00:00:00Z"}, "planted: must be a time between the years 2000 and 2100"),
        ({"planted": 1767225600}, "planted: must be a time like 2026-01-01T00:00:00Z"),
        ({"twin": {"colour": "RED"}}, "twin.id: field required"),
        ({"twin": leaf(id="")}, "twin.id: must not be empty"),
        ({"branches": {}}, "branches: must be a list"),
        ({"branches": ["oak"]}, "branches[0]: must be an object"),
        ({"branches": [{}]}, "branches[0].leaves: field required"),
        pytest.param(
            {"branches": [{"leaves": []}]},
            "branches[0].leaves: must have at least one element",
            marks=pytest.mark.catalogue("VER-032"),
        ),
        ({"branches": [{"leaves": [leaf(), {"id": "2"}]}]}, "branches[0].leaves[1].colour: field required"),
        ({"branches": [{"leaves": [leaf(colour=1)]}]}, "branches[0].leaves[0].colour: must be a string"),
        ({"branches": [{"leaves": [leaf(colour=None)]}]}, "branches[0].leaves[0].colour: must be a string"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], message: str) -> None:
    assert refusal(tree(**changes)) == message


@pytest.mark.parametrize("body", [None, [], "oak", 5])
def test_a_body_that_is_no_object(body: Any) -> None:
    assert refusal(body) == "body: must be an object"


def test_at_most_five_are_named() -> None:
    assert refusal({"name": "Oak"}) == (
        "tall: field required; planted: field required; height: field required; rings: field required"
    )
    assert refusal({}).count("field required") == 5
    assert refusal({"branches": [{}, {}]}).endswith("rings: field required; and 2 more")


def test_a_flood_of_faults_is_not_counted() -> None:
    assert refusal(tree(colours=["BLUE"] * 5001)) == "body: more than 5000 faults"
    assert len(types.check(Tree, tree(colours=["BLUE"] * 5000))) == 5000


def test_a_refusal_leaves_out_what_was_tolerated() -> None:
    assert refusal(tree(rings="7", name="Oaks", photo=1)) == "rings: must be a whole number"


@given(st.dictionaries(st.sampled_from(sorted(Tree.model_fields)), st.just("secret") | st.just(["secret"])))
def test_nothing_is_echoed(changes: dict[str, Any]) -> None:
    try:
        told = str(types.check(Tree, tree(**changes)))
    except InvalidParameters as raised:
        told = raised.message
    assert "secret" not in told


def test_a_schema_is_frozen_and_keeps_what_it_does_not_know() -> None:
    body = tree(custom="x", height=Decimal("2.50"))
    oak, field = Tree.model_validate(body), "name"
    assert json.loads(json.dumps(oak.model_dump(exclude_unset=True))) == body
    assert oak.model_dump(mode="json")["height"] == "2.50"
    with pytest.raises(ValidationError):
        setattr(oak, field, "Elm")
