"""hub.delivery.send: URLs below an endpoint."""

import pytest

from hub.delivery.send import join


@pytest.mark.parametrize("endpoint", ["https://msa.example/tokens", "https://msa.example/tokens/"])
def test_one_slash_between_the_endpoint_and_what_follows(endpoint: str) -> None:
    assert join(endpoint, "NL/CPA/1") == join(endpoint, "/NL/CPA/1") == "https://msa.example/tokens/NL/CPA/1"
    assert join(endpoint, "") == endpoint
    assert join(endpoint, "NL/CPA/1?type=APP_USER") == "https://msa.example/tokens/NL/CPA/1?type=APP_USER"
    assert join(endpoint, "A1", "type=RFID") == "https://msa.example/tokens/A1?type=RFID"


@pytest.mark.parametrize("endpoint", ["https://msa.example/tokens", "https://msa.example/tokens/"])
def test_a_slash_at_the_end_for_those_who_want_it(endpoint: str) -> None:
    assert join(endpoint, "", slash=True) == "https://msa.example/tokens/"
    assert join(endpoint, "NL/CPA/1", slash=True) == "https://msa.example/tokens/NL/CPA/1/"
    assert join(endpoint, "NL/CPA/1?type=APP_USER", slash=True) == "https://msa.example/tokens/NL/CPA/1/?type=APP_USER"
