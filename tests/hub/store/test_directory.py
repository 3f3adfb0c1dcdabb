"""The directory: tokens that expire, sealed tokens, agreements, and being told of changes by another process."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet, InvalidToken
from sqlmodel import select

from hub.ocpi.types import PartyId
from hub.store import parties
from hub.store.db import Database
from hub.store.directory import AgreementView, Directory, DirectoryCache
from hub.store.parties import AccessToken, Endpoint, Party, Platform
from hub.store.seal import Seal, hash_token

CPA, MSA = PartyId.parse("NL*CPA"), PartyId.parse("DE*MSA")
SEAL = Seal(Fernet.generate_key().decode())


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.close()


async def connect(db: Database) -> int:
    """A platform with one party, a token and an endpoint, as a registration leaves it."""
    async with db.session() as session:
        platform = Platform(name="a CPO", status="CONNECTED", token_out=SEAL.close("theirs"))
        session.add(platform)
        await session.flush()
        assert platform.id is not None
        session.add(Party(code="NL*CPA", platform_id=platform.id, roles=["CPO"], business_details={"name": "CPA"}))
        session.add(Endpoint(platform_id=platform.id, module="locations", role="SENDER", url="https://cpa.example/l"))
        session.add(AccessToken(hash=hash_token("ours"), platform_id=platform.id, kind="C"))
        await session.flush()
        await parties.touch(session)
        return platform.id


async def test_a_change_is_seen_without_being_asked_for(db: Database, eventually: Any) -> None:
    cache = DirectoryCache(db, SEAL, open_policy=True)
    await cache.start()
    try:
        assert cache.now.party(CPA) is None
        number = await connect(db)
        await eventually(lambda: cache.now.party(CPA) is not None)
        party = cache.now.by_code[CPA]
        assert (party.platform.id, party.name, party.roles) == (number, "CPA", frozenset({"CPO"}))
        assert party.platform.token_out == "theirs"
        assert party.platform.endpoint("locations", "SENDER") == "https://cpa.example/l"
        assert cache.now.platform(number).parties == (CPA,)
    finally:
        await cache.stop()


async def test_tokens_are_found_until_they_expire(db: Database) -> None:
    await connect(db)
    cache = DirectoryCache(db, SEAL, open_policy=True)
    now = datetime.now(UTC)
    async with db.session() as session:
        for token in await session.exec(select(AccessToken)):
            token.expires_at = now + timedelta(minutes=1)
            session.add(token)
    await cache.refresh()
    assert cache.now.by_token("ours", now) is not None
    assert cache.now.by_token("ours", now + timedelta(minutes=1)) is None
    assert cache.now.by_token("guessed", now) is None


def test_an_agreement_decides_and_the_policy_does_without_one() -> None:
    only_tariffs = {frozenset((CPA, MSA)): AgreementView(CPA, "a_to_b", frozenset({"tariffs"}))}
    for open_policy in (True, False):
        agreed = Directory(1, open_policy, agreements=only_tariffs)
        assert agreed.allows(CPA, MSA, "tariffs")
        assert not agreed.allows(MSA, CPA, "tariffs")
        assert not agreed.allows(CPA, MSA, "locations")
        assert Directory(1, open_policy).allows(CPA, MSA, "locations") is open_policy


def test_another_key_opens_nothing() -> None:
    with pytest.raises(InvalidToken):
        Seal(Fernet.generate_key().decode()).open(SEAL.close("a token"))
