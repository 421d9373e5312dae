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

video_momentum_source = PostgreSQLSource(
    name="video_momentum_source",
    table="features.video_momentum",
    timestamp_field="event_at",
    created_timestamp_column="available_at",
    description="One row per video and UTC day of observation",
    owner=OWNER,
)

video_profile_source = PostgreSQLSource(
    name="video_profile_source",
    table="features.video_profile",
    timestamp_field="event_at",
    created_timestamp_column="available_at",
    description="One row per video, at its first observation",
    owner=OWNER,
)

video_dynamics_source = PostgreSQLSource(
    name="video_dynamics_source",
    table="features.video_dynamics",
    timestamp_field="event_at",
    created_timestamp_column="available_at",
    description="One row per video and UTC day of observation",
    owner=OWNER,
)

video_standing_source = PostgreSQLSource(
    name="video_standing_source",
    table="features.video_standing",
    timestamp_field="event_at",
    created_timestamp_column="available_at",
    description="One row per video and UTC day of observation",
    owner=OWNER,
)

video_text_source = PostgreSQLSource(
    name="video_text_source",
    table="features.video_text",
    timestamp_field="event_at",
    created_timestamp_column="available_at",
    description="One row per video, at its first observation",
    owner=OWNER,
)

story_momentum_source = PostgreSQLSource(
    name="story_momentum_source",
    table="features.story_momentum",
    timestamp_field="event_at",
    created_timestamp_column="available_at",
    description="One row per story and sight of it",
    owner=OWNER,
)

# A stream appends to the same table and pushes the same rows.
story_momentum_push = PushSource(
    name="story_momentum_push",
    batch_source=story_momentum_source,
    description="Rows that ml.streaming has just appended",
    owner=OWNER,
)

query_momentum_source = PostgreSQLSource(
    name="query_momentum_source",
    table="features.query_momentum",
    timestamp_field="event_at",
    created_timestamp_column="available_at",
    description="One row per query on X and arrival of posts",
    owner=OWNER,
)

query_momentum_push = PushSource(
    name="query_momentum_push",
    batch_source=query_momentum_source,
    description="Rows that ml.streaming has just appended",
    owner=OWNER,
)
