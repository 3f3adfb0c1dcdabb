"""When lists are pulled: which there are, after an outage, and when the operator says so. (`pulls` has the tables.)"""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import text

from hub.store.db import Statements

_ARRANGE = text(
    "INSERT INTO pull (party, module, platform_id, next_at)"
    " SELECT v.party, v.module, v.platform_id,"
    " now() + :wait * (1 + random()) * interval '1 second'"
    " FROM unnest(CAST(:parties AS text[]), CAST(:modules AS text[]), CAST(:platforms AS integer[]))"
    " AS v(party, module, platform_id) JOIN platform ON platform.id = v.platform_id"
    " ON CONFLICT (party, module) DO UPDATE SET platform_id = excluded.platform_id"
    " WHERE pull.platform_id <> excluded.platform_id"
)
_DROP = text(
    "DELETE FROM pull WHERE (party, module) NOT IN (SELECT v.party, v.module"
    " FROM unnest(CAST(:parties AS text[]), CAST(:modules AS text[]), CAST(:platforms AS integer[]))"
    " AS v(party, module, platform_id))"
)
_WAKE = text(
    "UPDATE pull SET next_at = now() + random() * :within * interval '1 second', pushes = false"
    " FROM unnest(CAST(:parties AS text[]), CAST(:modules AS text[]), CAST(:platforms AS integer[]))"
    " AS v(party, module, platform_id)"
    " WHERE pull.party = v.party AND pull.module = v.module AND pull.next_at IS NULL"
)
_AWAY = text(
    "UPDATE pull SET away_since = now() WHERE away_since IS NULL AND platform_id = ANY(CAST(:platforms AS integer[]))"
)
_BACK = text(
    "UPDATE pull SET high_water = LEAST(high_water, away_since, (SELECT max(o.last_updated) FROM object o"
    " WHERE o.owner = party AND o.module = pull.module)), away_since = NULL,"
    " wanted = COALESCE(wanted, 'delta'), next_at = LEAST(next_at, now() + (1 + random()) * :within * interval '1 s')"
    " WHERE away_since IS NOT NULL AND platform_id = ANY(CAST(:platforms AS integer[])) RETURNING party, module"
)
_HUB_WAS_AWAY = text("UPDATE pull SET away_since = :since WHERE away_since IS NULL")
_NOW = text(
    "UPDATE pull SET next_at = now(), wanted = CASE WHEN wanted = 'full' THEN wanted ELSE :kind END WHERE"
    " party = :party AND (CAST(:module AS text) IS NULL OR module = :module) RETURNING module"
)


async def arrange(session: Statements, wanted: Iterable[tuple[str, str, int]], wait: float) -> None:
    """Have a row for each (party, module, platform) and no others; the first pull is due after once to twice `wait`
    seconds."""
    names = _lists(wanted)
    await session.execute(_DROP, names)
    await session.execute(_ARRANGE, {**names, "wait": wait})


async def wake(session: Statements, wanted: Iterable[tuple[str, str, int]], within: float) -> None:
    """Lists that the operator wants pulled although the party pushes are due within so many seconds."""
    await session.execute(_WAKE, {**_lists(wanted), "within": within})


async def away(session: Statements, platforms: Collection[int]) -> None:
    """These platforms are away: what they push now does not arrive."""
    await session.execute(_AWAY, {"platforms": list(platforms)})


async def hub_was_away(session: Statements, since: datetime) -> None:
    """The hub itself was away since then."""
    await session.execute(_HUB_WAS_AWAY, {"since": since})


async def back(session: Statements, platforms: Collection[int], within: float) -> list[tuple[str, str]]:
    """These platforms are there: lists of those that were away are pulled from the last known update on (TF-141), after
    once to twice `within` seconds."""
    found = await session.execute(_BACK, {"platforms": list(platforms), "within": within})
    return [(row[0], row[1]) for row in found]


async def now(session: Statements, party: str, module: str | None, kind: str) -> list[str]:
    """Have a party's lists pulled as soon as can be; the modules."""
    return sorted((await session.execute(_NOW, {"party": party, "module": module, "kind": kind})).scalars())


def _lists(wanted: Iterable[tuple[str, str, int]]) -> dict[str, list[Any]]:
    rows = sorted(wanted)
    return {
        "parties": [party for party, _, _ in rows],
        "modules": [module for _, module, _ in rows],
        "platforms": [platform_id for _, _, platform_id in rows],
    }
