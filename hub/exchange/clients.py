"""The list of ClientInfo objects, for a platform that starts or is in doubt (HCI-012). It ends at the hub: routing
headers mean nothing here (TF-076, TF-080)."""

from urllib.parse import parse_qsl

from hub.delivery import announce, clientinfo
from hub.exchange.call import Reply
from hub.exchange.context import Hub
from hub.ocpi import envelope, json, paging
from hub.store import clientinfo as store
from hub.store.directory import PlatformView


async def page(hub: Hub, platform: PlatformView, query: str) -> Reply:
    """A page of what a platform is shown of the others; the same that it is told by push (HCI-028)."""
    given = dict(parse_qsl(query))
    asked = paging.parse(given)
    await clientinfo.bring_up_to_date(
        hub.db, hub.directory, platform.id, hub.settings.without_agreement == "planned", announce.PACE
    )
    async with hub.db.unit_of_work() as session:
        found, total, more = await store.page(session, platform.id, asked)
    url, last_id = f"{hub.base_url}/sender/{clientinfo.MODULE}", found[-1].id if found else None
    extra = paging.answer_headers(url, given, asked, len(found), total, last_id, more=more)
    return Reply(200, envelope.wrap(json.dumps([announce.body(info) for info in found])), extra)
