"""Versions and version details: what is offered, and where. Source: version_information_endpoint.asciidoc."""

import re
from typing import Any

from hub.kit import objects
from hub.kit.ask import Heard
from hub.kit.check import Group, Skipped
from hub.kit.peer import VERSION, Peer, data_of, dict_of, dicts, expect
from hub.ocpi.enums import InterfaceRole
from modules.versions.schemas import Version, VersionDetails

GROUP = Group("versions")

STANDARD = frozenset(
    {"credentials", "hubclientinfo"}
    | {"locations", "tariffs", "sessions", "cdrs", "tokens", "commands", "chargingprofiles"}
)
ROUTED = ("locations", "tariffs", "sessions", "cdrs", "tokens", "commands", "chargingprofiles")

_CUSTOM = re.compile(r"[a-z]{2}[a-z0-9]{3}-.+", re.IGNORECASE)
_URL = re.compile(r"https?://[^/\s]+\S*")


def _versions(peer: Peer) -> Heard:
    assert peer.versions is not None
    return peer.versions


def _details(peer: Peer) -> tuple[Heard, list[dict[str, Any]]]:
    if peer.details is None:
        raise Skipped(f"the details of {VERSION} could not be read: see VER-003 and VER-005")
    return peer.details, dicts(dict_of(peer.details.data).get("endpoints"))


@GROUP.check("VER-002", "TF-153")
async def is_a_list(peer: Peer) -> None:
    """The versions come as an array in data, with status 1000"""
    heard = _versions(peer)
    expected = "HTTP 200, status_code 1000, data: an array"
    expect(heard, heard.status_code == 1000, expected)
    expect(heard, isinstance(heard.data, list), expected, f"data is {type(heard.data).__name__}")


@GROUP.check("VER-001")
async def has_versions(peer: Peer) -> None:
    """There is at least one version, each with version and url"""
    heard = _versions(peer)
    if not isinstance(heard.data, list):
        raise Skipped("data is no array: see VER-002")
    expect(heard, bool(heard.data), "at least one version", "data: []")
    for entry in heard.data:
        wrong = objects.unfit(Version, entry) if isinstance(entry, dict) else "not an object"
        expect(heard, wrong is None, "objects with version and url", wrong or "")


@GROUP.check("VER-003", "TYP-019")
async def absolute_urls(peer: Peer) -> None:
    """Each version has the absolute URL of its details"""
    heard = _versions(peer)
    for entry in dicts(heard.data):
        url = entry.get("url")
        kept = isinstance(url, str) and _URL.fullmatch(url) is not None and len(url) <= 255
        expect(heard, kept, "an absolute http or https URL of at most 255 characters", f"url: {url}")


@GROUP.check("VER-005", "VER-026")
async def speaks_this_version(peer: Peer) -> None:
    """Version 2.2.1 is listed, under this name"""
    heard = _versions(peer)
    listed = [str(entry.get("version")) for entry in dicts(heard.data)]
    expect(heard, VERSION in listed, f"version: {VERSION}", f"versions: {', '.join(listed) or 'none'}")


@GROUP.check("VER-007")
async def has_details(peer: Peer) -> None:
    """The details give the version and at least one endpoint with identifier, role and url"""
    heard, _ = _details(peer)
    expected = "HTTP 200, status_code 1000, data: version and endpoints"
    data = dict_of(data_of(heard, expected))
    wrong = objects.unfit(VersionDetails, {**data, "endpoints": _without_roles(data.get("endpoints"))})
    expect(heard, wrong is None, expected, wrong or "")
    expect(heard, data.get("version") == VERSION, f"version: {VERSION}", f"version: {data.get('version')}")


def _without_roles(endpoints: object) -> object:
    """Endpoints with a role that is right, so that only VER-008 complains about those that are not."""
    return [{**entry, "role": "SENDER"} for entry in dicts(endpoints)] if isinstance(endpoints, list) else endpoints


