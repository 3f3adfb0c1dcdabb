"""What goes by itself when its time is over."""

from sqlalchemy import text

from hub.store import messages
from hub.store.db import Statements

_TOKENS = text("DELETE FROM access_token WHERE expires_at <= now()")


async def expire(session: Statements) -> None:
    """Delete callbacks and access tokens that nobody can use any more (to the directory they are gone already)."""
    await messages.expire_callbacks(session)
    await session.execute(_TOKENS)
