"""Which of a Connector's tariffs a driver of an eMSP is billed by."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from hub.bridge import sitting
from hub.sandbox import samples

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def chosen(*tariffs: dict[str, Any], at: datetime = NOON) -> str | None:
    found = sitting.choose_tariff(tariffs, at)
    return found["id"] if found is not None else None


def tariff(id: str, **changes: Any) -> dict[str, Any]:
    return {**samples.tariff(id=id), **changes}


@pytest.mark.catalogue("TAR-017")
@pytest.mark.parametrize("form", ["2026-06-01T12:00:00Z", "2026-06-01T12:00:00"])
def test_the_time_in_force_is_utc(form: str) -> None:
    before, after = tariff("BEFORE", end_date_time=form), tariff("AFTER", start_date_time=form)
    summer = timezone(timedelta(hours=2))
    assert chosen(after, before, at=datetime(2026, 6, 1, 13, 59, tzinfo=summer)) == "BEFORE"
    assert chosen(before, after, at=datetime(2026, 6, 1, 14, 0, tzinfo=summer)) == "AFTER"


@pytest.mark.catalogue("TAR-019")
def test_a_tariff_without_a_type_is_for_all_sessions() -> None:
    untyped = tariff("ALL")
    del untyped["type"]
    assert chosen(tariff("PAY", type="AD_HOC_PAYMENT"), untyped) == "ALL"
    assert chosen(tariff("PAY", type="AD_HOC_PAYMENT")) is None
