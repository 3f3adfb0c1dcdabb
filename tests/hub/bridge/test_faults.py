"""What real chargers get wrong, replayed word by word: the answer they get, and what OCPI hears of it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlmodel import select
from websockets.exceptions import ConnectionClosed

from hub.store.chargers import Reading, Station

Json = dict[str, Any]


def ago(minutes: float = 0) -> str:
    """A time on a charger's clock."""
    return (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat(timespec="seconds").replace("+00:00", "Z")


def start(meter: int = 1000, minutes: float = 30, connector: int = 1, **values: object) -> Json:
    return {"connectorId": connector, "idTag": "CARD1", "meterStart": meter, "timestamp": ago(minutes), **values}


def stop(transaction: object, meter: int = 4000, **values: object) -> Json:
    return {"transactionId": transaction, "meterStop": meter, "timestamp": ago(), **values}


def metered(transaction: object, register: object, minutes: float = 10) -> Json:
    samples = [{"value": str(register)}]
    entries = [{"timestamp": ago(minutes), "sampledValue": samples}]
    return {"connectorId": 1, "transactionId": transaction, "meterValue": entries}


async def begin(raw: Any, **values: Any) -> int:
    """An accepted transaction of CARD1; its number."""
    assert (await raw.ask("Authorize", {"idTag": "CARD1"}))["idTagInfo"]["status"] == "Accepted"
    answer = await raw.ask("StartTransaction", start(**values))
    assert answer["idTagInfo"]["status"] == "Accepted"
    return int(answer["transactionId"])


async def bill(stage: Any) -> Json:
    """The one CDR."""
    (cdr,) = await stage.until(stage.cdrs, lambda found: found)
    result: Json = cdr
    return result


async def test_f1_a_second_socket_before_the_first_is_closed(stage: Any) -> None:
    old = await stage.raw()
    await old.ask("Heartbeat", {})
    new = await stage.raw()
    await new.ask("Heartbeat", {})
    with pytest.raises(ConnectionClosed) as closed:
        await old.hear()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1000

    async def is_connected() -> bool:
        async with stage.hub.db.session() as session:
            return bool((await session.exec(select(Station))).one().connected)

    assert await is_connected()
    number = await begin(new)
    (active,) = await stage.until(stage.sessions, lambda found: found)
    command = await stage.emsp.stop_session(active["id"], to="NL*LOC")
    _, message_id, action, payload = await new.hear()
    assert (action, payload) == ("RemoteStopTransaction", {"transactionId": number})
    await new.send([3, message_id, {"status": "Accepted"}])
    assert await stage.emsp.result(command) == "ACCEPTED"
    await new.socket.close()
    await stage.until(is_connected, lambda connected: not connected)


async def test_f9_f13_empty_frames_and_repeated_ids(stage: Any) -> None:
    raw = await stage.raw()
    await raw.send("")
    frame = [2, "same", "StartTransaction", start()]
    await raw.send(frame)
    first = await raw.hear()
    await raw.send(frame)
    assert await raw.hear() == first
    assert len(await stage.transactions()) == 1


async def test_f23_objects_where_lists_belong(stage: Any) -> None:
    raw = await stage.raw()
    number = await begin(raw)
    sample = {"timestamp": ago(10), "sampledValue": {"value": 2500, "unit": "Wh"}}
    assert await raw.ask("MeterValues", {"connectorId": 1, "transactionId": number, "meterValue": sample}) == {}
    await stage.until(stage.sessions, lambda found: found and found[0]["kwh"] == Decimal("1.500"))


async def test_f25_a_state_without_a_time(stage: Any) -> None:
    raw = await stage.raw()
    told = {"connectorId": 1, "errorCode": "NoError", "status": "Charging", "info": "null", "timestamp": "null"}
    assert await raw.ask("StatusNotification", told) == {}
    await stage.until(stage.evse_status, lambda status: status == "CHARGING")
    del told["timestamp"]
    assert await raw.ask("StatusNotification", {**told, "status": "Available", "info": None}) == {}
    await stage.until(stage.evse_status, lambda status: status == "AVAILABLE")


@pytest.mark.parametrize("payload", [{}, {"transactionId": "x"}, {"meterStop": None, "timestamp": 5}, [], "stop"])
async def test_f26_a_stop_is_never_answered_with_an_error(stage: Any, payload: object) -> None:
    raw = await stage.raw()
    assert await raw.ask("StopTransaction", payload) == {}
    assert await raw.ask("MeterValues", payload) == {}
    answer = await raw.ask("StartTransaction", payload)
    assert answer["transactionId"] > 0
    assert answer["idTagInfo"]["status"] == "Invalid"


async def test_f43_a_start_that_is_sent_again(stage: Any) -> None:
    raw = await stage.raw()
    message = start()
    await raw.ask("Authorize", {"idTag": "CARD1"})
    first = await raw.ask("StartTransaction", message)
    await raw.socket.close()
    raw = await stage.raw()
    assert await raw.ask("StartTransaction", message) == first
    await raw.ask("StopTransaction", stop(first["transactionId"]))
    assert await raw.ask("StartTransaction", message) == first
    await bill(stage)
    assert len(await stage.sessions()) == len(await stage.transactions()) == 1


async def test_f44_a_stop_for_transaction_zero_means_the_one_that_runs(stage: Any) -> None:
    raw = await stage.raw()
    await begin(raw)
    assert await raw.ask("StopTransaction", stop(0)) == {}
    assert (await bill(stage))["total_energy"] == Decimal("3.000")


async def test_f44_a_stop_that_means_nothing_is_acknowledged_and_kept(stage: Any) -> None:
    raw = await stage.raw()
    number = await begin(raw)
    old = stop(number + 1000, timestamp=ago(600), idTag="FREE")
    assert await raw.ask("StopTransaction", old) == {"idTagInfo": {"status": "Accepted"}}
    assert await raw.ask("StopTransaction", old) == {"idTagInfo": {"status": "Accepted"}}
    rows = await stage.transactions()
    assert [row.state for row in rows] == ["open", "parked"]


async def test_f45_minus_one_after_a_start_whose_answer_was_lost(stage: Any) -> None:
    raw = await stage.raw()
    number = await begin(raw)
    assert await raw.ask("MeterValues", metered(-1, 2000)) == {}
    assert await raw.ask("StopTransaction", stop(-1, idTag="card1")) == {"idTagInfo": {"status": "Accepted"}}
    assert (await bill(stage))["total_energy"] == Decimal("3.000")
    async with stage.hub.db.session() as session:
        assert {row.transaction_id for row in await session.exec(select(Reading))} == {number}


async def test_f52_a_stop_without_a_card_and_once_more(stage: Any) -> None:
    raw = await stage.raw()
    number = await begin(raw)
    message = stop(number, reason="EVDisconnected")
    assert await raw.ask("StopTransaction", message) == {}
    assert await raw.ask("StopTransaction", {**message, "meterStop": 9000}) == {}
    assert (await bill(stage))["total_energy"] == Decimal("3.000")


async def test_f57_a_zero_for_a_start_is_not_the_meter(stage: Any) -> None:
    raw = await stage.raw()
    number = await begin(raw, meter=0)
    await raw.ask("MeterValues", metered(number, 910_000, minutes=29))
    await raw.ask("StopTransaction", stop(number, 910_083))
    assert (await bill(stage))["total_energy"] == Decimal("0.083")


async def test_f58_one_watt_hour_back_is_nothing(stage: Any) -> None:
    raw = await stage.raw()
    await raw.ask("StopTransaction", stop(await begin(raw, meter=5000), 4999))
    assert (await bill(stage))["total_energy"] == 0


async def test_f58_a_meter_far_back_is_for_an_operator(stage: Any) -> None:
    raw = await stage.raw()
    await raw.ask("StopTransaction", stop(await begin(raw, meter=50_000), 20))
    (held,) = await stage.until(stage.held, lambda found: found)
    assert "backwards" in held.reason
    assert await stage.cdrs() == []


async def test_f63_a_clock_that_has_not_been_set(stage: Any) -> None:
    """The start is when we heard of it; the same message again is still the same transaction."""
    raw = await stage.raw()
    number = await begin(raw, timestamp="1970-01-01T00:00:10Z")
    again = await raw.ask("StartTransaction", start(timestamp="1970-01-01T00:00:10Z"))
    assert again["transactionId"] == number
    await raw.ask("StopTransaction", stop(number, 1500, timestamp="2014-01-01T00:00:00Z"))
    (row,) = await stage.transactions()
    assert datetime.now(UTC) - row.started_at < timedelta(minutes=1)
    assert row.stopped_at >= row.started_at
    cdr = await bill(stage)
    assert cdr["total_energy"] == Decimal("0.500")
    assert "clock" in cdr["remark"]
    second = await raw.ask("StartTransaction", start(timestamp="1970-01-01T00:00:10Z"))
    assert second["transactionId"] != number


async def test_an_offline_start_is_taken_from_the_whitelist_or_not_at_all(stage: Any) -> None:
    """Messages that waited in the station: nobody can be asked any more, and nothing is lost."""
    raw = await stage.raw()
    answer = await raw.ask("StartTransaction", start(minutes=300))
    assert answer["idTagInfo"]["status"] == "Accepted"
    await raw.ask("StopTransaction", stop(answer["transactionId"], timestamp=ago(200)))
    assert (await bill(stage))["auth_method"] == "WHITELIST"
    assert stage.emsp.references == {}
    answer = await raw.ask("StartTransaction", start(minutes=100, idTag="STRANGER"))
    assert answer["idTagInfo"]["status"] == "Invalid"


async def test_actions_that_are_only_answered(stage: Any) -> None:
    raw = await stage.raw()
    assert await raw.ask("DataTransfer", {"vendorId": "x"}) == {"status": "UnknownVendorId"}
    assert await raw.ask("FirmwareStatusNotification", {"status": "Installed"}) == {}
    assert await raw.ask("DiagnosticsStatusNotification", {"status": "Idle"}) == {}
    await raw.send([2, "r", "Reset", {"type": "Hard"}])
    assert (await raw.hear())[2] == "NotSupported"
