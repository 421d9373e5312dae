"""What only the moment of a request can say, computed when it is asked.

A function works on plain lists: for the few rows of a request that is faster than a frame. (Feast's
`singleton`, a row a call, answers for the first row only and fails offline in 0.67.) Feast stores
the source in the registry, so that it may use nothing from outside itself. What is missing stays
missing.
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
def video_at_request(inputs: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Cyclical time, age and ratios, a list of rows a feature."""
    import math

    day, week, hour = 86_400, 604_800, 3_600

    def told(row: dict[str, Any]) -> tuple[float | None, ...]:
        asked, views, logs = row["asked_at"], row["views"], row["log_views"]
        likes, comments = row["likes"], row["comments"]
        usual = row["channel_median_log_views_before"]
        # 1970 began on a Thursday, three days after a Monday.
        of_day = 2 * math.pi * (asked % day) / day
        of_week = 2 * math.pi * ((asked + 3 * day) % week) / week
        age = (asked - row["published_at"]) / hour
        return (
            math.sin(of_day),
            math.cos(of_day),
            math.sin(of_week),
            math.cos(of_week),
            age,
            None if views is None else views / max(age, 1.0),
            likes / comments if likes and comments else None,
            None if logs is None or usual is None else logs - usual,
        )

    names = (
        "asked_day_sine", "asked_day_cosine", "asked_week_sine", "asked_week_cosine",
        "age_at_request_hours", "views_per_hour_of_age", "likes_per_comment",
        "views_to_channel_at_request",
    )  # fmt: skip
    used = (
        "asked_at", "published_at", "views", "log_views", "likes", "comments",
        "channel_median_log_views_before",
    )  # fmt: skip
    rows = [
        told(dict(zip(used, values, strict=True)))
        for values in zip(*(inputs[name] for name in used), strict=True)
    ]
    return {name: [row[place] for row in rows] for place, name in enumerate(names)}
