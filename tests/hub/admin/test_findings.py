"""What the facts mean, case by case."""

from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any

import pytest

from hub.admin import findings
from hub.admin.findings import Facts
from hub.provenance import Unknown
from hub.settings import Settings
from hub.store.heartbeats import Sign
from hub.store.vitals import DebtRow, HeldRow, LogRow, PlatformRow, Vitals

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SIGNS = [Sign(f"{kind}@host:1", kind, NOW, NOW, 1.0, {}) for kind in ("worker", "beat", "bridge")]
VITALS = Vitals(NOW, [], [], LogRow(0, 0, 0, 0.0), [], [], 0, 2**20, SIGNS, {})
FACTS = Facts(
    settings=Settings(api_token="long-enough-to-be-safe"),
    unknown=[],
    vitals=VITALS,
    postgres=17,
    revision="0002",
    needed="0002",
    skew=0.1,
    redis=None,
    policy="noeviction",
    broker=None,
    room=(50, 100),
    stations=1,
    alerts=[],
)


def platform(**values: Any) -> PlatformRow:
    row = PlatformRow(7, "Charge", "CONNECTED", None, "https://partner.example/v", ["EMSP"], 1.0, True, None, None)
    return replace(row, **values)


def worst(facts: Facts) -> dict[str, str]:
    """The checks that are not ok."""
    return {finding.check: finding.verdict for finding in findings.judge(facts) if finding.verdict != "ok"}


def of(**vitals: Any) -> Facts:
    return replace(FACTS, vitals=replace(VITALS, **vitals))


def settings(**values: Any) -> Facts:
    return replace(FACTS, settings=FACTS.settings.model_copy(update=values))


def test_all_is_well() -> None:
    assert worst(FACTS) == {}


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (replace(FACTS, postgres=14), {"database": "fail"}),
        (replace(FACTS, revision="0001"), {"database": "fail"}),
        (replace(FACTS, redis="does not answer"), {"Redis": "warn"}),
        (replace(FACTS, policy="allkeys-lru"), {"Redis": "warn"}),
        (replace(FACTS, broker="does not answer"), {"broker": "warn"}),
        (replace(FACTS, skew=-5.0), {"clock": "warn"}),
        (replace(FACTS, skew=90.0), {"clock": "fail"}),
        (replace(FACTS, room=(5, 100)), {"disk": "warn"}),
        (replace(FACTS, room=(1, 100)), {"disk": "fail"}),
        (replace(FACTS, unknown=[Unknown("HUB_PROT", "HUB_PORT")]), {"settings": "warn"}),
        (replace(FACTS, alerts=[("certificate_expires", "hub.example", "ends")]), {"alerts": "warn"}),
        (replace(FACTS, alerts=[("object_parked", "DE*MSA", "told elsewhere")]), {}),
        (of(signs=SIGNS[1:]), {"processes": "fail"}),
        (of(signs=[SIGNS[0], SIGNS[2]]), {"processes": "warn"}),
        (of(signs=SIGNS[:2]), {"processes": "fail"}),
        (of(signs=[replace(sign, age=60.0) for sign in SIGNS]), {"processes": "fail"}),
        (of(platforms=[platform(status="OFFLINE", versions_url=None)]), {"partners": "warn"}),
        (of(platforms=[platform(stopped_reason="401", versions_url=None)]), {"partners": "fail"}),
        (of(platforms=[platform(status="SUSPENDED", versions_url=None)]), {}),
        (of(platforms=[platform(age=36 * 86_400.0, versions_url=None)]), {"partners": "warn"}),
        (of(platforms=[platform(age=34 * 86_400.0, versions_url=None)]), {}),
        (of(platforms=[platform(age=36 * 86_400.0, versions_url=None, status="SUSPENDED")]), {}),
        (replace(of(platforms=[platform(told="before", versions_url=None)]), mark="now"), {"partners": "warn"}),
        (replace(of(platforms=[platform(told="now", versions_url=None)]), mark="now"), {}),
        (of(platforms=[platform()]), {"HUB_PUBLIC_URL": "fail"}),
        (of(platforms=[platform(versions_url="http://127.0.0.1:9/v")]), {}),
        (of(debts=[DebtRow("DE*MSA", 0, 3, "locations X", "refused")]), {"deliveries": "warn"}),
        (of(held=[HeldRow("NL*LOC", 1, "s", "no tariff fits")]), {"CDRs": "warn"}),
        (settings(outbound_allow=(ip_network("0.0.0.0/0"),)), {"HUB_OUTBOUND_ALLOW": "warn"}),
        (settings(outbound_allow=(ip_network("169.254.0.0/16"),)), {"HUB_OUTBOUND_ALLOW": "warn"}),
        (settings(outbound_allow=(ip_network("127.0.0.0/8"), ip_network("10.0.0.0/8"))), {}),
        (settings(api_token="short"), {"secrets": "warn"}),
        (settings(database_url="postgresql://hub:Postgres@db/hub"), {"secrets": "warn"}),
        (settings(bridge_url="ws://bridge.example"), {"HUB_BRIDGE_URL": "warn"}),
    ],
)
def test_each_fault_is_noticed_and_no_other(facts: Facts, expected: dict[str, str]) -> None:
    assert worst(facts) == expected


def test_plain_http_towards_partners() -> None:
    facts = of(platforms=[platform()])
    facts = replace(facts, settings=facts.settings.model_copy(update={"public_url": "http://hub.example"}))
    assert worst(facts) == {"HUB_PUBLIC_URL": "warn"}


def test_of_many_receivers_some_are_named() -> None:
    debts = [DebtRow(f"DE*M{number:02}", 0, 1, "locations X", "refused") for number in range(20)]
    named = [finding for finding in findings.judge(of(debts=debts)) if finding.check == "deliveries"]
    assert len(named) == findings.NAMED + 1
    assert "15 more" in named[-1].detail


def test_whatever_is_not_well_comes_with_advice() -> None:
    facts = replace(
        of(platforms=[platform(stopped_reason="401")], signs=[], debts=[DebtRow("DE*MSA", 0, 1, "x", "y")]),
        postgres=14, redis="away", broker="away", skew=90.0, room=(1, 100), unknown=[Unknown("HUB_X", None)],
        alerts=[("certificate_expires", "hub", "soon")],
    )  # fmt: skip
    assert [finding for finding in findings.judge(facts) if finding.verdict != "ok" and not finding.advice] == []
