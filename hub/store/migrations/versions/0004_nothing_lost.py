"""Nothing lost: the ledger's chain, reconciliation, and what makes the hot paths short."""

from pathlib import Path

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """The SQL file beside this one; the driver would take its per cent signs for parameters."""
    op.get_bind().exec_driver_sql(Path(__file__).with_suffix(".sql").read_text().replace("%", "%%"))
