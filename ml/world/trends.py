"""What people search for: topics that trend in a region, and interest in a term over time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ml.world import noise, topics
from ml.world import parameters as p
from ml.world.vocabulary import vocabulary

_SOURCE = "google_trends"


@dataclass(frozen=True)
class Trend:
    """A topic that trends.

    Attributes:
        entity: the topic's id.
        title: what is searched for.
        started: when it began to trend, in hours since the world's start.
        searches: a lower bound of the searches since then.
    """

    entity: int
    title: str
    started: float
    searches: int


@lru_cache(maxsize=64)
def trending(seed: int, region: str, minute: int) -> tuple[Trend, ...]:
    """What trends in a region at a time, the most searched first."""
    hours = minute / 60.0
    alive = topics.topics_alive(seed, math.floor(hours / p.HOURS_PER_DAY))
    phase = topics.phase(seed, alive, _SOURCE, np.array([hours]))[0]
    popularity = noise.lognormal(seed, f"trend:{region}", alive.ids, *p.TRENDS_SEARCHES)
    now = popularity * topics.intensity(alive, phase[None, :])[0]
    x = np.maximum(phase, 0.0)
    so_far = popularity * alive.heat * math.e * (1.0 - (1.0 + x) * np.exp(-x))
    found: dict[str, Trend] = {}
    for row in np.argsort(-now, kind="stable"):
        searches = _step(float(so_far[row]))
        if now[row] <= 0 or searches == 0 or x[row] * alive.rise[row] > p.TRENDS_LAST_H:
            continue
        title = _label(int(alive.niche[row]), int(alive.subject[row]), int(alive.angle[row]))
        # In steps of ten minutes, so that it is the same time whenever it is asked for.
        started = math.floor((hours - float(x[row] * alive.rise[row])) * 6.0 + 1e-6) / 6.0
        found.setdefault(title, Trend(int(alive.ids[row]), title, started, searches))
        if len(found) == p.TRENDS_LISTED:
            break
    return tuple(found.values())


def _step(searches: float) -> int:
    """The largest number of the feed's steps that is reached; 0 below the smallest."""
    reached = [
        step * 10**power
        for power in range(6)
        for step in p.TRENDS_STEPS
        if step * 10**power <= searches
    ]
    return max(reached, default=0)


def _label(niche: int, subject: int, angle: int) -> str:
    kind = vocabulary().niches[niche]
    return f"{kind.subjects[subject]} {kind.angles[angle]}".lower()


def interest(seed: int, keyword: str, region: str, first: int, count: int) -> noise.Floats:
    """Searches for a term in each of `count` hours from hour `first` on, in no unit.

    A term is searched for every day, more in the evening than at night, and besides as much as is
    made of the topics that have all of its words.
    """
    day, last = first // p.HOURS_PER_DAY, (first + count - 1) // p.HOURS_PER_DAY
    days = [_interest_of_day(seed, keyword.lower(), region, each) for each in range(day, last + 1)]
    start = first - day * p.HOURS_PER_DAY
    return np.concatenate(days)[start : start + count]


@lru_cache(maxsize=8192)
def _interest_of_day(seed: int, keyword: str, region: str, day: int) -> noise.Floats:
    hours = np.arange(p.HOURS_PER_DAY, dtype=np.float64) + p.HOURS_PER_DAY * day
    term = np.array([noise.stream_key(seed, f"interest:{keyword}:{region}") >> 2], dtype=np.int64)
    everyday = noise.lognormal(seed, "interest:everyday", term, *p.TRENDS_EVERYDAY)[0]
    of_day = noise.lognormal(seed, f"interest:day:{day}", term, 1.0, 0.15)[0]
    wave = 1.0 + 0.4 * np.sin((hours % p.HOURS_PER_DAY - 14.0) * np.pi / 12.0)
    total = everyday * of_day * wave
    alive = topics.topics_alive(seed, day)
    rows = _about(alive, frozenset(keyword.split()))
    if len(rows):
        some = topics.Topics(
            **{name: getattr(alive, name)[rows] for name in topics.Topics.__dataclass_fields__}
        )
        strength = topics.intensity(some, topics.phase(seed, some, _SOURCE, hours))
        total = total + strength.sum(axis=1) * wave
    return np.asarray(total, dtype=np.float64)


def _about(alive: topics.Topics, words: frozenset[str]) -> noise.Ints:
    """The topics that have all of the words."""
    labels = zip(alive.niche, alive.subject, alive.angle, strict=True)
    rows = [
        row
        for row, (niche, subject, angle) in enumerate(labels)
        if words <= set(_label(int(niche), int(subject), int(angle)).split())
    ]
    return np.array(rows, dtype=np.int64)
