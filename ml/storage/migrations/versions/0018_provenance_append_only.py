"""Manifests of videos are only ever added."""

from __future__ import annotations

from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Refuse changes of `content.provenance`."""
    op.execute(
        "create trigger append_only before update or delete or truncate on content.provenance"
        " for each statement execute function ops.refuse_change()"
    )


def downgrade() -> None:
    """Allow them again."""
    op.execute("drop trigger append_only on content.provenance")
