"""Feature views: each column with its type, unit, group and whether it may be missing.

The tag `nullable` is a contract: a missing value in a column that is not nullable raises when the
features are read (`ml.features`), and nothing is ever replaced by zero.
"""

from __future__ import annotations

from datetime import timedelta

from feast import FeatureView, Field  # noqa: TID253 - see entities.py
from feast.types import Bool, FeastType, Float64, Int64, String  # noqa: TID253 - see entities.py

from feature_repo.entities import OWNER, query, story, video
from feature_repo.sources import (
    query_momentum_push,
    story_momentum_push,
    video_momentum_source,
    video_profile_source,
)


def _field(
    name: str, dtype: FeastType, group: str, unit: str, description: str, *, nullable: bool = False
) -> Field:
    tags = {"group": group, "unit": unit, "nullable": str(nullable).lower()}
    return Field(name=name, dtype=dtype, description=description, tags=tags)


_MOMENTUM = [
    _field("day_number", Int64, "temporal", "days", "Days since the first observation"),
    _field("hours_since_first", Float64, "temporal", "hours", "Since the first observation"),
    _field(
        "hours_since_previous",
        Float64,
        "temporal",
        "hours",
        "Since the observation before; missing on the first",
        nullable=True,
    ),
    _field("views", Int64, "engagement", "views", "Views so far"),
    _field("likes", Int64, "engagement", "likes", "Missing when hidden", nullable=True),
    _field("comments", Int64, "engagement", "comments", "Missing when hidden", nullable=True),
    _field("log_views", Float64, "engagement", "ln views", "Natural logarithm of the views"),
    _field(
        "log_growth_1d",
        Float64,
        "engagement",
        "ln ratio",
        "Views against the observation before",
        nullable=True,
    ),
    _field(
        "views_per_hour",
        Float64,
        "engagement",
        "views/hour",
        "Since the observation before",
        nullable=True,
    ),
    _field("like_rate", Float64, "engagement", "ratio", "Likes per view", nullable=True),
    _field("comment_rate", Float64, "engagement", "ratio", "Comments per view", nullable=True),
    _field(
        "engagement_rate",
        Float64,
        "engagement",
        "ratio",
        "Likes and comments per view; missing under 100 views",
        nullable=True,
    ),
    _field(
        "like_growth_1d",
        Float64,
        "engagement",
        "ln ratio",
        "Likes against the observation before",
        nullable=True,
    ),
    _field(
        "comment_growth_1d",
        Float64,
        "engagement",
        "ln ratio",
        "Comments against the observation before",
        nullable=True,
    ),
    _field("age_hours", Float64, "temporal", "hours", "Since publication", nullable=True),
    _field("log_age_hours", Float64, "temporal", "ln hours", "Logarithm of the age", nullable=True),
    _field(
        "lifetime_views_per_hour",
        Float64,
        "engagement",
        "views/hour",
        "Since publication",
        nullable=True,
    ),
    _field("regions_listed", Int64, "engagement", "regions", "Charts that list it that day"),
    _field(
        "regions_change_1d",
        Int64,
        "engagement",
        "regions",
        "Against the observation before",
        nullable=True,
    ),
    _field("best_rank", Int64, "engagement", "rank", "Best chart position", nullable=True),
    _field(
        "rank_change_1d",
        Int64,
        "engagement",
        "ranks",
        "Against the observation before",
        nullable=True,
    ),
    _field("observed_hour", Int64, "temporal", "UTC hour", "Hour of the observation"),
    _field("observed_dow", Int64, "temporal", "weekday", "Weekday of the observation"),
    _field("is_weekend", Bool, "temporal", "flag", "Observed on Saturday or Sunday"),
]

_PROFILE = [
    _field("category_id", Int64, "channel", "id", "Category of the provider", nullable=True),
    _field("language", String, "text", "BCP 47", "As the uploader declared it", nullable=True),
    _field("duration_s", Float64, "text", "seconds", "Length of the video", nullable=True),
    _field("log_duration", Float64, "text", "ln seconds", "Logarithm of it", nullable=True),
    _field("title_chars", Int64, "text", "characters", "Length of the title"),
    _field("title_words", Int64, "text", "words", "Words in the title"),
    _field("title_caps_share", Float64, "text", "share", "Capitals among the letters"),
    _field("title_has_question", Bool, "text", "flag", "A question mark in the title"),
    _field("title_has_number", Bool, "text", "flag", "A digit in the title"),
    _field("title_emoji_count", Int64, "text", "characters", "Emoji in the title"),
    _field("tag_count", Int64, "text", "tags", "Number of tags"),
    _field("made_for_kids", Bool, "channel", "flag", "As declared", nullable=True),
    _field("published_hour", Int64, "temporal", "UTC hour", "Of publication", nullable=True),
    _field("published_dow", Int64, "temporal", "weekday", "Of publication", nullable=True),
    _field("channel_videos_before", Int64, "channel", "videos", "Of the channel, seen earlier"),
    _field(
        "channel_median_log_views_before",
        Float64,
        "channel",
        "ln views",
        "Median first-day views of those; missing for a new channel",
        nullable=True,
    ),
]

