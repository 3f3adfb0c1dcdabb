"""Our own hub with one guard switched off: the kit notices, from outside, and names the rule."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from hub.exchange import auth, forward
from hub.kit import runner
from hub.kit.peer import Plan
from hub.ocpi import errors, headers
from hub.ocpi.types import PartyId
from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp


@pytest.fixture
async def emsp(running: Any) -> AsyncIterator[Emsp]:
    """DE*MSA behind the hub; and NL*CPA, with two locations of its own."""
    async with CpoBackend("NL*CPA") as cpo, Emsp("DE*MSA") as emsp:
        await running.join(cpo, "CPO")
        await running.join(emsp, "EMSP")
        for number in (1, 2):
            assert (await cpo.put_location(samples.location(id=f"LOC{number}"), to=cpo.hub)).ok
        yield emsp


async def look(running: Any, emsp: Emsp, *only: str) -> Any:
    plan = Plan(
        running.hub.versions_url,
        emsp.registered.token_out,
        party=emsp.parties[0],
        role="EMSP",
        only=frozenset(only),
        pause=0,
    )
    return await runner.examine(plan)


def ids(run: Any) -> set[str]:
    return {r.check.ids[0] for r in run.results if r.outcome == "failed"}


def half_is_none(shown: Any, country: str, party: str) -> PartyId | None:
    """A header pair, of which half is taken for nothing."""
    return PartyId.of(shown[country], shown[party]) if country in shown and party in shown else None


def case_counts(shown: Any, country: str, party: str) -> PartyId | None:
    """A header pair in capital letters; another party is somebody else."""
    found = read(shown, country, party)
    return PartyId("XX", "XXX") if found and not shown[party].isupper() else found


read = headers.party


def anybody(platform: Any, named: PartyId | None) -> PartyId:
    """Whoever a request says that it comes from."""
    return named or platform.parties[0]


def unsigned(call: Any, hub: PartyId, error: errors.OcpiError) -> Any:
    """A refusal without the party that refuses."""
    reply = refused(call, hub, error)
    kept = {name: value for name, value in reply.headers.items() if not name.startswith("OCPI-from")}
    return type(reply)(reply.http_status, reply.body, kept)


refused = forward.refused


@pytest.mark.parametrize(
    ("module", "name", "replacement", "catalogue_ids"),
    [
        (headers, "party", half_is_none, {"TF-082"}),
        (headers, "party", case_counts, {"TF-078"}),
        (auth, "sender", anybody, {"TF-062"}),
        (forward, "refused", unsigned, {"TF-169"}),
        (errors.UnknownReceiver, "http_status", 404, {"TF-167"}),
        (errors.UnknownReceiver, "status_code", 4000, {"TF-090", "TF-118", "TF-175"}),
    ],
)
async def test_a_guard_that_is_off(
    running: Any,
    emsp: Emsp,
    monkeypatch: pytest.MonkeyPatch,
    module: Any,
    name: str,
    replacement: Any,
    catalogue_ids: set[str],
) -> None:
    monkeypatch.setattr(module, name, replacement)
    assert ids(await look(running, emsp, "routing")) == catalogue_ids


async def test_whose_token_it_is_is_learned_from_the_hub(running: Any, emsp: Emsp) -> None:
    plan = Plan(running.hub.versions_url, emsp.registered.token_out, only=frozenset({"routing"}), pause=0)
    run = await runner.examine(plan)
    assert (run.party, ids(run)) == ("DE*MSA", set())


async def test_a_party_that_its_hub_lists_to_itself(running: Any, emsp: Emsp) -> None:
    plan = Plan(
        running.hub.versions_url,
        emsp.registered.token_out,
        party=PartyId("NL", "CPA"),  # not the truth, so that it is in the list
        role="CPO",
        only=frozenset({"hubclientinfo"}),
        pause=0,
    )
    assert ids(await runner.examine(plan)) == {"HCI-009"}
