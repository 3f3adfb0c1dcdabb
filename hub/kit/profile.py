"""What answers say of a partner: findings with ids of the catalogue, and the quirks that follow. Pure.

A finding is ok, differs (and then says what the hub does about it), or could not be told. Quirks are measured one by
one; what could not be measured is left as it was.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from yarl import URL

from hub.kit import measures
from hub.kit.heard import Heard, ListLook, Look, goes_on, id_of, ids_of, same_origin, slowest, url_of
from hub.ocpi import headers

OK, DIFFERS, UNTOLD = "ok", "differs", "could not be told"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: rows of the catalogue, where, the verdict, what came, and what the hub does."""

    ids: tuple[str, ...]
    where: str
    verdict: str
    what: str
    effect: str = ""


@dataclass(frozen=True)
class Profile:
    """What a partner is like: findings, the quirks that were measured, and the form of token it takes."""

    findings: list[Finding]
    quirks: dict[str, Any]
    token_form: str


def judge(look: Look) -> Profile:
    """What was heard, as findings and quirks."""
    findings = [*_versions(look), *_ids(look), *_speed(look)]
    for one in look.lists:
        findings += _list(one)
    return Profile(findings, measures.measured(look), _token_form(look))


# --- findings ---


def _versions(look: Look) -> Iterator[Finding]:
    base64, raw = look.versions["base64"], look.versions["raw"]
    yield _finding(("VER-001", "VER-002"), "versions", _best(look).well, _best(look).said)
    yield _finding(("VER-007",), "version details", look.details.well, look.details.said)
    if base64.well:
        also = "; not encoded as well" if raw.well else ""
        yield Finding(("TF-005",), "versions", OK, f"takes the token in Base64{also}")
    elif raw.well:
        yield Finding(("TF-005", "TF-007"), "versions", DIFFERS, "takes the token only as it is, not in Base64",
                      "the hub does not encode the token for it")  # fmt: skip
    else:
        yield Finding(("TF-005",), "versions", UNTOLD, base64.said)


def _ids(look: Look) -> Iterator[Finding]:
    answered = [heard for heard in look.heard if heard.status is not None]
    if not answered:
        return
    for row, name in (("TF-130", headers.REQUEST_ID), ("TF-131", headers.CORRELATION_ID)):
        without = sum(not heard.repeats(name) for heard in answered)
        what = f"repeats {name}" if not without else f"{without} of {len(answered)} answers do not repeat {name}"
        effect = "the hub knows which answer belongs to which question all the same" if without else ""
        yield Finding((row,), "all answers", OK if not without else DIFFERS, what, effect)
    wrong = [heard for heard in answered if heard.well and not heard.stamped]
    what = f"{len(wrong)} answers without a timestamp" if wrong else "answers carry a timestamp"
    yield Finding(("TF-068",), "all answers", DIFFERS if wrong else OK, what, "taken all the same" if wrong else "")


def _speed(look: Look) -> Iterator[Finding]:
    seconds = slowest(look)
    if seconds is None:
        yield Finding((), "all answers", UNTOLD, "nothing was answered")
        return
    slow = seconds > measures.PATIENT
    effect = f"pulls wait up to {measures.measured(look)['timeout']} s for it (quirk timeout)" if slow else ""
    yield Finding((), "all answers", DIFFERS if slow else OK, f"slowest answer {seconds:.1f} s", effect)


def _list(one: ListLook) -> Iterator[Finding]:
    if not any(heard.well for heard in one.answers.values()):
        yield Finding(("TF-014",), one.module, DIFFERS, f"its list answers {one['one'].said}",
                      "it cannot be pulled: tell the partner")  # fmt: skip
        return
    for judging in (_pages, _links, _totals, _limits, _windows, _edges, _slashes):
        for ids, verdict, what, effect in judging(one):
            yield Finding(ids, one.module, verdict, what, effect)


Said = tuple[tuple[str, ...], str, str, str]


