"""The append-only tables that dbt and the functions of `features` fill.

`available_at` is the created-timestamp column: joins for training only see rows that were known at
the time of the prediction, however late they were loaded.
"""

from __future__ import annotations

from feast import PushSource  # noqa: TID253 - see entities.py
from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import (  # noqa: TID253 - see entities.py
    PostgreSQLSource,
)

from feature_repo.entities import OWNER


def _table(name: str, description: str) -> PostgreSQLSource:
    return PostgreSQLSource(
        name=f"{name}_source",
        table=f"features.{name}",
        timestamp_field="event_at",
        created_timestamp_column="available_at",
        description=description,
        owner=OWNER,
    )


def _stream(name: str, table: PostgreSQLSource) -> PushSource:
    """A stream appends to the same table and pushes the same rows."""
    return PushSource(
        name=f"{name}_push",
        batch_source=table,
        description="Rows that ml.streaming has just appended",
        owner=OWNER,
    )


_VIDEO_DAY = "One row per video and UTC day of observation"
_VIDEO = "One row per video, at its first observation"

video_momentum_source = _table("video_momentum", _VIDEO_DAY)
video_dynamics_source = _table("video_dynamics", _VIDEO_DAY)
video_standing_source = _table("video_standing", _VIDEO_DAY)
video_profile_source = _table("video_profile", _VIDEO)
video_text_source = _table("video_text", _VIDEO)
story_momentum_push = _stream(
    "story_momentum", _table("story_momentum", "One row per story and sight of it")
)
story_profile_source = _table(
    "story_profile", "One row per story, at its first sight on the front page"
)
query_momentum_push = _stream(
    "query_momentum", _table("query_momentum", "One row per query on X and arrival of posts")
)
topic_momentum_source = _table("topic_momentum", "One row per topic and UTC day that is over")
channel_history_source = _table(
    "channel_history", "One row per YouTube channel and UTC day on which it was listed"
)
segment_interest_source = _table(
    "segment_interest", "One row per viewer segment and UTC day on which it was shown anything"
)
