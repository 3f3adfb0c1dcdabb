"""The first schema: tables, the application's role, row-level security."""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Everything at once, from the SQL file beside this one: there is no earlier release to come from."""
    op.get_bind().exec_driver_sql(Path(__file__).with_suffix(".sql").read_text())
