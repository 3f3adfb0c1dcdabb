"""What an operator needs: the message log by days, alerts, signs of life of the hub's own processes."""

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """The SQL file beside this one; the driver would take its per cent signs for parameters."""
    op.get_bind().exec_driver_sql(Path(__file__).with_suffix(".sql").read_text().replace("%", "%%"))
