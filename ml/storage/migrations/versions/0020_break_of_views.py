"""A break of the views reaches every feature that views are part of."""

from __future__ import annotations

from alembic import op

revision = "0020"
down_revision = "0019"

_UP = """
update ml.definition_breaks
set columns = columns || '{engagement_rate,like_lead_%,comment_lead_%}'
where source = 'youtube' and field = 'statistics.viewCount of Shorts';
"""
_DOWN = """
update ml.definition_breaks
set columns = columns[:array_position(columns, 'engagement_rate') - 1]
where source = 'youtube' and field = 'statistics.viewCount of Shorts';
"""


def upgrade() -> None:
    """Add the features whose names do not say it."""
    op.execute(_UP)


def downgrade() -> None:
    """Take them away."""
    op.execute(_DOWN)
