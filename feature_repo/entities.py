"""What features are about."""

from __future__ import annotations

from feast import Entity, ValueType  # noqa: TID253 - loaded only by ml.features, inside a call

OWNER = "ml-platform"

video = Entity(
    name="video",
    join_keys=["video_id"],
    value_type=ValueType.STRING,
    description="A video as its provider identifies it",
    tags={"owner": OWNER},
)

story = Entity(
    name="story",
    join_keys=["story_id"],
    value_type=ValueType.STRING,
    description="A Hacker News story by its item id",
    tags={"owner": OWNER},
)

query = Entity(
    name="query",
    join_keys=["query_id"],
    value_type=ValueType.STRING,
    description="A configured query on X, by its own words",
    tags={"owner": OWNER},
)

topic = Entity(
    name="topic",
    join_keys=["topic_id"],
    value_type=ValueType.STRING,
    description="A topic by the id that it keeps from day to day",
    tags={"owner": OWNER},
)

channel = Entity(
    name="channel",
    join_keys=["channel_id"],
    value_type=ValueType.STRING,
    description="A YouTube channel by its id, or by its name where an archive has no id",
    tags={"owner": OWNER},
)

segment = Entity(
    name="segment",
    join_keys=["segment_id"],
    value_type=ValueType.STRING,
    description="Viewers by country, niche and language, for example US/gaming/en",
    tags={"owner": OWNER},
)
