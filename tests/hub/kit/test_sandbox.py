"""The kit against the simulated partners as a whole: no MUST is broken, and what SHOULD be is known."""

from typing import Any

KNOWN = {"TF-013", "TF-182", "SES-013"}
"""The sandbox takes tokens in their canonical form only, so that it notices others; its lists need no date_from."""


def broken(run: Any) -> set[str]:
    return {r.check.ids[0] for r in run.results if r.outcome == "failed"}


async def test_a_cpo_that_is_read(cpo: Any, examine: Any) -> None:
    run = await examine(cpo)
    assert (run.kinds, run.party, run.registered) == (("cpo",), "DE*KIT:EMSP", False)
    assert broken(run) == KNOWN
    assert run.count("passed", must=True) > 60


async def test_an_emsp_that_is_read(emsp: Any, examine: Any) -> None:
    run = await examine(emsp)
    assert (run.kinds, run.party) == (("emsp",), "NL*KIT:CPO")
    assert broken(run) == KNOWN - {"SES-013"}


async def test_a_cpo_with_which_the_kit_registers(cpo: Any, registering: Any) -> None:
    run = await registering(cpo, charge_at=("LOC1", "EVSE1", "1"))
    assert run.registered
    assert broken(run) == KNOWN
    assert cpo.peer is None


async def test_an_emsp_with_which_the_kit_registers(emsp: Any, registering: Any) -> None:
    run = await registering(emsp)
    assert broken(run) == KNOWN - {"SES-013"}
    assert {r.why for r in run.results if r.outcome == "skipped"} == {"the endpoint is on this machine"}
    assert emsp.peer is None


async def test_pushed_objects_show_where_they_come_from(emsp: Any, examine: Any) -> None:
    """And are such as to harm nobody: not shown, not billed, not priced."""
    await examine(emsp, writes=True)
    assert {o["id"][:3] for o in (*emsp.locations.all(), *emsp.sessions.all(), *emsp.cdrs.values())} == {"KIT"}
    assert {location["publish"] for location in emsp.locations.all()} == {False}
    assert {session["status"] for session in emsp.sessions.all()} == {"INVALID"}
    assert {int(cdr["total_cost"]["incl_vat"]) for cdr in emsp.cdrs.values()} == {0}
    assert emsp.tariffs.all() == []


async def test_a_token_of_the_kit_opens_nothing(cpo: Any, examine: Any) -> None:
    await examine(cpo, writes=True)
    assert {(token["valid"], token["whitelist"]) for token in cpo.tokens.all()} == {(False, "NEVER")}
