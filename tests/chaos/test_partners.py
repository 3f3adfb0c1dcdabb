"""Senders and receivers face to face, without a hub between them: what the one says it sent, the other wrote down."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.checker import Checker
from tests.chaos.ledger import Ledger, Reader
from tests.chaos.receiver import Receiver
from tests.chaos.sender import Senders

CODE = "DE*AA0"


@pytest.fixture
async def receiver(tmp_path: Path) -> AsyncIterator[Receiver]:
    """A receiver that takes the place of the hub: the senders register with it."""
    ledger = Ledger(tmp_path / "received.jsonl")
    async with Receiver(CODE, 0, ledger) as receiver:
        yield receiver
    await ledger.close()


@pytest.fixture
async def senders(tmp_path: Path, receiver: Receiver) -> AsyncIterator[Senders]:
    """Senders that are registered."""
    ledger = Ledger(tmp_path / "sent.jsonl")
    senders = Senders(ledger)
    token_a, versions_url = receiver.invite()
    await senders.join("NL*CPA", versions_url, token_a)
    yield senders
    await senders.leave()
    await ledger.close()


def lines(tmp_path: Path, name: str) -> list[dict[str, Any]]:
    return list(Reader(tmp_path / f"{name}.jsonl").news())


async def push(senders: Senders, count: int = 200) -> None:
    await senders.push(count, hands=4, objects=2, receivers=[CODE], seed=1)
    await senders.done()


async def test_all_that_was_answered_stands_in_both_ledgers(tmp_path: Path, senders: Senders) -> None:
    await push(senders)
    sent, received = lines(tmp_path, "sent"), lines(tmp_path, "received")
    checker = Checker([CODE])
    for line in (*sent, *received):
        checker.feed(line)
    cdrs = [line["cdr"] for line in sent if "cdr" in line]
    assert checker.faults(cdrs, repeats=0) == []
    assert (checker.acked, checker.arrived, len(cdrs)) == (200, 200, checker.cdrs)
    assert all(
        line["correlation"] and line["request"] and line["last_updated"] for line in received if "cdr" not in line
    )
    assert await senders.progress() == {
        "ok": 200,
        "info": 0,
        "refused": 0,
        "count": 200,
        "through": 200,
        "working": 0,
    }


async def test_without_an_answer_nobody_knows_and_a_cdr_is_sent_again_as_it_was(
    tmp_path: Path, senders: Senders, receiver: Receiver
) -> None:
    cut = iter(range(20))
    receiver.knobs.applies = lambda seen: next(cut, None) is not None
    receiver.knobs.hang_up = True
    await push(senders)
    sent, received = lines(tmp_path, "sent"), lines(tmp_path, "received")
    assert 0 < sum(line["outcome"] == "info" for line in sent) <= 20  # a client may send a PUT twice by itself
    checker = Checker([CODE])
    for line in (*sent, *received):
        checker.feed(line)
    assert checker.missing() == []
    posts = [(line["cdr"], line["hash"]) for line in received if "cdr" in line]
    assert checker.repeated == len(posts) - len(set(posts)) > 0


async def test_a_refusal_is_no_riddle(tmp_path: Path, senders: Senders, receiver: Receiver) -> None:
    receiver.knobs.status_code = 2001
    await push(senders, 20)
    assert [line["outcome"] for line in lines(tmp_path, "sent")] == ["refused"] * 20


async def test_a_patch_of_what_a_receiver_never_got_is_answered_with_404(tmp_path: Path, senders: Senders) -> None:
    cpo = senders.cpo
    answer = await cpo.send("PATCH", "locations", "NL", "CPA", "L1", to=cpo.hub, body={"name": "v3"})
    assert answer.http_status == 404
    (line,) = lines(tmp_path, "received")
    assert (line["status"], line["parts"]) == (404, {"locations/L1": 3})
