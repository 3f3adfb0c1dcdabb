"""Tariffs: a CPO's list, and pushes to an eMSP. Source: mod_tariffs.asciidoc."""

from hub.kit import lists, objects, receiving
from hub.kit.check import Group
from hub.kit.listing import listing
from hub.kit.objects import Json
from hub.kit.peer import Peer, data_of, expect
from hub.sandbox import samples
from modules.catalog import TARIFFS

GROUP = Group("tariffs")


def _sample(peer: Peer, object_id: str) -> Json:
    """A Tariff of ours."""
    return samples.tariff(str(receiving.us(peer)), object_id)


lists.add(GROUP, TARIFFS, "TAR-011", ("TAR-027", "TAR-037"))


@GROUP.check("TAR-035", kinds="cpo hub")
async def reservations(peer: Peer) -> None:
    """An element for reservations has only FLAT and TIME components"""
    await listing(peer, "tariffs").each(objects.bad_reservation_price, "components FLAT and TIME")


@GROUP.check("TAR-042", kinds="cpo hub")
async def restriction_times(peer: Peer) -> None:
    """Restrictions have dates like 2026-01-31 and times like 08:00"""
    await listing(peer, "tariffs").each(objects.bad_restriction_times, "YYYY-MM-DD and HH:MM")


shelf = receiving.add(GROUP, TARIFFS, "TAR-005", _sample, {})


@GROUP.check("TAR-006", should=True, kinds="emsp hub", writes=True)
async def no_patch(peer: Peer) -> None:
    """PATCH of a Tariff, which OCPI no longer has, is answered HTTP 405"""
    of = shelf(peer)
    await of.there()
    heard = await of.patch({"currency": "EUR", "last_updated": receiving.later()})
    expect(heard, heard.http_status == 405, "HTTP 405")


@GROUP.check("TAR-009", kinds="emsp", writes=True)
async def deleted(peer: Peer) -> None:
    """DELETE of a Tariff is accepted once, and answered HTTP 404 when the Tariff is gone"""
    of = shelf(peer)
    await of.there()
    data_of(await peer.call("DELETE", "tariffs", "RECEIVER", *of.path), "HTTP 200, status_code 1000")
    heard = await peer.call("DELETE", "tariffs", "RECEIVER", *of.path, note="a second time")
    expect(heard, heard.http_status == 404, "HTTP 404")


@GROUP.check("TAR-010", should=True, kinds="hub", writes=True)
async def deleted_everywhere(peer: Peer) -> None:
    """DELETE of a Tariff that was pushed to everybody is accepted by the hub"""
    of = shelf(peer)
    await of.there()
    data_of(await peer.call("DELETE", "tariffs", "RECEIVER", *of.path), "HTTP 200, status_code 1000")
