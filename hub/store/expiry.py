"""What goes by itself when its time is over."""

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.store import messages

_TOKENS = text("DELETE FROM access_token WHERE expires_at <= now()")


async def expire(session: AsyncSession) -> None:
    """Delete callbacks and access tokens that nobody can use any more (to the directory they are gone already)."""
    await messages.expire_callbacks(session)
    await session.execute(_TOKENS)
