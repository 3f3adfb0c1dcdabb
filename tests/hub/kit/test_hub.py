"""The kit against our own hub: no MUST is broken, no SHOULD is missed; and its checks as evidence, row by row."""

import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from ipaddress import ip_network

import asyncpg
import pytest
from cryptography.fernet import Fernet

from hub.exchange import handshake
from hub.kit import runner
from hub.kit.peer import Plan
from hub.kit.runner import Run
from hub.ocpi.types import PartyId
from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp
from hub.services.postgres import Postgres
from hub.services.redis import Redis
from hub.settings import Settings
from tests.conftest import TEMPLATE
from tests.hub.conftest import Running, serve


@dataclass
class Told:
    """What runs of the kit told about one hub."""

    runs: dict[str, Run]

    def failed(self) -> list[str]:
        """Every check that failed, with what came."""
        return [
            f"{name}, {r.check.group} {r.check.ids[0]}: {r.came}; asked {r.asked}"
            for name, run in self.runs.items()
            for r in run.results
            if r.outcome == "failed"
        ]


async def _stock(cpo: CpoBackend, emsp: Emsp) -> None:
    for number in range(3):
        at = f"2026-01-01T00:0{number}:00Z"
        assert (await cpo.put_tariff(samples.tariff(id=f"T{number}", at=at), to=cpo.hub)).ok
        assert (await cpo.put_location(samples.location(id=f"LOC{number}", at=at), to=cpo.hub)).ok
        token = samples.token(uid=f"04A{number}", at=at)
        assert (await emsp.put_token(token, to=emsp.hub)).ok
        session = samples.session(id=f"S{number}", of=token, at=at)
        assert (await cpo.put_session(session, to=emsp.parties[0])).ok
        cdr = samples.cdr(session, samples.location(), samples.tariff(), id=f"C{number}", at=at)
        assert (await cpo.post_cdr(cdr, to=emsp.parties[0])).ok


@pytest.fixture(scope="session")
async def told(postgres_server: Postgres, redis_server: Redis) -> AsyncIterator[Told]:
    """The kit as DE*MSA that only reads, and as a CPO and an eMSP with handshakes of their own; once for all tests."""
    connection = await asyncpg.connect(postgres_server.url, ssl=False)
    await connection.execute(f"CREATE DATABASE kit TEMPLATE {TEMPLATE}")
    try:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        settings = Settings(
            database_url=postgres_server.url.rpartition("/")[0] + "/kit",
            redis_url=redis_server.url,
            secret_key=Fernet.generate_key().decode(),
            api_token="operator-token-for-tests",
            public_url=f"http://127.0.0.1:{port}",
            port=port,
            outbound_allow=(ip_network("127.0.0.0/8"),),
        )
        async with serve(settings) as running:
            runs = await _runs(running)
        yield Told(runs)
    finally:
        await connection.execute("DROP DATABASE kit WITH (FORCE)")
        await connection.close()


async def _runs(running: Running) -> dict[str, Run]:
    async with CpoBackend("NL*CPA") as cpo, Emsp("DE*MSA") as emsp:
        await running.join(cpo, "CPO")
        await running.join(emsp, "EMSP")
        await _stock(cpo, emsp)
        url = running.hub.versions_url
        runs = {"reading": await runner.examine(Plan(url, emsp.registered.token_out, pause=0))}
        for code, role in (("NL*KIT", "CPO"), ("DE*KIT", "EMSP")):
            us = PartyId.parse(code)
            token_a = await handshake.invite(running.hub, code, [(us, role)])
            plan = Plan(url, token_a, party=us, role=role, writes=True, register=True, pause=0)
            runs[role] = await runner.examine(plan)
        return runs


async def test_nothing_is_broken(told: Told) -> None:
    reading = told.runs["reading"]
    assert (reading.kinds, reading.party) == (("hub",), "DE*MSA")
    assert told.failed() == []


async def test_little_is_skipped(told: Told) -> None:
    """What one run cannot look at, another one does; what passes between parties is looked at in test_between."""
    passed = {
        (r.check.group, r.check.ids[0]) for run in told.runs.values() for r in run.results if r.outcome == "passed"
    }
    left = {
        (r.check.group, r.check.ids[0]): r.why
        for run in told.runs.values()
        for r in run.results
        if r.outcome != "passed" and r.check.group not in ("between parties", "broadcasts")
    }
    assert {key: why for key, why in left.items() if key not in passed} == {
        ("access", "TF-001"): "the endpoint is on this machine",
        ("registration", "CRED-013"): "it takes a CPO and an eMSP: needs --other",
    }


EVIDENCE = [
    ("access", "TF-009", "TF-010", "TF-012"),
    ("access", "TF-013", "TF-079", "TF-136"),
    ("access", "TF-182"),
    ("versions", "VER-001", "VER-002", "VER-003"),
    ("versions", "VER-005", "VER-007", "VER-008"),
    ("versions", "VER-009", "VER-010", "VER-011"),
    ("versions", "VER-015", "VER-019", "TF-139"),
    ("registration", "CRED-006", "CRED-008", "CRED-010"),
    ("registration", "CRED-026", "CRED-029", "CRED-053"),
    ("registration", "CRED-030", "CRED-031"),
    ("credentials", "CRED-024", "CRED-037", "CRED-051"),
    ("credentials", "CRED-023", "CRED-038", "CRED-044"),
    ("hubclientinfo", "HCI-009", "HCI-022", "HCI-025"),
    ("routing", "TF-062", "TF-078", "TF-082"),
    ("routing", "TF-090", "TF-167", "TF-169"),
    ("routing", "TF-101", "TF-115", "TF-175"),
    ("routing", "TF-118", "TF-120", "TF-121"),
    ("routing", "TF-044", "TF-087"),
    ("locations", "TF-023", "TF-027", "TF-031"),
    ("locations", "TF-024", "TF-025", "TF-029"),
    ("locations", "TF-030", "TF-032", "TF-033"),
    ("locations", "TF-034", "TF-035", "TF-036"),
    ("locations", "TF-041", "TF-042", "TF-043"),
    ("locations", "TF-069", "TF-074", "TF-122"),
    ("locations", "LOC-028", "TF-048", "TF-144"),
    ("tokens", "TOK-016", "TOK-022"),
    ("commands", "CMD-044", "CMD-047"),
    ("chargingprofiles", "CHP-042"),
    ("leaving", "CRED-033", "CRED-034"),
    ("its requests", "TF-003", "TF-004", "TF-005"),
    ("its requests", "TF-017", "TF-132"),
    ("every answer", "TF-068", "TF-070", "TF-071"),
    ("every answer", "TF-130", "TF-131", "TF-170"),
    ("every answer", "TF-076", "TF-084", "TF-150"),
]


@pytest.mark.parametrize(
    ("group", "catalogue_ids"),
    [(group, ids) for group, *ids in EVIDENCE],  # no marks: the kit runs once, so no guard could turn a row red
)
async def test_the_hub_keeps_the_rule(told: Told, group: str, catalogue_ids: list[str]) -> None:
    """Looked at from outside, by a partner: each rule was looked at, and no look found it broken."""
    for catalogue_id in catalogue_ids:
        outcomes = {
            result.outcome
            for run in told.runs.values()
            for result in run.results
            if result.check.group == group and catalogue_id in result.check.ids
        }
        assert "passed" in outcomes, catalogue_id
        assert "failed" not in outcomes, catalogue_id