@GROUP.check("VER-008")
async def roles(peer: Peer) -> None:
    """Each endpoint has the role SENDER or RECEIVER"""
    heard, endpoints = _details(peer)
    for entry in endpoints:
        came = f"{entry.get('identifier')} has the role {entry.get('role')}"
        expect(heard, entry.get("role") in set(InterfaceRole), "SENDER or RECEIVER", came)


@GROUP.check("VER-009")
async def one_entry_each(peer: Peer) -> None:
    """Each side of a module has one entry"""
    heard, endpoints = _details(peer)
    named = [entry for entry in endpoints if entry.get("identifier") != "credentials"]
    twice = objects.repeated(named, ("identifier", "role"))
    expect(heard, twice is None, "one endpoint for each module and role", twice or "")


@GROUP.check("VER-019")
async def has_credentials(peer: Peer) -> None:
    """The credentials module is offered"""
    heard, endpoints = _details(peer)
    listed = sorted({str(entry.get("identifier")) for entry in endpoints})
    came = f"modules: {', '.join(listed) or 'none'}"
    expect(heard, "credentials" in listed, "an endpoint with the identifier credentials", came)


@GROUP.check("VER-015", should=True)
async def credentials_role(peer: Peer) -> None:
    """The credentials endpoint is listed with the role SENDER"""
    heard, endpoints = _details(peer)
    found = [entry.get("role") for entry in endpoints if entry.get("identifier") == "credentials"]
    if not found:
        raise Skipped("no credentials endpoint is published (VER-019)")
    expect(heard, "SENDER" in found, "role: SENDER", f"role: {', '.join(map(str, found))}")


@GROUP.check("VER-023", should=True)
async def custom_modules(peer: Peer) -> None:
    """Modules of one's own are named by country code and party id first, as in nltnm-tokens"""
    heard, endpoints = _details(peer)
    own = {str(entry.get("identifier")) for entry in endpoints} - STANDARD
    wrong = sorted(name for name in own if not _CUSTOM.fullmatch(name))
    expect(heard, not wrong, "names like nltnm-tokens, or those of the specification", ", ".join(wrong))


@GROUP.check("TF-139", should=True)
async def version_in_urls(peer: Peer) -> None:
    """The version is part of the URLs of the endpoints"""
    heard, endpoints = _details(peer)
    without = next((str(e.get("url")) for e in endpoints if VERSION not in str(e.get("url"))), None)
    expect(heard, without is None, f"URLs with {VERSION} in them", str(without))


@GROUP.check("VER-010", kinds="hub")
async def both_sides(peer: Peer) -> None:
    """A hub publishes both sides of each module that it routes"""
    heard, _ = _details(peer)
    missing = [f"{m} {r}" for m in ROUTED for r in ("SENDER", "RECEIVER") if (m, r) not in peer.endpoints]
    expect(heard, not missing, f"SENDER and RECEIVER of {', '.join(ROUTED)}", f"without {', '.join(missing)}")


@GROUP.check("VER-011", kinds="hub")
async def client_info(peer: Peer) -> None:
    """A hub publishes hubclientinfo as SENDER"""
    heard, _ = _details(peer)
    offered = ("hubclientinfo", "SENDER") in peer.endpoints
    expect(heard, offered, "an endpoint with the identifier hubclientinfo and the role SENDER", "there is none")


@GROUP.check("TF-014", kinds="cpo emsp")
async def owner_lists(peer: Peer) -> None:
    """Who pushes data offers the list of it, too"""
    heard, _ = _details(peer)
    if "cpo" in peer.kinds:
        expect(
            heard,
            ("locations", "SENDER") in peer.endpoints,
            "locations as SENDER, as a CPO has them",
            "no such endpoint",
        )
    if "emsp" in peer.kinds:
        expect(
            heard, ("tokens", "SENDER") in peer.endpoints, "tokens as SENDER, as an eMSP has them", "no such endpoint"
        )
