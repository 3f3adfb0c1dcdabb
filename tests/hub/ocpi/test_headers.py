"""The Authorization header in all the forms partners send, routing pairs and message ids."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.ocpi import headers
from hub.ocpi.errors import InvalidParameters
from hub.ocpi.types import PartyId
from hub.store.seal import new_token

tokens = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=64)


@pytest.mark.catalogue("TF-004", "TF-005", "TF-006")
@given(tokens)
def test_what_is_encoded_is_found_first(token: str) -> None:
    header = headers.encode_token(token)
    assert header == "Token " + base64.b64encode(token.encode()).decode()
    assert headers.candidates(header)[0] == token


@pytest.mark.catalogue("TF-007")
@given(tokens)
def test_a_raw_token_is_among_the_candidates(token: str) -> None:
    assert token in headers.candidates(headers.encode_token(token, "raw"))


def test_the_samples_of_the_spec_decode_to_the_token_without_their_line_feed() -> None:
    shown = base64.b64encode(b"example-token\n").decode()
    assert "example-token" in headers.candidates(f"Token {shown}")


@pytest.mark.catalogue("TF-013")
def test_scheme_and_blanks_are_read_leniently() -> None:
    assert headers.candidates("  tOkEn   abc-def ") == ["abc-def"]


@pytest.mark.parametrize("header", [None, "", "Token", "Token ", "Bearer abc", "abc"])
def test_what_is_no_token_header_gives_nothing(header: str | None) -> None:
    assert headers.candidates(header) == []


def test_our_own_tokens_are_read_in_one_way_only() -> None:
    for _ in range(50):
        token = new_token()
        assert len(token) <= 64
        assert headers.candidates(f"Token {token}") == [token]


@pytest.mark.catalogue("TF-082")
def test_half_a_routing_pair_is_malformed() -> None:
    with pytest.raises(InvalidParameters):
        headers.party({headers.TO_PARTY: "CPA"}, headers.TO_COUNTRY, headers.TO_PARTY)


@pytest.mark.catalogue("TF-078")
def test_a_routing_pair_is_read_without_regard_to_case() -> None:
    given_headers = {headers.TO_COUNTRY: "nl", headers.TO_PARTY: "cpa"}
    assert headers.party(given_headers, headers.TO_COUNTRY, headers.TO_PARTY) == PartyId.parse("NL*CPA")
    assert headers.party({}, headers.TO_COUNTRY, headers.TO_PARTY) is None


@pytest.mark.parametrize("bad", [None, "", "a b", "x" * 65, "line\nfeed", "é"])
def test_an_unfit_message_id_is_replaced(bad: str | None) -> None:
    assert headers.message_id(bad) != bad
    assert headers.message_id("abc-1") == "abc-1"


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": " 007 "}, 7),
        ({"Retry-After": "Sat, 21 Nov 2026 21:00:40 GMT", "Date": "Sat, 21 Nov 2026 21:00:00 GMT"}, 40),
        ({"Retry-After": "Sat, 21 Nov 2026 20:00:00 GMT", "Date": "Sat, 21 Nov 2026 21:00:00 GMT"}, 0),
        ({"Retry-After": "Sat, 21 Nov 2026 21:00:40 -0000", "Date": "Sat, 21 Nov 2026 21:00:00 GMT"}, None),
        ({"Retry-After": "Sat, 21 Nov 2026 21:00:40 GMT"}, None),
        *(
            ({"Retry-After": text}, None)
            for text in ("", "soon", "-1", "1.5", "9" * 10, "Sat, 99 Nov 2026 21:00:40 GMT")
        ),
        ({}, None),
    ],
)
def test_how_long_an_answer_asks_to_wait(given: dict[str, str], seconds: float | None) -> None:
    assert headers.retry_after(given) == seconds
