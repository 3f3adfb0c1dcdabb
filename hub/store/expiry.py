"""What goes by itself when its time is over."""

from sqlalchemy import text

from hub.store import destinations, messages, repeats
from hub.store.db import Statements

_CONFLICTS = text("DELETE FROM cdr_conflict WHERE last_at < now() - interval '90 days'")
_TOKENS = text("DELETE FROM access_token WHERE expires_at <= now()")


async def expire(session: Statements) -> None:
    """Delete callbacks, access tokens, reservations and answers that nobody can use any more (to the directory they
    are gone already), and what is known of CDRs that were refused 90 days ago because their id was taken."""
    await messages.expire_callbacks(session)
    await destinations.expire(session)
    await repeats.expire(session)
    await session.execute(_CONFLICTS)
    await session.execute(_TOKENS)
