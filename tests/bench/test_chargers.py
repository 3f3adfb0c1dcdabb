import json

import pytest

from hub.bridge import schemas
from tests.bench.benches import ocpp
from tests.bench.load import chargers


@pytest.mark.parametrize("length", [0, 125, 126, 1_000])
def test_a_frame_is_masked_and_says_its_length(length: int) -> None:
    frame = chargers.frame(b"x" * length)
    header = 2 if length < 126 else 4
    assert frame[0] == 0x81
    assert frame[1] == 0x80 | min(length, 126)
    assert frame[header : header + 4] == b"\0\0\0\0"
    assert frame[header + 4 :] == b"x" * length


def test_frames_of_a_server_are_told_apart_and_a_part_is_kept() -> None:
    long = b"y" * 300
    data = b"\x81\x02[]" + b"\x89\x00" + b"\x81\x7e\x01\x2c" + long + b"\x81\x05[3,"
    assert chargers.frames(data) == ([(0x81, b"[]"), (0x89, b""), (0x81, long)], b"\x81\x05[3,")
    assert chargers.frames(b"\x81") == ([], b"\x81")
    assert chargers.frames(b"\x81\x7e\x01") == ([], b"\x81\x7e\x01")


def test_a_message_has_ten_samples_and_keeps_to_the_schema() -> None:
    before, between, among, after = chargers.meter_values(42)
    text = b"".join((before, b"000000000001", between, b"2026-01-01T00:00:00Z", among, b"1500", after))
    kind, message_id, action, payload = json.loads(text)
    assert (kind, message_id, action, payload["transactionId"]) == (2, "000000000001", "MeterValues", 42)
    assert len(payload["meterValue"][0]["sampledValue"]) == 10
    assert schemas.read(action, payload) == (payload, None)


def test_what_the_chargers_say_becomes_a_run() -> None:
    told = {"count": 900, "seconds": 3.0, "cpu_s": 0.6, "p50_ms": 5.0, "p99_ms": 9.0, "wrong": 0, "lost": 0}
    run = ocpp.read(json.dumps(told))
    assert (run.per_s, run.count, run.p99_ms, run.faults) == (300, 900, 9, ())
    assert run.busy == pytest.approx(0.2)
    faults = ocpp.read(json.dumps(told | {"wrong": 1, "lost": 2})).faults
    assert faults == ("1 answers that are no CALLRESULT", "2 messages without an answer")
