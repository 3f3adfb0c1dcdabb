"""OCPI 2.2.1 whole: ClientInfo, open routing, pulls, renewal of tokens, reservations at chargers, lists at scale."""

from pathlib import Path

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """The SQL file beside this one; the driver would take its per cent signs for parameters."""
    op.get_bind().exec_driver_sql(Path(__file__).with_suffix(".sql").read_text().replace("%", "%%"))
