"""Feature services: the contract that training and serving of a model version share."""

from __future__ import annotations

from feast import FeatureService  # noqa: TID253 - see entities.py

from feature_repo.entities import OWNER
from feature_repo.features import (
    channel_history,
    query_momentum,
    segment_interest,
    story_momentum,
    story_profile,
    topic_momentum,
    video_dynamics,
    video_momentum,
    video_profile,
    video_standing,
    video_text,
)
from feature_repo.on_demand import video_at_request

trend_video_v2 = FeatureService(
    name="trend_video_v2",
    features=[
        video_momentum,
        video_profile,
        video_dynamics,
        video_standing,
        video_text,
    ],
    description="Input of trend_video: how views grow in 2 and 6 days, and who stays listed",
    owner=OWNER,
)

trend_story_v1 = FeatureService(
    name="trend_story_v1",
    features=[story_momentum, story_profile],
    description="Input of trend_story: what the first hour of a story says of its next two days",
    owner=OWNER,
)

story_v1 = FeatureService(
    name="story_v1",
    features=[story_momentum],
    description="How a Hacker News story does, as fresh as its stream",
    owner=OWNER,
)

query_v1 = FeatureService(
    name="query_v1",
    features=[query_momentum],
    description="How much is posted about a query, as fresh as the stream; no model reads it yet",
    owner=OWNER,
)

video_request_v1 = FeatureService(
    name="video_request_v1",
    features=[video_momentum, video_profile, video_at_request],
    description="A video as it stands when it is asked about; no model reads it yet",
    owner=OWNER,
)

topic_v1 = FeatureService(
    name="topic_v1",
    features=[topic_momentum],
    description="How a topic moves; trend_topic reads the series behind it",
    owner=OWNER,
)

channel_v1 = FeatureService(
    name="channel_v1",
    features=[channel_history],
    description="What a channel has been used to; no model reads it yet",
    owner=OWNER,
)

segment_v1 = FeatureService(
    name="segment_v1",
    features=[segment_interest],
    description="What a viewer segment is shown; no model reads it yet",
    owner=OWNER,
)
