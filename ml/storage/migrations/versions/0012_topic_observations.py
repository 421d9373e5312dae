"""Observations of topics are built increment by increment."""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Let dbt build them anew, with the columns that its increments go by."""
    op.execute("drop table if exists intermediate.int_topic_observations")


def downgrade() -> None:
    """Keep the table: it holds nothing that dbt cannot build."""
