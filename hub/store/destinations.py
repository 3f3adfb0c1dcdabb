"""Where calls go that name an id and no party: reservations by their eMSP, charging profiles by their Session.

Sessions and Locations are found among the kept objects (`hub.store.objects`); these two leave no object behind.
"""

from datetime import datetime, timedelta

from sqlalchemy import Column, DateTime, Index, text
from sqlmodel import Field, SQLModel

from hub.store.db import Statements


class Reservation(SQLModel, table=True):
    """A reservation that `receiver` (a CPO) has taken from `sender`; `key` is its id without regard to case.

    An eMSP may use one id at two CPOs, so the CPO is part of the key (CMD-031).
    """

    __tablename__ = "reservation"
    __table_args__ = (Index("reservation_expiry", "expires_at"),)
    sender: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    receiver: str = Field(primary_key=True)
    expires_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))


class ProfileSetter(SQLModel, table=True):
    """Whose charging profile was last accepted for a Session; `owner` is its CPO, since ids are scoped per CPO."""

    __tablename__ = "profile_setter"
    __table_args__ = (Index("profile_setter_expiry", "expires_at"),)
    owner: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    setter: str
    expires_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))


PROFILE_LIFETIME = timedelta(days=31)
"""How long a charging profile is expected to matter after it was accepted: longer than any Session."""

_RESERVED = text(
    "INSERT INTO reservation (sender, key, receiver, expires_at)"
    " VALUES (:sender, :key, :receiver, now() + CAST(:lifetime AS interval)) ON CONFLICT (sender, key, receiver)"
    " DO UPDATE SET expires_at = GREATEST(reservation.expires_at, excluded.expires_at)"
)
_HOLDERS = text("SELECT receiver FROM reservation WHERE sender = :sender AND key = :key AND expires_at > now()")
_SET = text(
    "INSERT INTO profile_setter (owner, key, setter, expires_at)"
    " VALUES (:owner, :key, :setter, now() + CAST(:lifetime AS interval))"
    " ON CONFLICT (owner, key) DO UPDATE SET setter = excluded.setter, expires_at = excluded.expires_at"
)
_SETTER = text("SELECT setter FROM profile_setter WHERE owner = :owner AND key = :key AND expires_at > now()")
_EXPIRE = (
    text("DELETE FROM reservation WHERE expires_at <= now()"),
    text("DELETE FROM profile_setter WHERE expires_at <= now()"),
)


async def reserved(session: Statements, sender: str, key: str, receiver: str, lifetime: timedelta) -> None:
    """`receiver` has taken a reservation of `sender`, which may be cancelled for `lifetime`."""
    await session.execute(_RESERVED, {"sender": sender, "key": key, "receiver": receiver, "lifetime": lifetime})


async def holders(session: Statements, sender: str, key: str) -> list[str]:
    """The CPOs that hold a reservation of `sender` under this id."""
    return list((await session.execute(_HOLDERS, {"sender": sender, "key": key})).scalars())


async def profile_set(session: Statements, owner: str, key: str, setter: str) -> None:
    """A charging profile of `setter` was accepted for a Session of `owner`."""
    names = {"owner": owner, "key": key, "setter": setter, "lifetime": PROFILE_LIFETIME}
    await session.execute(_SET, names)


async def setter(session: Statements, owner: str, key: str) -> str | None:
    """Whose charging profile was last accepted for a Session of `owner`."""
    row = (await session.execute(_SETTER, {"owner": owner, "key": key})).one_or_none()
    return str(row[0]) if row else None


async def expire(session: Statements) -> None:
    """Delete what nobody will ask for any more."""
    for statement in _EXPIRE:
        await session.execute(statement)
