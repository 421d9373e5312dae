"""What only the moment of a request can say, computed when it is asked.

A function runs row by row in plain Python: for the few rows of a request that is faster than a
frame. Feast stores its source in the registry, so that it may use nothing from outside itself. What
is missing stays missing.
"""

from __future__ import annotations

from typing import Any

from feast import Field, RequestSource  # noqa: TID253 - see entities.py
from feast.on_demand_feature_view import on_demand_feature_view  # noqa: TID253 - see entities.py
from feast.types import Int64  # noqa: TID253 - see entities.py

from feature_repo.entities import OWNER
from feature_repo.features import table, video_momentum, video_profile

video_request = RequestSource(
    name="video_request",
    schema=[
        Field(name="asked_at", dtype=Int64, description="Seconds since 1970, UTC"),
        Field(name="published_at", dtype=Int64, description="Of the video, seconds since 1970"),
    ],
    description="What a caller knows of a video",
    owner=OWNER,
)

AT_REQUEST = table(
    """
asked_day_sine | real | temporal | sine | Of the time of day of the request in UTC
asked_day_cosine | real | temporal | cosine | Of the time of day of the request
asked_week_sine | real | temporal | sine | Of the time of week of the request, from Monday
asked_week_cosine | real | temporal | cosine | Of the time of week of the request
age_at_request_hours | real | temporal | hours | From publication to the request
views_per_hour_of_age | real? | engagement | views/hour | Stored views over it, an hour at least
likes_per_comment | real? | engagement | ratio | Missing where either is hidden or there is none
views_to_channel_at_request | real? | channel | ln ratio | Stored views against the channel's median
    """
)


@on_demand_feature_view(
    name="video_at_request",
    sources=[video_request, video_momentum, video_profile],
    # Feast infers the fields by running the function, and refuses any that say more than a type.
    schema=[Field(name=field.name, dtype=field.dtype) for field in AT_REQUEST],
    mode="python",
    singleton=True,
    description="A video at the moment of a request",
    tags={
        "grain": "request",
        **{
            field.name: f"{field.tags['group']}, {field.tags['unit']}: {field.description}"
            for field in AT_REQUEST
        },
    },
    owner=OWNER,
)
def video_at_request(inputs: dict[str, Any]) -> dict[str, Any]:
    """Cyclical time, age and ratios of one row."""
    import math

    day, week, hour = 86_400, 604_800, 3_600
    asked = inputs["asked_at"]
    # 1970 began on a Thursday, three days after a Monday.
    of_day, of_week = asked % day / day, (asked + 3 * day) % week / week
    age = (asked - inputs["published_at"]) / hour
    views, likes, comments = (inputs[name] for name in ("views", "likes", "comments"))
    logs, usual = inputs["log_views"], inputs["channel_median_log_views_before"]
    return {
        "asked_day_sine": math.sin(2 * math.pi * of_day),
        "asked_day_cosine": math.cos(2 * math.pi * of_day),
        "asked_week_sine": math.sin(2 * math.pi * of_week),
        "asked_week_cosine": math.cos(2 * math.pi * of_week),
        "age_at_request_hours": age,
        "views_per_hour_of_age": None if views is None else views / max(age, 1.0),
        "likes_per_comment": likes / comments if likes and comments else None,
        "views_to_channel_at_request": None if logs is None or usual is None else logs - usual,
    }
