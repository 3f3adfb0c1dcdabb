"""The way out: what is hidden, what is bounded, and whom it does not call."""

from typing import Any

import pytest

from hub.kit import runner
from hub.kit.ask import HIDDEN, Asker, Heard, NoAnswer, Secrets, addresses
from hub.kit.check import Skipped
from hub.kit.peer import Plan, Untestable
from hub.ocpi.envelope import envelope
from hub.sandbox import samples, wire

SECRET = 'a/b+c"d&e'


def test_a_token_is_hidden_in_all_its_forms() -> None:
    secrets = Secrets()
    secrets.add(SECRET)
    for text in (SECRET, "YS9iK2MiZCZl", "a%2Fb%2Bc%22d%26e", 'a/b+c\\"d&e', 'a\\/b+c"d&e'):
        assert secrets.hide(f"<{text}>") == f"<{HIDDEN}>"


def test_a_token_at_the_place_where_a_text_is_cut_is_hidden_too() -> None:
    secrets = Secrets()
    secrets.add("x" * 40)
    hidden = secrets.hide("." * 230 + "x" * 40)
    assert "x" not in hidden
    assert len(hidden) <= 241


def test_what_a_peer_writes_cannot_move_the_cursor() -> None:
    assert Secrets().hide("a\x1b[2Jb\nc\u202e") == "a\\x1b[2Jb\\x0ac\\u202e"


def test_a_request_and_an_answer_as_lines() -> None:
    sent = {"OCPI-to-country-code": "NL", "OCPI-to-party-id": "HUB", "OCPI-from-party-id": "MSA"}
    body = envelope(None, 2001, "limit: odd")
    heard = Heard(200, {}, body, 1.0, "", "GET", "https://x.example/l", sent, True, "half a pair")
    assert heard.asked == "GET https://x.example/l (to NL*HUB, from ?*MSA, half a pair)"
    assert heard.came == 'HTTP 200, status_code 2001 "limit: odd"'
    assert Heard(502, {}, b"", 1.0, "").came == "HTTP 502, no OCPI envelope, no Content-Type, empty body"


async def test_only_the_host_that_was_named_and_public_ones_are_called(cpo: Any) -> None:
    async with Asker(await addresses("http://127.0.0.1:80/"), 1, 5, 0) as asker:
        with pytest.raises(NoAnswer, match="neither the host that was named nor a public https URL"):
            await asker.ask("GET", "http://10.0.0.1/versions", None)
        assert (await asker.ask("GET", cpo.versions_url, None)).http_status == 401


async def test_requests_are_bounded_in_number(cpo: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.kit.ask.MOST", 1)
    async with Asker(await addresses(cpo.versions_url), 1, 5, 0) as asker:
        await asker.ask("GET", cpo.versions_url, None)
        with pytest.raises(Skipped, match="the run had made 1 requests"):
            await asker.ask("GET", cpo.versions_url, None)


async def test_a_pause_is_kept_between_requests(cpo: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr("hub.kit.ask.asyncio.sleep", sleep)
    async with Asker(await addresses(cpo.versions_url), 1, 5, 0.5) as asker:
        for _ in range(2):
            await asker.ask("GET", cpo.versions_url, None)
    assert [wait <= 0.5 for wait in waits if wait > 0] == [True]


async def test_no_answer_is_a_failure_of_the_check(cpo: Any, examine: Any) -> None:
    cpo.knobs.hang_up = True
    cpo.knobs.applies = lambda seen: "/sender/tariffs" in seen.path
    run = await examine(cpo, "tariffs")
    result = run.results[0]
    assert (result.outcome, result.came) == ("failed", "127.0.0.1 broke off: ServerDisconnectedError")
    assert result.asked.startswith("GET http://127.0.0.1:")


@pytest.mark.parametrize("secret", ["token-of-the-kit/with+odd=characters"])
async def test_no_token_is_in_any_report(cpo: Any, examine: Any, edit: Any, secret: str) -> None:
    """Even from a peer that repeats it wherever it can."""
    from hub.cli.conformance import _lines
    from hub.kit import report

    cpo.mangle = edit(
        lambda e: {"status_code": 2000, "status_message": f"bad {secret}", "timestamp": secret}, "/sender/"
    )
    run = await examine(cpo)
    told = f"{report.as_json(run)} {report.as_junit(run).decode()} {list(_lines(run, True))}"
    assert HIDDEN in told
    assert secret not in told
    assert "dG9rZW4tb2Y" not in told


async def test_a_shape_that_no_check_foresaw_is_a_failure(
    cpo: Any, examine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stumbles(peer: Any) -> None:
        raise KeyError("token")

    from hub.kit import tariffs
    from hub.kit.check import Check

    monkeypatch.setattr(tariffs.GROUP, "checks", [Check("tariffs", ("X-1",), "stumbles", stumbles)])
    [result] = (await examine(cpo, "tariffs")).results
    assert (result.outcome, result.came) == ("failed", "something that cannot be read (KeyError)")


async def test_what_the_peer_is(cpo: Any, emsp: Any, examine: Any) -> None:
    assert (await examine(cpo, "versions")).kinds == ("cpo",)
    assert (await examine(emsp, "versions")).kinds == ("emsp",)


async def test_without_credentials_it_is_what_it_offers(cpo: Any, edit: Any) -> None:
    token_a, url = cpo.invite()
    cpo.mangle = edit(lambda e: {**e, "data": None}, "/credentials")
    assert (await runner.examine(Plan(url, token_a, only=frozenset({"versions"}), pause=0))).kinds == ("cpo",)


async def test_a_peer_that_falls_silent_is_left_alone(cpo: Any, examine: Any) -> None:
    cpo.knobs.hang_up = True
    cpo.knobs.applies = lambda seen: "/sender/" in seen.path
    run = await examine(cpo, "tariffs", "locations")
    assert sum(r.expected == "an answer" for r in run.results) == 4  # and one when it was learned who the peer is
    assert "the peer had not answered 5 times, one after the other" in {r.why for r in run.results}


async def test_a_hub_that_does_not_say_who_we_are(cpo: Any) -> None:
    def silent(request: Any, response: Any) -> None:
        for name in [name for name in response.headers if name.startswith("OCPI-")]:
            del response.headers[name]

    cpo.mangle = silent
    connect(cpo)
    plan = Plan(cpo.versions_url, "token-of-the-kit/with+odd=characters", kinds=frozenset({"hub"}), pause=0)
    with pytest.raises(Untestable, match="a hub has to know which party asks"):
        await runner.examine(plan)


def connect(platform: Any) -> None:
    platform.peer = wire.Peer("token-of-the-kit/with+odd=characters", "unused", "http://127.0.0.1:9/versions", ())


async def test_a_card_is_not_shown(emsp: Any, examine: Any, edit: Any) -> None:
    """Neither where its token is at fault, nor where the eMSP is asked about it."""
    from hub.cli.conformance import _lines

    emsp.tokens = {("RFID", "04A1B2C3"): samples.token(uid="04A1B2C3", contract_id=5)}
    emsp.mangle = edit(lambda e: {**e, "status_code": 3000}, "/authorize")
    told = "\n".join(_lines(await examine(emsp, "tokens", writes=True), False))
    assert "DE MSA …C3 RFID: contract_id: must be a string" in told
    assert "/sender/tokens/‹token›/authorize" in told
    assert "04A1B2C3" not in told
