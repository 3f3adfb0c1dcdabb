"""What goes by itself when its time is over."""

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.store import messages

_TOKENS = text("DELETE FROM access_token WHERE expires_at <= now()")
_HOPS = text("SELECT roll_hops(3, :days)")


async def expire(session: AsyncSession, hop_days: int = 14) -> None:
    """Delete callbacks and access tokens that nobody can use any more (to the directory they are gone already), and
    hops that nobody will trace."""
    await messages.expire_callbacks(session)
    await session.execute(_TOKENS)
    await session.execute(_HOPS, {"days": hop_days})
