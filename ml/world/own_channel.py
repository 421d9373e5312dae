"""The channel that the world's token belongs to, and how its videos do day by day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from ml.world import noise
from ml.world import parameters as p
from ml.world.channels import channels
from ml.world.providers.youtube_resources import durations
from ml.world.videos import Videos, contenders_of_day, counts, video_id

_PACIFIC = ZoneInfo("America/Los_Angeles")
COUNTS = (
    "views", "engagedViews", "likes", "comments", "shares", "estimatedMinutesWatched",
    "subscribersGained", "subscribersLost",
)  # fmt: skip
AVERAGES = ("averageViewDuration", "averageViewPercentage")


def own_channel(seed: int) -> int:
    """Index of the own channel."""
    return int(channels(seed).by_niche[0][p.OWN_CHANNEL_RANK])


def hours_of(day: date) -> float:
    """Start of a Pacific day, in hours since the world's start."""
    start = datetime(day.year, day.month, day.day, tzinfo=_PACIFIC)
    return (start - p.WORLD_START).total_seconds() / 3600.0


@dataclass(frozen=True)
class Day:
    """One Pacific day of the own channel, by video.

    Attributes:
        videos: ids of the videos that were watched.
        counts: a count for each video, by the provider's name of the metric.
        length_minutes: the lengths of all plays together, by video.
    """

    videos: tuple[str, ...]
    counts: dict[str, noise.Ints]
    length_minutes: noise.Floats


@lru_cache(maxsize=512)
def _uploads(seed: int, day: int) -> Videos:
    """The own channel's videos of a UTC day."""
    made = contenders_of_day(seed, day)
    return made.take(np.flatnonzero(made.channel == own_channel(seed)))


@lru_cache(maxsize=256)
def own_day(seed: int, day: date) -> Day:
    """What happened on a day."""
    start, end = hours_of(day), hours_of(day + timedelta(days=1))
    last = int(end // p.HOURS_PER_DAY)
    days = [_uploads(seed, d) for d in range(last - p.OWN_WINDOW_DAYS, last + 1)]
    made = Videos(
        **{
            name: np.concatenate([getattr(d, name) for d in days])
            for name in Videos.__dataclass_fields__
        }
    )
    made = made.take(np.flatnonzero(made.published < end))
    after, before, old = counts(made, end), counts(made, start), made.published < start
    views = after.views - before.views * old
    seconds = durations(seed, made.ids, made.niche)
    watched = np.minimum(noise.lognormal(seed, "own:watched", made.ids, *p.WATCHED_SHARE), 0.98)
    joined = noise.lognormal(seed, "own:subscribe", made.ids, *p.SUBSCRIBE_RATE)
    found = {
        "views": views,
        "engagedViews": _whole(views * p.ENGAGED_SHARE),
        "likes": after.likes - before.likes * old,
        "comments": after.comments - before.comments * old,
        "shares": _whole(views * p.SHARE_RATE),
        "estimatedMinutesWatched": _whole(views * watched * seconds / 60.0),
        "subscribersGained": _whole(views * joined),
        "subscribersLost": _whole(views * p.UNSUBSCRIBE_RATE),
    }
    seen = np.flatnonzero(views > 0)
    return Day(
        videos=tuple(video_id(seed, int(entity)) for entity in made.ids[seen]),
        counts={name: values[seen] for name, values in found.items()},
        length_minutes=(views * seconds / 60.0)[seen],
    )


def _whole(values: npt.NDArray[np.floating[Any]]) -> noise.Ints:
    return np.asarray(np.floor(values), dtype=np.int64)


def averages(views: int, minutes: int, length_minutes: float) -> dict[str, int | float]:
    """Average length of a view in seconds, and in percent of the video's length."""
    if not views:
        return {"averageViewDuration": 0, "averageViewPercentage": 0.0}
    return {
        "averageViewDuration": round(60.0 * minutes / views),
        "averageViewPercentage": round(100.0 * minutes / length_minutes, 4),
    }
