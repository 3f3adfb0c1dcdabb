from datetime import UTC, datetime

import pytest

from hub.delivery import audience
from hub.ocpi.types import PartyId
from hub.settings import Settings
from hub.store.db import Database
from hub.store.directory import Directory, load
from hub.store.seal import Seal
from modules.catalog import CATALOG
from tests.bench import calls, partners
from tests.bench.partners import Partner

EMSP = Partner("DE*000", "EMSP", {("locations", "RECEIVER"): "http://127.0.0.1:9/ocpi/locations"})


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process has to notice anything here."""
    monkeypatch.setattr(partners, "SEEN", 0)


async def _directory(settings: Settings) -> Directory:
    db = Database(settings.database_url, pool_size=1)
    try:
        async with db.session() as session:
            return await load(session, Seal(settings.secret_key), open_policy=True)
    finally:
        await db.close()


async def test_a_partner_by_rows_is_a_partner_to_the_hub(settings: Settings) -> None:
    tokens = await partners.connect(settings, [calls.CPO, EMSP])
    directory = await _directory(settings)
    party = directory.party(PartyId.parse(EMSP.code))
    assert party is not None
    assert party.platform.token_out
    assert audience.served(party)
    assert audience.broadcasts_to(directory, CATALOG, party.code) == [(calls.CPO.code, "locations")]
    shown = [directory.by_token(token, datetime.now(UTC)) for token in tokens]
    assert [access.platform.name for access in shown if access] == [calls.CPO.code, EMSP.code]


async def test_a_partner_that_is_forgotten_leaves_nothing(settings: Settings) -> None:
    await partners.connect(settings, [calls.CPO, EMSP])
    await partners.forget(settings, [EMSP])
    directory = await _directory(settings)
    assert [str(party.code) for party in directory.parties] == [calls.CPO.code]
    assert len(directory.access) == 1
