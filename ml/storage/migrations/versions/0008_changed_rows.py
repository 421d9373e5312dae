"""What has been loaded since the last build, found without reading the raw tables."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"

# Rows lie about in the order in which they came, so a range of blocks spans little time: an index
# of ranges is a thousandth of a tree, costs loads next to nothing, and finds what is new as well.
_UP = """
-- dbt builds it anew, with the columns that its increments go by.
drop table if exists intermediate.int_video_days;
create index youtube_videos_by_load on raw.youtube_videos
    using brin (ingested_at, available_at) with (pages_per_range = 32, autosummarize = on);
create index records_by_load on raw.records
    using brin (ingested_at, available_at) with (pages_per_range = 32, autosummarize = on);
"""


def upgrade() -> None:
    """Add the indexes that incremental models use."""
    op.execute(_UP)


def downgrade() -> None:
    """Drop them."""
    op.execute("drop index raw.youtube_videos_by_load, raw.records_by_load")