def _pages(one: ListLook) -> Iterator[Said]:
    paged = measures.pages_of(one)
    if paged is None:
        yield ("TF-022", "TF-027"), UNTOLD, f"pages: the list has {one.count} objects to show", ""
    elif paged:
        heeded = goes_on(one["one"], one["two"])
        effect = "" if heeded else "the hub follows its Links"
        yield ("TF-027",), OK if heeded else DIFFERS, "offset is heeded" if heeded else "offset is ignored", effect
    else:
        yield ("TF-022", "TF-027"), DIFFERS, "offset is ignored: every page is the first", _quirk("paging", False)
    more = len(one["one"].objects) > 1
    if one["one"].well:
        what = "more objects than the limit" if more else "no more objects than the limit"
        yield ("TF-041",), DIFFERS if more else OK, what, "taken as they come" if more else ""
    if one["again"].well:
        same = ids_of(one["again"]) == ids_of(one["one"])
        what = "the same URL gives the same objects" if same else "the same URL gives other objects"
        yield ("TF-036",), OK if same else DIFFERS, what, "" if same else "newer objects win; nothing is taken twice"


def _links(one: ListLook) -> Iterator[Said]:
    first, found = one["one"], measures.links_of(one)
    if one.count < 2 or not first.well:
        yield ("TF-031",), UNTOLD, "Link: the list has no second page of one object", ""
        return
    if first.link is None:
        effect = "the hub goes on by X-Total-Count" if found is None else _quirk("links", "none")
        yield ("TF-031",), DIFFERS, "no Link although there is more", effect
        return
    url = url_of(first.link, one.endpoint)
    if url is None:
        yield ("TF-042",), DIFFERS, "Link is not a URL", ""
    elif not URL(first.link).is_absolute():
        yield ("TF-042",), DIFFERS, "Link without scheme and host", "the hub completes it from the endpoint"
    elif not same_origin(first.link, one.endpoint):
        effect = _quirk("links", found) if found else ""
        yield ("TF-042",), DIFFERS, "Link leads to another origin than that of its endpoint", effect
    missing = [name for name in one.filters if url is not None and name not in url.query]
    if missing:
        yield ("TF-033",), DIFFERS, f"Link leaves out {', '.join(missing)}", _quirk("links", "none")
    if found == "none" and not missing:
        yield ("TF-031",), DIFFERS, "Link does not lead to the next page", _quirk("links", "none")
    if found == "follow":
        yield ("TF-031",), OK, "Link leads to the next page", ""
    last = one["past"]
    if last.well:
        ends = last.link is None
        yield (
            ("TF-032",),
            OK if ends else DIFFERS,
            "no Link after the end" if ends else "a Link even after the end",
            ("" if ends else "the hub stops at pages that repeat"),
        )


def _totals(one: ListLook) -> Iterator[Said]:
    if one["one"].total is None:
        yield ("TF-034",), DIFFERS, "no X-Total-Count", "an object that goes away during a pull can hide another"
        return
    right = measures.total_of(one)
    if right is None:
        yield ("TF-034",), UNTOLD, f"X-Total-Count {one['one'].total}: there are too many to count", ""
    elif right:
        yield ("TF-034",), OK, f"X-Total-Count {one['one'].total} is right", ""
    else:
        told = sorted({heard.total for heard in one.answers.values() if heard.total is not None})
        yield ("TF-034",), DIFFERS, f"X-Total-Count is wrong: told {told}", _quirk("total", False)


def _limits(one: ListLook) -> Iterator[Said]:
    if one["one"].well:
        told = one["one"].limit
        said = f"X-Limit {told}" if told else "no X-Limit"
        yield ("TF-035",), OK if told else DIFFERS, said, "" if told else "the hub keeps asking for as much"
    huge = one["huge"]
    if huge.well:
        within = huge.limit is None or len(huge.objects) <= huge.limit
        what = f"a limit of a million gives {len(huge.objects)} objects"
        yield ("TF-041",), OK if within else DIFFERS, what, "" if within else "taken as they come"
    else:
        yield ("TF-041",), DIFFERS, f"a limit of a million: {huge.said}", "the hub does not ask for so many"
    limit = measures.limit_of(one)
    if limit == measures.SMALL:
        yield ("TF-028",), DIFFERS, f"a page of 100: {one['page'].said}", _quirk("limit", measures.SMALL)


