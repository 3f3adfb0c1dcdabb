import json
import re

import pytest

from tests.bench import calls, stock
from tests.bench.load import wrk
from tests.bench.load.wrk import MESSAGE, NUMBER, TIME, Shot

SAID = {
    "requests": 8_000, "seconds": 4.0, "p50_ms": 12.5, "p99_ms": 80.0, "cpu_s": 1.0,
    "lost": 0, "wrong": 0, "example": "",
}  # fmt: skip


def test_a_slot_is_as_long_as_what_will_stand_there() -> None:
    assert len(NUMBER) == len("000123")
    assert len(TIME) == len("2026-01-01T00:00:00.000Z")
    assert len(MESSAGE) == len("bench-") + 16


def test_a_template_is_a_whole_request_with_its_slots() -> None:
    body = stock.location(NUMBER, TIME)
    url = f"http://127.0.0.1:8000/receiver/locations/NL/CPA/{stock.location_id(NUMBER)}?a=b"
    head, _, content = Shot(url, "PUT", {"X-Request-ID": MESSAGE}, body).template().partition(b"\r\n\r\n")
    assert head.decode().split("\r\n") == [
        f"PUT /receiver/locations/NL/CPA/LOC{NUMBER}?a=b HTTP/1.1",
        "Host: 127.0.0.1:8000",
        f"X-Request-ID: {MESSAGE}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    assert content == body
    assert len(stock.location(17, "2026-01-01T00:00:00.000Z")) == len(body)


def test_the_script_knows_every_slot_of_a_template() -> None:
    script = wrk.SCRIPT.read_text()
    template = Shot("http://h/" + NUMBER, "PUT", {"X-Request-ID": MESSAGE}, stock.location(NUMBER, TIME)).template()
    names = set(re.findall(r"@-*([A-Z]+)-*@", template.decode()))  # as the script looks for them
    assert names == {"NR", "MESSAGE", "TIME"}
    assert all(re.search(rf"^        {name} = ", script, re.MULTILINE) for name in names)


def test_one_request_is_the_same_without_slots() -> None:
    shot = Shot(f"http://h/{stock.location_id(NUMBER)}", "PUT", {"X-Request-ID": MESSAGE}, stock.location(NUMBER, TIME))
    url, headers, body = shot.one(7, "2026-01-01T00:00:00.000Z")
    assert url == "http://h/LOC000007"
    assert body == stock.location(7, "2026-01-01T00:00:00.000Z")
    assert "@" not in headers["X-Request-ID"]


def test_the_callers_codes_and_the_path_are_those_of_the_owner() -> None:
    assert calls.LOCATIONS == "locations/NL/CPA"
    assert calls.shown("token", "NL*CPA", "DE*MSA")["OCPI-to-party-id"] == "MSA"


def test_what_wrk_says_becomes_a_run() -> None:
    run = wrk.read(json.dumps(SAID))
    assert (run.per_s, run.count, run.busy, run.p50_ms, run.p99_ms) == (2_000, 8_000, 0.25, 12.5, 80)
    assert run.faults == ()


@pytest.mark.parametrize(
    ("told", "fault"),
    [
        ({"wrong": 3, "example": "503 busy"}, "3 wrong answers: 503 busy"),
        ({"lost": 2}, "2 requests without an answer"),
        ({"requests": 0}, "no request was answered"),
    ],
)
def test_what_went_wrong_is_a_fault_of_the_run(told: dict[str, object], fault: str) -> None:
    assert wrk.read(json.dumps(SAID | told)).faults == (fault,)
