"""The kit as two parties at our own hub, and at the same hub with a guard switched off.

No worker runs here, so that copies of broadcasts do not arrive; a walk shows those.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hub.exchange import forward, handshake
from hub.kit import runner
from hub.kit.peer import Plan
from hub.kit.runner import Run
from hub.ocpi import errors
from hub.ocpi.types import PartyId

BROADCASTS = {"TF-098", "TF-102", "TF-107", "TF-112", "TF-111", "TF-122", "TAR-010"}


@pytest.fixture
def met(running: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the group, as two parties."""
    monkeypatch.setattr("hub.kit.broadcasts.PATIENCE", 0.1)

    async def look() -> Run:
        plans = []
        for code, role in (("NL*KIT", "CPO"), ("DE*KIT", "EMSP")):
            us = PartyId.parse(code)
            token_a = await handshake.invite(running.hub, code, [(us, role)])
            only = frozenset({"between parties", "broadcasts"})
            plan = Plan(
                running.hub.versions_url,
                token_a,
                party=us,
                role=role,
                writes=True,
                register=True,
                only=only,
                pause=0,
            )
            plans.append(plan)
        return await runner.examine(replace(plans[0], other=plans[1]))

    return look


def failed(run: Run) -> set[str]:
    return {r.check.ids[0] for r in run.results if r.outcome == "failed"}


@pytest.mark.catalogue("TF-059", "TF-086", "TF-134")
async def test_our_hub_between_two_parties(running: Any, met: Any) -> None:
    run = await met()
    assert failed(run) == {"TF-098"}
    outcome = {r.check.ids[0]: r.outcome for r in run.results}
    assert {name for name, ended in outcome.items() if ended != "passed"} == BROADCASTS
    assert [r.why for r in run.results if r.check.ids[0] == "TF-102"] == ["no copy of a broadcast arrived: see TF-098"]
    statuses = {str(party.code): party.platform.status for party in running.hub.directory.now.parties}
    assert statuses == {"NL*KIT": "SUSPENDED", "DE*KIT": "SUSPENDED"}  # both have left


async def test_with_one_party_it_is_skipped(cpo: Any, registering: Any) -> None:
    run = await registering(cpo, "between parties", "broadcasts", kinds=frozenset({"hub"}))
    assert {r.why for r in run.results if r.check.group in ("between parties", "broadcasts")} == {
        "it takes a CPO and an eMSP: needs --other"
    }


Mutate = Callable[[str, dict[str, str], bytes | None], tuple[str, dict[str, str], bytes | None]]


def header(name: str, value: str) -> Mutate:
    """Another header on the way out of the hub."""
    return lambda url, headers, body: (url, {**headers, name: value}, body)


def in_body(old: bytes, new: bytes) -> Mutate:
    """Other bytes on the way out of the hub."""
    return lambda url, headers, body: (url, headers, body and body.replace(old, new))


def in_url(old: str, new: str) -> Mutate:
    """Another URL on the way out of the hub."""
    return lambda url, headers, body: (url.replace(old, new), headers, body)


@pytest.mark.parametrize(
    ("mutate", "catalogue_ids"),
    [
        (header("X-Correlation-ID", "another"), {"TF-134"}),
        (header("OCPI-from-party-id", "XXX"), {"TF-086", "CMD-018"}),
        (in_body(b"2.00", b"2.0"), {"TF-127"}),
        (in_url("/NL/KIT/", "/nl/KIT/"), {"TF-059"}),
    ],
)
async def test_what_goes_wrong_on_the_way(
    running: Any, met: Any, monkeypatch: pytest.MonkeyPatch, mutate: Mutate, catalogue_ids: set[str]
) -> None:
    sent = running.hub.outbound.send

    async def send(method: str, url: str, headers: Any, body: bytes | None = None, *more: Any) -> Any:
        if "OCPI-from-party-id" in headers:
            url, headers, body = mutate(url, dict(headers), body)
        return await sent(method, url, headers, body, *more)

    monkeypatch.setattr(running.hub.outbound, "send", send)
    assert failed(await met()) - {"TF-098"} == catalogue_ids


async def test_an_answer_that_is_not_the_partys(running: Any, met: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    original = forward.reply

    def of_the_hub(call: Any, answering: Any, answer: Any, extra: Any = None) -> Any:
        return original(call, running.hub.code, replace(answer, status=200), extra)

    monkeypatch.setattr(forward, "reply", of_the_hub)
    assert {"TF-087", "TF-095"} <= failed(await met())


async def test_a_party_that_is_away_is_told_in_another_way(met: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors.ConnectionProblem, "status_code", 4000)
    assert failed(await met()) - {"TF-098"} == {"TF-091"}
