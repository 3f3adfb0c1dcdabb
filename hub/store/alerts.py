"""What an operator must know of: an alert is raised once, and cleared when its cause is over.

An alert is open while `cleared_at` is None; of one `kind` and `subject` there is at most one open at a time.
`raise_told_at` and `clear_told_at` say when the webhook (HUB_ALERT_URL) took each of the two.
"""

from datetime import datetime

from sqlalchemy import BigInteger, Column, DateTime, Identity, Index, Text, text
from sqlmodel import Field, SQLModel


class Alert(SQLModel, table=True):
    """One alert: what is the matter (`kind`), with whom (`subject`), and in words (`detail`)."""

    __tablename__ = "alert"
    __table_args__ = (
        Index("alert_open", "kind", "subject", unique=True, postgresql_where=text("cleared_at IS NULL")),
        Index(
            "alert_untold",
            "id",
            postgresql_where=text("raise_told_at IS NULL OR (cleared_at IS NOT NULL AND clear_told_at IS NULL)"),
        ),
        Index("alert_cleared", "cleared_at", postgresql_where=text("cleared_at IS NOT NULL")),
    )
    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(), primary_key=True))
    kind: str
    subject: str
    detail: str = Field(sa_column=Column(Text, nullable=False))
    raised_at: datetime | None = Field(
        default=None, sa_column=Column(DateTime(timezone=True), server_default=text("now()"), nullable=False)
    )
    cleared_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    raise_told_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    clear_told_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
