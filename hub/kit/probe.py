"""The probe: asks a connected partner in many ways, reading only, and says how it is (`profile`) and what follows.

The hub asks in its own name, a little at a time. Nothing at the partner changes; here its quirks are set.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from yarl import URL

from hub.delivery import audience, send
from hub.exchange import membership, plans
from hub.exchange.context import Hub
from hub.kit import profile
from hub.kit.heard import Heard, ListLook, Look, stamp
from hub.kit.measures import SMALL
from hub.kit.profile import Finding, Profile
from hub.ocpi import envelope, headers, json
from hub.ocpi.client import NetworkError
from hub.ocpi.errors import Conflict, InvalidJson, NotFound
from hub.ocpi.module import Module
from hub.ocpi.types import PartyId, format_datetime
from hub.store.directory import PartyView, PlatformView

PAUSE = 0.05
TIMEOUT = 30.0
DEADLINE = 120.0
"""Seconds for all of it; lists that it has no time for are left out."""

HUGE = 1_000_000
NOBODY = "knutpunkt-probe-no-such-object"


@dataclass(frozen=True)
class Report:
    """What a probe found. `quirks` are those in force after it, `changed` those that it has changed or would change
    (`written` False), by name as (before, after)."""

    platform_id: int
    findings: list[Finding]
    quirks: dict[str, Any]
    changed: dict[str, tuple[Any, Any]]
    token_form: str
    written: bool
    requests: int
    seconds: float


class Questions:
    """Asks one platform, in the name of the hub. `to` is the party that lists are asked of."""

    def __init__(self, hub: Hub, platform: PlatformView, pause: float) -> None:
        self._hub, self._platform, self._pause = hub, platform, pause
        self.to: PartyId | None = None
        self._ends = time.monotonic() + DEADLINE
        self.asked = 0

    @property
    def late(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() >= self._ends

    async def get(self, url: str, *, form: str | None = None, routed: bool = True) -> Heard:
        """One GET; `form` is how the token is encoded, `routed` whether it goes to a party."""
        self.asked += 1
        pair = (self.to, self._hub.code) if routed else (None, None)
        sent = send.onward(self._platform, headers.new_id(), *pair)
        if form is not None:
            sent["Authorization"] = headers.encode_token(self._platform.token_out or "", form)
        await asyncio.sleep(self._pause)
        began = time.monotonic()
        try:
            answer = await self._hub.outbound.call("GET", url, sent, timeout=TIMEOUT)
        except NetworkError as error:
            return Heard(url, trouble=str(error), seconds=time.monotonic() - began, sent=sent)
        code, data = envelope.read(answer.body)
        seconds = time.monotonic() - began
        stamped = code is not None and _is_stamped(answer.body)
        return Heard(url, answer.status, "", code, data, stamped, answer.headers, seconds, sent)


async def run(hub: Hub, platform_id: int, *, write: bool = True, pause: float = PAUSE) -> Report:
    """Measure a platform and, unless told otherwise, keep what differs as its quirks. NotFound, Conflict."""
    picture = await hub.directory.refresh()
    platform = picture.platforms.get(platform_id)
    if platform is None:
        raise NotFound("there is no platform with this id: `knutpunkt platform list` shows them")
    if platform.hosted or platform.token_out is None or platform.versions_url is None:
        raise Conflict("this platform is not connected: there is nobody to ask")
    members = [party for code in platform.parties if (party := picture.party(code)) is not None]
    began = time.monotonic()
    questions = Questions(hub, platform, pause)
    found = profile.judge(await _ask(hub, questions, platform, members))
    before = platform.quirks
    after = {**before.departures, **found.quirks}
    if write:
        await membership.treat(hub, platform_id, None, found.quirks, found.token_form)
    else:
        after = before.departures
    return Report(
        platform_id,
        found.findings,
        {name: value for name, value in after.items() if value != getattr(type(before)(), name)},
        _changes(platform, found),
        found.token_form if write else platform.token_form,
        write,
        questions.asked,
        round(time.monotonic() - began, 1),
    )


def _changes(platform: PlatformView, found: Profile) -> dict[str, tuple[Any, Any]]:
    """What differs from what was known, by name."""
    pairs = {name: (getattr(platform.quirks, name), value) for name, value in found.quirks.items()}
    pairs["token_form"] = (platform.token_form, found.token_form)
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


async def _ask(hub: Hub, questions: Questions, platform: PlatformView, members: list[PartyView]) -> Look:
    assert platform.versions_url is not None
    versions = {form: await questions.get(platform.versions_url, form=form, routed=False) for form in ("base64", "raw")}
    best = versions["base64"] if versions["base64"].well else versions["raw"]
    details = await questions.get(_details_url(best) or platform.versions_url, routed=False)
    looks = []
    for module in hub.catalog.values():
        url = platform.endpoint(module.name, "SENDER")
        owners = [party.code for party in members if module.owner and party.roles & audience.owners(module.owner)]
        if url is not None and owners and not questions.late:
            questions.to = owners[0]
            looks.append(await look_at(questions, module, url))
    return Look(versions, details, platform.token_form, tuple(looks))


async def look_at(questions: Questions, module: Module, endpoint: str) -> ListLook:
    """Ask one list in every way."""
    now = datetime.now(UTC)
    filters = {"date_from": format_datetime(now - plans.BACK)} if plans.is_windowed(module) else {}
    answers: dict[str, Heard] = {}

    async def ask(name: str, url: str | None = None, **query: object) -> Heard:
        wanted = {**filters, **{key: str(value) for key, value in query.items()}}
        answers[name] = await questions.get(str(URL(url or endpoint).update_query(wanted)))
        return answers[name]

    first = await ask("plain", limit=1)
    slashed = await ask("slashed", _toggled(endpoint), limit=1)
    if slashed.well and not first.well:
        first, endpoint = slashed, _toggled(endpoint)
    answers["one"] = first
    if not first.well:
        await ask("small", limit=SMALL)
        return ListLook(module.name, endpoint, answers, filters)
    await ask("again", limit=1)
    await ask("couple", limit=2)
    await ask("two", offset=1, limit=1)
    await ask("past", offset=(first.total or 0) + 100_000, limit=1)
    await ask("bad", offset=-1, limit=1)
    await ask("huge", limit=HUGE)
    if not (await ask("page", limit=100)).well:
        await ask("small", limit=SMALL)
    await _follow(questions, endpoint, first, answers)
    await ask("future", limit=1, date_from=format_datetime(now + timedelta(days=365)))
    moment = stamp(first.objects)
    if moment is not None:
        await ask("since", limit=1, date_from=_exact(first.objects[0]))
        await ask("before", limit=100, date_to=_exact(first.objects[0]))
    answers["nothing"] = await questions.get(send.join(endpoint, NOBODY))
    if module.parts and first.objects and isinstance(first.objects[0], dict):  # the only list whose objects have URLs
        below = send.join(endpoint, str(first.objects[0].get(module.id_field)))
        answers["below"] = await questions.get(below)
        answers["below/"] = await questions.get(below + "/")
    return ListLook(module.name, endpoint, answers, filters)


async def _follow(questions: Questions, endpoint: str, first: Heard, answers: dict[str, Heard]) -> None:
    """Where the Link leads: itself on the same origin, else only its query at the published URL."""
    if first.link is None:
        return
    try:
        url = URL(endpoint).join(URL(first.link))
        own = URL(endpoint).with_query(url.query_string)
    except ValueError:
        return
    if url.origin() == URL(endpoint).origin():
        answers["next"] = await questions.get(str(url))
    else:  # not followed: the token is for this partner's own origin
        answers["own"] = await questions.get(str(own))


def _toggled(endpoint: str) -> str:
    """The same URL with a slash at the end, or without the one it has."""
    path, mark, query = endpoint.partition("?")
    return (path.rstrip("/") if path.endswith("/") else f"{path}/") + mark + query


def _details_url(versions: Heard) -> str | None:
    """Where the details of 2.2.1 are."""
    listed = versions.data if isinstance(versions.data, list) else []
    urls = [entry.get("url") for entry in listed if isinstance(entry, dict) and entry.get("version") == "2.2.1"]
    return urls[0] if urls and isinstance(urls[0], str) else None


def _exact(entry: Mapping[str, Any]) -> str:
    return str(entry["last_updated"])


def _is_stamped(body: bytes) -> bool:
    try:
        value = json.loads(body)
    except InvalidJson:
        return False
    return isinstance(value, dict) and isinstance(value.get("timestamp"), str)
