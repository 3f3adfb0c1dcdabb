"""Guards of lists: filters, pages and links."""

from dataclasses import replace
from typing import Any

import pytest

from hub.exchange import callbacks, pull
from hub.ocpi import paging
from hub.ocpi.paging import PageQuery
from hub.store import pages
from hub.store.pages import Page
from tests.spec.guard import guard


@guard("TF-024")
def date_from_filters(off: pytest.MonkeyPatch) -> None:
    """It is overlooked."""
    ordinary = pages.objects

    async def objects(db: Any, module: str, reader: str, owners: list[str], page: PageQuery) -> Page:
        return await ordinary(db, module, reader, owners, replace(page, date_from=None))

    off.setattr(pages, "objects", objects)


@guard("TF-031")
def pages_are_linked(off: pytest.MonkeyPatch) -> None:
    """Every page looks like the last one."""
    ordinary = paging.answer_headers

    def unlinked(*given: Any, **more: Any) -> dict[str, str]:
        return {name: value for name, value in ordinary(*given, **more).items() if name != "Link"}

    off.setattr(paging, "answer_headers", unlinked)


@guard("TF-123")
def lists_show_only_what_is_for_the_asker(off: pytest.MonkeyPatch) -> None:
    """Everybody sees everybody's data."""
    off.setattr(pull, "_visible_owners", lambda hub, *rest: [party.code for party in hub.directory.now.parties])


@guard("TF-043", "TF-044", "TYP-020")
def links_lead_through_the_hub(off: pytest.MonkeyPatch) -> None:
    """An owner's link goes out as it is."""

    async def bare(hub: Any, session: Any, kind: str, module: str, url: str, **more: Any) -> str:
        return url

    off.setattr(callbacks, "open_url", bare)
