"""A Credit CDR: everything again, the amounts of total_cost negated, an id of its own."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from hub.exchange import cdr_findings, credit
from hub.ocpi import types
from hub.sandbox import samples
from modules.cdrs.schemas import CDR

AT = datetime(2026, 5, 2, 12, tzinfo=UTC)
START, END = "2026-05-01T10:00:00Z", "2026-05-01T11:00:00Z"


def original(**changes: Any) -> dict[str, Any]:
    of = samples.session(of=samples.token(at=START), at=START) | {"kwh": Decimal(10), "end_date_time": END}
    return samples.cdr(of, samples.location(at=START), samples.tariff(at=START), at=END) | changes


@pytest.mark.catalogue("CDR-006", "CDR-007", "CDR-010")
def test_what_a_credit_cdr_says() -> None:
    made = credit.credit_of(original(ext="kept"), AT)
    assert (made["credit"], made["credit_reference_id"]) == (True, "CDR1")
    changed = {name for name in made if made[name] != original(ext="kept").get(name)}
    assert changed == {"id", "total_cost", "credit", "credit_reference_id", "last_updated"}
    for part in ("excl_vat", "incl_vat"):
        assert made["total_cost"][part] + original()["total_cost"][part] == 0 != made["total_cost"][part]
    assert types.check(CDR, made) == []
    assert cdr_findings.of_credit(made, original(ext="kept")) == []


@pytest.mark.catalogue("CDR-005", "CDR-026")
def test_it_has_an_id_of_its_own_that_fits() -> None:
    made = credit.credit_of(original(id="C" * 36), AT)
    assert made["id"] != "C" * 36
    assert types.check(CDR, made) == []


def test_an_amount_that_is_not_there_stays_away() -> None:
    assert credit.credit_of(original(total_cost={"excl_vat": 4}), AT)["total_cost"] == {"excl_vat": -4}
    assert credit.credit_of(original(total_cost={"excl_vat": 4, "incl_vat": None}), AT)["total_cost"] == {
        "excl_vat": -4,
        "incl_vat": None,
    }
