"""Hacker News stories: submissions, their scores and the front page."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ml.world import noise, topics
from ml.world import parameters as p
from ml.world.scale import per_day, scale_of
from ml.world.vocabulary import vocabulary

_SLOTS = p.ITEMS_PER_DAY // p.STORIES_PER_DAY
_BLOCK = 8192  # stories drawn at once: with all topics beside each, more would fill the memory


@dataclass(frozen=True)
class Stories:
    """Stories as columns, in the order of their ids, which is that of their submission."""

    ids: noise.Ints
    item: noise.Ints
    submitted: noise.Floats
    niche: noise.Ints
    subject: noise.Ints
    angle: noise.Ints
    final_score: noise.Floats
    comment_ratio: noise.Floats
    sunk: noise.Floats

    def take(self, index: noise.Ints) -> Stories:
        """The rows at `index`."""
        return Stories(**{name: getattr(self, name)[index] for name in self.__dataclass_fields__})


def items_per_day(seed: int) -> int:
    """Item ids a day, comments included."""
    return _SLOTS * per_day(seed, p.STORIES_PER_DAY)


@lru_cache(maxsize=16)
def stories_of_day(seed: int, day: int) -> Stories:
    """The stories submitted on a day.

    The day's ids are cut into one stretch of slots per story; the other ids of a stretch stand for
    comments, which the world does not serve. In a bigger world no more stories reach the front page
    than in the one that was fitted.
    """
    ids = topics.entity_ids(day, per_day(seed, p.STORIES_PER_DAY))
    count = len(ids)
    slot = _SLOTS * np.arange(count) + np.floor(
        _SLOTS * noise.uniform(seed, "story:slot", ids)
    ).astype(np.int64)
    submitted = p.HOURS_PER_DAY * (day + slot / items_per_day(seed))
    alive = topics.topics_alive(seed, day)
    drawn = _topics_drawn(seed, alive, ids, submitted)
    share = p.FRONT_PAGE_SHARE / max(scale_of(seed), 1.0)
    lucky = noise.uniform(seed, "story:lucky", ids) < share
    return Stories(
        ids=ids,
        item=p.FIRST_ITEM_ID + items_per_day(seed) * day + slot,
        submitted=submitted,
        niche=alive.niche[drawn],
        subject=alive.subject[drawn],
        angle=alive.angle[drawn],
        final_score=np.where(
            lucky,
            noise.lognormal(seed, "story:score", ids, *p.FRONT_PAGE_SCORE),
            noise.lognormal(seed, "story:score:other", ids, *p.OTHER_SCORE),
        ),
        comment_ratio=noise.lognormal(seed, "story:comments", ids, *p.COMMENT_RATIO),
        sunk=_sunk(seed, ids, submitted),
    )


def _sunk(seed: int, ids: noise.Ints, submitted: noise.Floats) -> noise.Floats:
    """When a story leaves the front page whatever its score: it is flagged, or old."""
    flagged = noise.uniform(seed, "story:flagged", ids) < p.FLAGGED_SHARE
    after = np.where(
        flagged,
        noise.lognormal(seed, "story:flagged:after", ids, *p.FLAGGED_AFTER_H),
        noise.lognormal(seed, "story:old", ids, *p.FRONT_PAGE_END_H),
    )
    return np.asarray(submitted + after, dtype=np.float64)


def _topics_drawn(
    seed: int, alive: topics.Topics, ids: noise.Ints, submitted: noise.Floats
) -> noise.Ints:
    """The topic of each story, by block."""
    weight = np.array([n.hackernews / n.weight for n in vocabulary().niches])[alive.niche]
    blocks = []
    for start in range(0, len(ids), _BLOCK):
        block = slice(start, start + _BLOCK)
        phases = topics.phase(seed, alive, "hackernews", submitted[block])
        pull = weight * topics.intensity(alive, phases)
        blocks.append(topics.draw_topics(seed, "story:topic", ids[block], pull))
    return np.concatenate(blocks)


def scores(stories: Stories, hours: float) -> tuple[noise.Ints, noise.Ints]:
    """Score and number of comments of each story at a time; neither ever falls."""
    age = np.maximum(hours - stories.submitted, 0.0)

    def grown(scale: float) -> noise.Floats:
        reached = (age / (p.SCORE_GROWTH_H * scale)) ** p.SCORE_GROWTH_SHAPE
        return np.asarray(-np.expm1(-reached), dtype=np.float64)

    score = 1 + np.floor(stories.final_score * grown(1.0)).astype(np.int64)
    said = stories.final_score * stories.comment_ratio * grown(p.COMMENT_DELAY)
    return score, np.floor(said).astype(np.int64)


def unix_time(stories: Stories) -> noise.Ints:
    """When each was submitted, in seconds since 1970."""
    seconds = np.rint(stories.submitted * 3600.0).astype(np.int64)
    return seconds + int(p.WORLD_START.timestamp())


@lru_cache(maxsize=8)
def recent(seed: int, minute: int) -> Stories:
    """Stories of the last days that are submitted by then, oldest first."""
    hours = minute / 60.0
    day = math.floor(hours / p.HOURS_PER_DAY)
    days = [stories_of_day(seed, d) for d in range(day - p.STORY_WINDOW_DAYS, day + 1)]
    columns = Stories.__dataclass_fields__
    every = Stories(**{name: np.concatenate([getattr(d, name) for d in days]) for name in columns})
    return every.take(np.flatnonzero(every.submitted <= hours))


@lru_cache(maxsize=64)
def ranked(seed: int, minute: int) -> list[int]:
    """Item ids of the front page and what follows it, best first.

    The order is the published one, (score - 1)^0.8 / (age + 2 h)^1.8, times a penalty for what is
    flagged or old.
    """
    stories = recent(seed, minute)
    hours = minute / 60.0
    score, _ = scores(stories, hours)
    weight = np.maximum(score - 1, 0) ** 0.8 / (hours - stories.submitted + 2.0) ** 1.8
    weight *= np.where(hours < stories.sunk, 1.0, p.SUNK_WEIGHT)
    order = np.argsort(-weight, kind="stable")[: p.TOP_STORIES]
    return [int(item) for item in stories.item[order]]


def find_story(seed: int, item: int, hours: float) -> Stories | None:
    """The story with that item id as one row, or None if there is none yet."""
    day, slot = divmod(item - p.FIRST_ITEM_ID, items_per_day(seed))
    if abs(day) > 40_000:
        return None
    stories = stories_of_day(seed, day)
    row = stories.take(np.array([slot // _SLOTS]))
    return row if row.item[0] == item and row.submitted[0] <= hours else None
