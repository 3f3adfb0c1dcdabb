"""Who is shown to whom: the directory held against what each platform was shown before. Nobody reports a change.

A platform sees the parties that it may communicate with (HCI-028), never its own (HCI-009); a peer hub sees those that
are registered here, and not what other hubs announced. A party that was ever more than planned is SUSPENDED when it is
gone, and is not planned again (HCI-008, HCI-030). `wanted` and `settle` are pure.

Source: mod_hub_client_info.asciidoc > Flow and Life-cycle.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hub.ocpi.types import PartyId
from hub.store import clientinfo as store
from hub.store.clientinfo import Shown
from hub.store.db import Database
from hub.store.directory import TAKING_PART, Directory, DirectoryCache, PlatformView

PLANNED, SUSPENDED = "PLANNED", "SUSPENDED"
MODULE = "hubclientinfo"
GOLDEN = 0.618
TRIES = 5

Key = tuple[str, str]
"""The code of a party and its role."""


@dataclass(frozen=True)
class Pace:
    """How fast changes are told, in seconds (HCI-011): a status must have lasted `steady`, each receiver waits for up
    to `splay` more, and one row of one receiver is told at most once in `pause`."""

    steady: float = 5.0
    splay: float = 5.0
    pause: float = 60.0

    def steady_for(self, platform_id: int) -> float:
        """How long a status must have lasted for this receiver: spread evenly over all of them."""
        return self.steady + self.splay * (platform_id * GOLDEN % 1)


def wanted(directory: Directory, viewer: PlatformView, planned: bool) -> dict[Key, str]:
    """The status in which each party and role is to be shown to a platform. `planned`: a party without an agreement is
    shown as PLANNED (HCI-005), instead of left out."""
    found: dict[Key, str] = {}
    for platform_id, code, role, status in _everybody(directory, viewer):
        meets = any(directory.related(voice, code) for voice in viewer.voices)
        if role == "HUB" or is_own(viewer, platform_id, code) or not (meets or planned):
            continue
        found.setdefault((str(code), role), status if meets else PLANNED)
    return found


def is_own(viewer: PlatformView, platform_id: int, code: PartyId) -> bool:
    """Whether a party is one of the viewing platform's own, or behind it (HCI-009)."""
    return platform_id == viewer.id or code in viewer.parties


def _everybody(directory: Directory, viewer: PlatformView) -> Iterator[tuple[int, PartyId, str, str]]:
    """Platform, party, role and status of all there are; to a peer hub not those behind another one."""
    for party in directory.parties if viewer.is_hub else (*directory.parties, *directory.behind.values()):
        for role in party.announced or party.roles:
            yield party.platform.id, party.code, role, party.status_in(role)
    for platform_id, code, role in directory.planned:
        yield platform_id, code, role, PLANNED


def settle(
    found: Mapping[Key, str], known: Mapping[Key, Shown], viewer: PlatformView
) -> tuple[list[tuple[str, str, str]], list[Key]]:
    """What changes for a platform as (code, role, status), and what disappears: its own parties, and plans that came to
    nothing before anybody was told of them."""
    own = {str(code) for code in viewer.parties}
    changes, withdrawn = [], []
    for key in sorted(found.keys() | known.keys()):
        row, status = known.get(key), found.get(key)
        if row is None:
            changes.append((*key, str(status)))
        elif status is None and (key[0] in own or (row.status == PLANNED and row.told is None)):
            withdrawn.append(key)
        else:
            status = SUSPENDED if status is None or (status == PLANNED and row.status != PLANNED) else status
            if status != row.status:
                changes.append((*key, status))
    return changes, withdrawn


async def bring_up_to_date(
    db: Database, directory: DirectoryCache, platform_id: int, planned: bool, pace: Pace
) -> None:
    """Show a platform what there is to show now. One that has left is told everything anew when it is back."""
    for _ in range(TRIES):
        picture = directory.now
        viewer = picture.platforms.get(platform_id)
        if viewer is None or viewer.hosted:
            return
        async with db.unit_of_work() as session:
            if await store.is_newest(session, picture.version):
                if viewer.status not in TAKING_PART:
                    await store.forget_told(session, platform_id)
                    return
                known = await store.shown(session, platform_id)
                changes, withdrawn = settle(wanted(picture, viewer, planned), known, viewer)
                steady = pace.steady_for(platform_id)
                await store.write(session, platform_id, changes, withdrawn, steady, pace.pause)
                return
        await directory.refresh()
