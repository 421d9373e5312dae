"""The `mostPopular` chart of a region at a time."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from ml.world import noise
from ml.world import parameters as p
from ml.world.videos import Videos, contenders_of_day
from ml.world.vocabulary import vocabulary


@lru_cache(maxsize=16)
def _contenders(seed: int, day: int) -> Videos:
    """Everything young enough to be listed on a day."""
    days = [contenders_of_day(seed, d) for d in range(day - p.VIDEO_WINDOW_DAYS, day + 1)]
    columns = Videos.__dataclass_fields__
    return Videos(**{name: np.concatenate([getattr(d, name) for d in days]) for name in columns})


@lru_cache(maxsize=32)
def _standing(seed: int, region: str, day: int) -> tuple[noise.Floats, noise.Floats, noise.Floats]:
    """What does not change by the hour: score without age, fade, and delay before listing."""
    videos = _contenders(seed, day)
    _, median_fade, delay, spread, noisy = p.REGIONS[region]
    taste = "english" if region in p.ENGLISH_GROUP else region
    names = tuple(p.REGIONS)
    loss = np.array([_distance(home, region) for home in names])[videos.region]
    abroad = videos.region != names.index(region)
    score = (
        videos.views_24h
        - np.where(abroad, loss - videos.reach, 0.0)
        + noisy * noise.normal(seed, f"chart:{taste}", videos.ids)
    )
    wait = noise.lognormal(seed, f"chart:delay:{taste}", videos.ids, delay, spread)
    fade = noise.lognormal(seed, "chart:fade", videos.ids, median_fade, p.CHART_FADE_SIGMA)
    fade *= (videos.beta / p.GROWTH_BETA[0]) ** p.CHART_MOMENTUM
    return score, fade, wait


def _distance(home: str, region: str) -> float:
    if home == region:
        return 0.0
    return p.DISTANCE_ENGLISH if {home, region} <= p.ENGLISH_GROUP else p.DISTANCE_OTHER


@lru_cache(maxsize=256)
def chart(seed: int, region: str, minute: int, category: int | None = None) -> Videos:
    """The listed videos, best first, at most `CHART_SIZE`.

    Args:
        seed: the world's seed.
        region: a key of `REGIONS`.
        minute: minutes since the world's start.
        category: YouTube category id, or None for all.
    """
    hours = minute / 60.0
    day = math.floor(hours / p.HOURS_PER_DAY)
    videos = _contenders(seed, day)
    standing, fade, wait = _standing(seed, region, day)
    age = hours - videos.published
    score = np.where(age >= wait, standing - (age - wait) / fade, -np.inf)
    if category is not None:
        niches = np.array([n.category for n in vocabulary().niches])
        score = np.where(niches[videos.niche] == category, score, -np.inf)
    size = min(p.CHART_SIZE, len(score) - 1)
    top = np.argpartition(-score, size)[: p.CHART_SIZE]
    best = top[np.lexsort((top, -score[top]))]
    return videos.take(best[np.isfinite(score[best])])