_STORY = [
    _field("upvotes", Int64, "engagement", "upvotes", "Upvotes so far"),
    _field(
        "comments",
        Int64,
        "engagement",
        "comments",
        "Missing where none are possible",
        nullable=True,
    ),
    _field(
        "rank",
        Int64,
        "engagement",
        "rank",
        "Place on the front page; missing when not on it",
        nullable=True,
    ),
    _field("log_upvotes", Float64, "engagement", "ln upvotes", "Natural logarithm of the upvotes"),
    _field(
        "comments_per_upvote", Float64, "engagement", "ratio", "Comments per upvote", nullable=True
    ),
    _field(
        "age_h",
        Float64,
        "temporal",
        "hours",
        "Since submission; in archives, since the first sight",
        nullable=True,
    ),
    _field(
        "hours_since_previous",
        Float64,
        "temporal",
        "hours",
        "Since the sight that the rates compare with: 15 minutes to 26 hours older",
        nullable=True,
    ),
    _field(
        "upvotes_per_h",
        Float64,
        "engagement",
        "upvotes/hour",
        "Gained since the sight before",
        nullable=True,
    ),
    _field(
        "comments_per_h",
        Float64,
        "engagement",
        "comments/hour",
        "Gained since the sight before",
        nullable=True,
    ),
    _field("observed_hour", Int64, "temporal", "UTC hour", "Hour of the sight"),
    _field("observed_dow", Int64, "temporal", "weekday", "Weekday of the sight"),
]

_QUERY = [
    _field("posts_1h", Int64, "engagement", "posts", "Posts of the last hour that match it"),
    _field("posts_6h", Int64, "engagement", "posts", "Of the last 6 hours"),
    _field("posts_24h", Int64, "engagement", "posts", "Of the last 24 hours"),
    _field("authors_1h", Int64, "channel", "authors", "Different authors in the last hour"),
    _field("authors_24h", Int64, "channel", "authors", "Different authors in the last 24 hours"),
    _field(
        "hours_covered",
        Float64,
        "temporal",
        "hours",
        "Since the oldest post of the last 24 hours: a young stream knows less than a day",
    ),
    _field(
        "log_growth_1h",
        Float64,
        "engagement",
        "ln ratio",
        "Posts of the last hour against the hour before; missing under 2 covered hours",
        nullable=True,
    ),
    _field(
        "log_growth_6h",
        Float64,
        "engagement",
        "ln ratio",
        "Posts of the last 6 hours against the 6 before; missing under 12 covered hours",
        nullable=True,
    ),
    _field(
        "engagements_24h",
        Int64,
        "engagement",
        "engagements",
        "Likes, reposts, replies and quotes of the posts when they arrived",
    ),
    _field("engagements_per_post_24h", Float64, "engagement", "ratio", "Of those, per post"),
    _field("observed_hour", Int64, "temporal", "UTC hour", "Hour of the newest arrival"),
    _field("observed_dow", Int64, "temporal", "weekday", "Weekday of the newest arrival"),
]

video_momentum = FeatureView(
    name="video_momentum",
    entities=[video],
    # A chart is observed daily. After two missed days the last movement says nothing about the
    # next 48 hours, so a row older than that is no feature at all.
    ttl=timedelta(days=3),
    schema=_MOMENTUM,
    source=video_momentum_source,
    description="How a video moves: the observation of a day against the one before",
    tags={"grain": "video and UTC day"},
    owner=OWNER,
)

video_profile = FeatureView(
    name="video_profile",
    entities=[video],
    # Title, length and the channel's past at first sight do not age: no limit.
    ttl=timedelta(0),
    schema=_PROFILE,
    source=video_profile_source,
    description="What a video is, and what its channel had done when it was first seen",
    tags={"grain": "video"},
    owner=OWNER,
)

story_momentum = FeatureView(
    name="story_momentum",
    entities=[story],
    # Of the stories on the front page half leave it within 7 hours and 99.6 % within 36: a sight
    # that is older says nothing about now. A daily ingest still has its last day online.
    ttl=timedelta(hours=36),
    schema=_STORY,
    source=story_momentum_push,
    description="How a Hacker News story moves: a sight of it against one before",
    tags={"grain": "story and sight"},
    owner=OWNER,
)

query_momentum = FeatureView(
    name="query_momentum",
    entities=[query],
    # A query that nothing new matches has no new row: after an hour its counts are wrong.
    ttl=timedelta(hours=1),
    schema=_QUERY,
    source=query_momentum_push,
    description="How much is posted on X that matches a query",
    tags={"grain": "query and arrival of posts"},
    owner=OWNER,
)
