"""Bring the database to this release's schema. Every process that starts may call it: a lock lets one do the work."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text

from hub.store.db import driver_url

_LOCK = 7_216_401  # any constant: one migration at a time in one database


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def newest() -> str:
    """The revision this release needs."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None
    return head


def is_known(revision: str) -> bool:
    """Whether a revision is one of this release or of one before it."""
    return any(script.revision == revision for script in ScriptDirectory.from_config(_config()).walk_revisions())


def knows(revision: str) -> bool:
    """Whether this release has the migrations from there on."""
    return any(script.revision == revision for script in ScriptDirectory.from_config(_config()).walk_revisions())


def current(url: str) -> str | None:
    """The revision the database is at, None for an empty one."""
    engine = create_engine(driver_url(url, "psycopg"))
    try:
        with engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()
    finally:
        engine.dispose()


def upgrade(url: str) -> None:
    """Run the missing migrations as the owner of the database; waits while another process does."""
    engine = create_engine(driver_url(url, "psycopg"))
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK})
            connection.commit()
            command.upgrade(_config(connection), "head")
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _LOCK})
            connection.commit()
    finally:
        engine.dispose()