def _windows(one: ListLook) -> Iterator[Said]:
    found = measures.dates_of(one)
    if found is None:
        yield ("TF-024", "TF-025"), UNTOLD, "dates: there is nothing to filter", ""
        return
    if not found:
        yield ("TF-024",), DIFFERS, "date_from is ignored", _quirk("dates", False)
        return
    first = id_of(one["one"].objects[0])
    if one["since"].well:
        kept = first in ids_of(one["since"]) or len(one["since"].objects) > 1
        what = "date_from keeps what changed at that moment" if kept else "date_from leaves out what changed just then"
        yield ("TF-024",), OK if kept else DIFFERS, what, "" if kept else "pulls overlap by an hour"
    if one["before"].well:
        out = first not in ids_of(one["before"])
        what = "date_to leaves out what changed at that moment" if out else "date_to keeps what changed just then"
        yield ("TF-025",), OK if out else DIFFERS, what, "" if out else "the hub does not use date_to"
    since, before, total = one["since"].total, one["before"].total, one["one"].total
    if since is not None and before is not None and total is not None:
        fits = since + before == total
        what = f"two adjoining windows hold {since} and {before} of {total} objects"
        yield ("TF-026",), OK if fits else DIFFERS, what, "" if fits else "pulls overlap by an hour"


def _edges(one: ListLook) -> Iterator[Said]:
    past = one["past"]
    if past.well:
        what = "nothing after the end" if not past.objects else "objects even after the end"
        effect = "" if not past.objects else "the hub stops at pages that repeat"
        yield ("TF-074",), OK if not past.objects else DIFFERS, what, effect
    else:
        yield ("TF-074",), DIFFERS, f"after the end: {past.said}", "the hub does not ask beyond the end"
    bad = one["bad"]
    refused = bad.code is not None and 2000 <= bad.code < 3000
    yield (
        ("TF-030",),
        OK if refused else DIFFERS,
        f"offset -1: {bad.said}",
        ("" if refused else "the hub never sends it"),
    )
    if "nothing" in one.answers:
        nothing = one["nothing"]
        yield ("TF-146",), OK if nothing.status == 404 else DIFFERS, f"an unknown object: {nothing.said}", ""
        enveloped = nothing.code is not None
        effect = "" if enveloped else "the hub goes by the HTTP status"
        what = "errors carry the envelope" if enveloped else "errors come without the envelope"
        yield ("TF-071",), OK if enveloped else DIFFERS, what, effect


def _slashes(one: ListLook) -> Iterator[Said]:
    found = measures.slash_of(one)
    if found:
        yield ("TF-060",), DIFFERS, "URLs are known only with a slash at the end", _quirk("slash", True)
    elif found is None:
        yield ("TF-060",), UNTOLD, "slashes: neither form was answered", ""
    else:
        either = one["slashed"].well
        what = "a slash at the end makes no difference" if either else "URLs are known only as they are published"
        yield ("TF-060",), OK, what, ""


# --- small ---


def _finding(ids: tuple[str, ...], where: str, well: bool, what: str) -> Finding:
    return Finding(ids, where, OK if well else DIFFERS, what)


def _quirk(name: str, value: object) -> str:
    shown = {True: "yes", False: "no"}.get(value, value) if isinstance(value, bool) else value
    return f"quirk {name}={shown}"


def _best(look: Look) -> Heard:
    return look.versions["base64"] if look.versions["base64"].well else look.versions["raw"]


def _token_form(look: Look) -> str:
    """The form that works, the right one before the other; as it was if neither does."""
    return next((form for form in ("base64", "raw") if look.versions[form].well), look.token_form)
