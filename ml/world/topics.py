"""Topics: they are born, taken up by one source after the other, peak and die."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ml.world import noise
from ml.world import parameters as p
from ml.world.vocabulary import vocabulary

_DAY_OFFSET = 1 << 20  # keeps the ids of days before the world's start positive
_PER_DAY = 1 << 12
# Ids of what a day has beyond that: a bigger world does not change the ids of a smaller one.
_MORE = 1 << 50
_MORE_PER_DAY = 1 << 28


def entity_ids(day: int, count: int) -> noise.Ints:
    """Ids of the entities of a day; unique within their kind."""
    index = np.arange(count, dtype=np.int64)
    ids = (day + _DAY_OFFSET) * _PER_DAY + index
    if count > _PER_DAY:
        ids[_PER_DAY:] = _MORE + (day + _DAY_OFFSET) * _MORE_PER_DAY + index[_PER_DAY:]
    return ids


def split_id(entity: int) -> tuple[int, int]:
    """Day and index of an entity id."""
    if entity >= _MORE:
        day, index = divmod(entity - _MORE, _MORE_PER_DAY)
        return day - _DAY_OFFSET, index
    return entity // _PER_DAY - _DAY_OFFSET, entity % _PER_DAY


@dataclass(frozen=True)
class Topics:
    """Topics as columns.

    Attributes:
        born: hours since the world's start.
        rise: hours from the take-up by a source to the peak there.
        heat: how much is made of it, relative to the median topic.
    """

    ids: noise.Ints
    born: noise.Floats
    niche: noise.Ints
    subject: noise.Ints
    angle: noise.Ints
    rise: noise.Floats
    heat: noise.Floats


@lru_cache(maxsize=128)
def topics_of_day(seed: int, day: int) -> Topics:
    """The topics born on a day."""
    niches = vocabulary().niches
    ids = entity_ids(day, p.TOPICS_PER_DAY)
    niche = noise.choice(seed, "topic:niche", ids, np.array([n.weight for n in niches]))
    subjects = np.array([len(n.subjects) for n in niches])[niche]
    angles = np.array([len(n.angles) for n in niches])[niche]
    return Topics(
        ids=ids,
        born=p.HOURS_PER_DAY * (day + noise.uniform(seed, "topic:born", ids)),
        niche=niche,
        subject=(noise.uniform(seed, "topic:subject", ids) * subjects).astype(np.int64),
        angle=(noise.uniform(seed, "topic:angle", ids) * angles).astype(np.int64),
        rise=noise.lognormal(seed, "topic:rise", ids, *p.TOPIC_RISE_H),
        heat=noise.lognormal(seed, "topic:heat", ids, 1.0, p.TOPIC_HEAT_SIGMA),
    )


@lru_cache(maxsize=64)
def topics_alive(seed: int, day: int) -> Topics:
    """The topics that can be talked about on a day."""
    days = [topics_of_day(seed, d) for d in range(day - p.TOPIC_WINDOW_DAYS, day + 1)]
    columns = Topics.__dataclass_fields__
    return Topics(**{name: np.concatenate([getattr(d, name) for d in days]) for name in columns})


def phase(seed: int, topics: Topics, source: str, hours: noise.Floats) -> noise.Floats:
    """Where each topic stands at a source: below 0 not there yet, 1 at its peak.

    Args:
        seed: the world's seed.
        topics: K topics.
        source: a key of `SOURCE_LAG_H`.
        hours: N times in hours since the world's start.

    Returns:
        N x K.
    """
    lag = noise.lognormal(seed, f"topic:lag:{source}", topics.ids, *p.SOURCE_LAG_H[source])
    return np.asarray((hours[:, None] - (topics.born + lag)) / topics.rise, dtype=np.float64)


def intensity(topics: Topics, phases: noise.Floats) -> noise.Floats:
    """How much is being made of each topic: heat x e^(1-x), 0 before the take-up. N x K."""
    x = np.maximum(phases, 0.0)
    return np.asarray(topics.heat * x * np.exp(1.0 - x), dtype=np.float64)


def draw_topics(seed: int, stream: str, ids: noise.Ints, weights: noise.Floats) -> noise.Ints:
    """Draw one column of `weights` (N x K) for each of N ids."""
    edges = np.cumsum(weights, axis=1)
    target = noise.uniform(seed, stream, ids) * edges[:, -1]
    picked = (edges < target[:, None]).sum(axis=1)
    return np.asarray(np.minimum(picked, weights.shape[1] - 1), dtype=np.int64)
