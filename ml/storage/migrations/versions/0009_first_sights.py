"""Since when a raw record is known, though it has been seen again later."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the column; what was overwritten before is not known any more."""
    op.execute(
        "alter table raw.records add column first_available_at timestamptz;"
        "comment on column raw.records.available_at is"
        " 'When the payload that is here could be known: its latest sight.';"
        "comment on column raw.records.first_available_at is"
        " 'When the record could first be known, if it was seen before that; else null.';"
    )


def downgrade() -> None:
    """Drop it."""
    op.execute("alter table raw.records drop column first_available_at")
