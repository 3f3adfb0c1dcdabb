"""Where calls go that name an id and no party."""

from datetime import timedelta

from sqlalchemy import text

from hub.store import destinations
from hub.store.db import Database

HOUR = timedelta(hours=1)


async def test_a_reservation_is_its_emsps_and_its_cpos(database_url: str) -> None:
    db = Database(database_url)
    async with db.unit_of_work() as session:
        for sender, receiver in [("DE*MSA", "NL*CPA"), ("DE*MSA", "NL*CPB"), ("FR*MSB", "NL*CPA")]:
            await destinations.reserved(session, sender, "R1", receiver, HOUR)
        assert sorted(await destinations.holders(session, "DE*MSA", "R1")) == ["NL*CPA", "NL*CPB"]
        assert await destinations.holders(session, "FR*MSB", "R1") == ["NL*CPA"]
        assert await destinations.holders(session, "SE*MSC", "R1") == []
    await db.close()


async def test_a_shorter_renewal_takes_nothing_away(database_url: str) -> None:
    db = Database(database_url)
    async with db.unit_of_work() as session:
        await destinations.reserved(session, "DE*MSA", "R1", "NL*CPA", 3 * HOUR)
        await destinations.reserved(session, "DE*MSA", "R1", "NL*CPA", HOUR)
        [left] = (await session.execute(text("SELECT expires_at - now() FROM reservation"))).scalars()
    await db.close()
    assert left == 3 * HOUR


async def test_the_last_setter_of_a_profile_counts(database_url: str) -> None:
    db = Database(database_url)
    async with db.unit_of_work() as session:
        assert await destinations.setter(session, "NL*CPA", "S1") is None
        await destinations.profile_set(session, "NL*CPA", "S1", "DE*MSA")
        await destinations.profile_set(session, "NL*CPA", "S1", "FR*MSB")
        await destinations.profile_set(session, "NL*CPB", "S1", "DE*MSA")
        assert await destinations.setter(session, "NL*CPA", "S1") == "FR*MSB"
    await db.close()
