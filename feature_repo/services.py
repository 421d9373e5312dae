"""Feature services: the contract that training and serving of a model version share."""

from __future__ import annotations

from feast import FeatureService  # noqa: TID253 - see entities.py

from feature_repo.entities import OWNER
from feature_repo.features import (
    query_momentum,
    story_momentum,
    video_momentum,
    video_profile,
)

trend_video_v1 = FeatureService(
    name="trend_video_v1",
    features=[video_momentum, video_profile],
    description="Input of trend_video: will the views grow more than usual in the next 48 hours",
    owner=OWNER,
)

story_v1 = FeatureService(
    name="story_v1",
    features=[story_momentum],
    description="How a Hacker News story does, as fresh as its stream; no model reads it yet",
    owner=OWNER,
)

query_v1 = FeatureService(
    name="query_v1",
    features=[query_momentum],
    description="How much is posted about a query, as fresh as the stream; no model reads it yet",
    owner=OWNER,
)
