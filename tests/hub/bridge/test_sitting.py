"""One transaction as OCPI sees it: the tariff that applies, the bill, and when there is none."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from hub.bridge import sitting, translate
from hub.ocpi.types import check
from hub.sandbox import samples
from hub.store.chargers import Charging, Reading
from modules.cdrs.schemas import CDR

START = datetime(2026, 5, 1, 12, tzinfo=UTC)
LOCATION = samples.location("NL*LOC")
TARIFF = samples.tariff("NL*LOC")
CARD = samples.token("DE*MSA", "CARD1")


def plug() -> tuple[dict[str, Any], dict[str, Any]]:
    found = translate.find_connector(LOCATION, "EVSE1", "1")
    assert found is not None
    return found


def transaction(**values: Any) -> Charging:
    facts = {
        "transaction_id": 7,
        "session_id": "s-1",
        "natural_key": "k",
        "owner": "NL*LOC",
        "station_id": "CP",
        "location_id": "LOC1",
        "ocpp_connector_id": 1,
        "evse_uid": "EVSE1",
        "connector_id": "1",
        "id_tag": "CARD1",
        "id_tag_status": "Accepted",
        "token": CARD,
        "auth_method": "AUTH_REQUEST",
        "started_at": START,
        "meter_start": Decimal(1000),
        "stopped_at": START + timedelta(hours=1),
        "meter_stop": Decimal(11000),
        "state": "closed",
        "updated_at": START + timedelta(hours=1),
    }
    return Charging(**{**facts, **values})


def reading(minutes: int, register: int | None = None, status: str | None = None) -> Reading:
    wh = Decimal(register) if register is not None else None
    at = START + timedelta(minutes=minutes)
    return Reading(station_id="CP", ocpp_connector_id=1, at=at, register_wh=wh, status=status)


def bill(row: Charging, readings: list[Reading], tariff: dict[str, Any] | None = TARIFF) -> sitting.Bill:
    seen = sitting.picture(row, readings, plug()[1], tariff)
    return sitting.bill(seen, "cdr-1", LOCATION, plug(), row.remark)


def test_a_bill() -> None:
    found = bill(transaction(), [reading(30, 6000), reading(45, status="SuspendedEV")])
    assert (found.hold, found.trifle) == (None, False)
    assert check(CDR, found.body) == []
    assert found.body["total_cost"] == samples.price(TARIFF, Decimal(10))
    assert found.body["total_time"] == Decimal("1.0000")
    assert found.body["total_parking_time"] == Decimal("0.2500")


@pytest.mark.parametrize(
    ("row", "tariff", "why"),
    [
        (transaction(), None, "no tariff"),
        (transaction(), {**TARIFF, "elements": []}, "unpriced"),
        (transaction(meter_stop=Decimal(900_000)), TARIFF, "more energy"),
        (transaction(meter_start=None, meter_stop=None), TARIFF, "said nothing"),
        (transaction(meter_stop=Decimal(5)), TARIFF, "backwards"),
    ],
)
def test_what_is_not_billed(row: Charging, tariff: dict[str, Any] | None, why: str) -> None:
    found = bill(row, [], tariff)
    assert found.hold is not None
    assert why in found.hold
    assert "total_cost" not in found.body


def test_a_trifle() -> None:
    free = {**TARIFF, "elements": [{"price_components": [TARIFF["elements"][0]["price_components"][0]]}]}
    short = {"stopped_at": START + timedelta(seconds=90), "meter_stop": Decimal(1000)}
    assert bill(transaction(**short), [], free).trifle
    assert not bill(transaction(**short), [], TARIFF).trifle
    assert not bill(transaction(**{**short, "meter_stop": Decimal(1100)}), [], free).trifle
    assert not bill(transaction(meter_stop=Decimal(1000)), [], free).trifle


def test_a_stop_without_a_register_takes_the_last_reading() -> None:
    assert bill(transaction(meter_stop=None), [reading(30, 6000)]).body["total_energy"] == 5


def test_a_start_without_a_register_takes_the_first_reading() -> None:
    assert bill(transaction(meter_start=None), [reading(10, 2000)]).body["total_energy"] == 9


def test_while_it_runs() -> None:
    row = transaction(state="open", stopped_at=None, meter_stop=None)
    seen = sitting.picture(row, [reading(30, 6000)], plug()[1], None)
    session = sitting.session(seen)
    assert (session["status"], session["kwh"], session["currency"]) == ("ACTIVE", Decimal("5.000"), "EUR")
    assert "end_date_time" not in session


@pytest.mark.parametrize(
    ("fields", "applies"),
    [
        ({}, True),
        ({"type": "REGULAR"}, True),
        ({"type": "AD_HOC_PAYMENT"}, False),
        ({"start_date_time": "2026-05-01T12:00:00Z"}, True),
        ({"start_date_time": "2026-05-01T12:00:01Z"}, False),
        ({"end_date_time": "2026-05-01T12:00:00Z"}, False),
        ({"end_date_time": "2026-05-01T12:00:01Z"}, True),
    ],
)
def test_the_tariff_that_applies(fields: dict[str, str], applies: bool) -> None:
    tariff = {"id": "T", **fields}
    assert sitting.choose_tariff([tariff], START) == (tariff if applies else None)


def test_a_transaction_on_a_connector_nobody_knows() -> None:
    found = sitting.without_plug(transaction())
    assert found.hold is not None
    assert found.body["meter_stop"] == 11000
