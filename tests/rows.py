"""Rows of tables written as SQL text: SQLModel's session would compile its statements anew for each test's engine."""

import functools
from typing import Any

from sqlalchemy import TextClause, insert, text
from sqlmodel import SQLModel

from hub.ocpi import json
from hub.store.db import Statements


async def put(session: Statements, row: SQLModel) -> Any:
    """Insert a row; what is None is left to the table. The row as it is then."""
    values = {name: value for name, value in row.model_dump().items() if value is not None}
    params = {name: json.dumps(value).decode() if isinstance(value, dict) else value for name, value in values.items()}
    return (await session.execute(_insert(type(row), tuple(values)), params)).one()


@functools.cache
def _insert(table: Any, columns: tuple[str, ...]) -> TextClause:
    return text(f"{insert(table).compile(column_keys=columns)} RETURNING *")
