"""A URL inside a query: encoded as it should be, and as the spec's samples print it."""

import pytest

from hub.ocpi import response_url
from hub.ocpi.errors import InvalidParameters

URL = "https://msp.example/ocpi/response?request_id=5678&more=1"
ENCODED = "https%3A%2F%2Fmsp.example%2Focpi%2Fresponse%3Frequest_id%3D5678%26more%3D1"


@pytest.mark.catalogue("CHP-009")
@pytest.mark.parametrize(
    "query",
    [
        f"duration=900&response_url={ENCODED}",
        f"response_url={ENCODED}&duration=900",
        "duration=900&response_url=https://msp.example/ocpi/response?request_id%3D5678%26more%3D1",
    ],
    ids=["last", "first", "sparingly"],
)
def test_encoded(query: str) -> None:
    assert response_url.read(query) == response_url.ProfileQuery(URL, 900, "duration=900")


def test_decoded_once() -> None:
    assert response_url.read("response_url=https%3A%2F%2Fm.example%2Fa%2520b").response_url == "https://m.example/a%20b"
    assert response_url.read("response_url=https://m.example/a%20b").response_url == "https://m.example/a%20b"


@pytest.mark.catalogue("CHP-041")
def test_as_it_is_everything_to_the_end_belongs_to_it() -> None:
    assert response_url.read(f"duration=900&response_url={URL}").response_url == URL
    assert response_url.read(f"response_url={URL}").response_url == URL
    assert response_url.read(f"response_url={URL}&duration=900") == response_url.ProfileQuery(URL, 900, "duration=900")
    own = response_url.read(f"duration=900&response_url={URL}&duration=1")
    assert (own.response_url, own.duration) == (f"{URL}&duration=1", 900)


@pytest.mark.catalogue("CHP-010")
def test_it_goes_on_with_another_url_and_all_else_as_it_came() -> None:
    query = response_url.read(f"x=%C3%A4&response_url={ENCODED}&duration=60")
    hub = "https://hub.example/ocpi/2.2.1/profile/abc"
    encoded = "https%3A%2F%2Fhub.example%2Focpi%2F2.2.1%2Fprofile%2Fabc"
    assert query.with_url(hub) == f"x=%C3%A4&duration=60&response_url={encoded}"
    assert response_url.read(query.with_url(hub)).response_url == hub


@pytest.mark.parametrize("query", ["", "duration=900", "response_url=", "xresponse_url=https://m.example"])
def test_without_one(query: str) -> None:
    with pytest.raises(InvalidParameters, match="response_url"):
        response_url.read(query)


@pytest.mark.parametrize("duration", ["-1", "1.5", "", "x", "99999999999"])
def test_a_duration_is_a_whole_number(duration: str) -> None:
    with pytest.raises(InvalidParameters, match="duration"):
        response_url.read(f"duration={duration}&response_url={ENCODED}")
