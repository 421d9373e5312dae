"""Posts on X: made by the hour, counted by query, and what trends in a place."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ml.world import noise, topics
from ml.world import parameters as p
from ml.world.providers import x_query
from ml.world.scale import per_day
from ml.world.social import (
    draw_topics,
    hashtag,
    social,
    text,
    topic_count,
    topic_numbers,
    topic_parts,
)
from ml.world.vocabulary import title_case, vocabulary

_EPOCH_MS = 1_288_834_974_657  # of the ids: https://docs.x.com/fundamentals/x-ids
_INDEX_BITS = 22
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Posts:
    """Posts as columns; `created` in hours since the world's start, to the second."""

    ids: noise.Ints
    number: noise.Ints
    created: noise.Floats
    wording: noise.Ints
    template: noise.Ints
    is_repost: noise.Ints

    def take(self, index: noise.Ints) -> Posts:
        """The rows at `index`."""
        return Posts(**{name: getattr(self, name)[index] for name in self.__dataclass_fields__})


@lru_cache(maxsize=1024)
def posts_of_hour(seed: int, hour: int) -> Posts:
    """The posts made in an hour since the world's start."""
    share = p.PUBLISH_HOUR_SHARE[hour % p.HOURS_PER_DAY] / sum(p.PUBLISH_HOUR_SHARE)
    # The ids of an hour stand in the place of those of a day, which other entities have.
    ids = topics.entity_ids(hour, round(per_day(seed, p.X_POSTS_PER_DAY) * share))
    created = np.floor((hour + noise.uniform(seed, "x:created", ids)) * 3600.0) / 3600.0
    alive = topics.topics_alive(seed, hour // p.HOURS_PER_DAY)
    drawn = draw_topics(seed, "x", "x:topic", ids, created, alive)
    templates = len(social().templates["x"])
    return Posts(
        ids=ids,
        number=_numbers(created),
        created=created,
        wording=topic_numbers(alive.niche[drawn], alive.subject[drawn], alive.angle[drawn]),
        template=(noise.uniform(seed, "x:template", ids) * templates).astype(np.int64),
        is_repost=(noise.uniform(seed, "x:repost", ids) < p.X_REPOSTS).astype(np.int64),
    )


def _numbers(created: noise.Floats) -> noise.Ints:
    """Ids as X makes them: milliseconds, then what tells apart the posts of one."""
    ms = np.round((p.WORLD_START.timestamp() + created * 3600.0) * 1000.0).astype(np.int64)
    return np.asarray(((ms - _EPOCH_MS) << _INDEX_BITS) + np.arange(len(created)), dtype=np.int64)


def time_of(number: int) -> float:
    """When the post with that id was made, in hours since the world's start."""
    ms = (number >> _INDEX_BITS) + _EPOCH_MS
    return (ms / 1000.0 - p.WORLD_START.timestamp()) / 3600.0


def between(seed: int, start: float, end: float) -> Posts:
    """The posts from `start` on and before `end`, in hours, in the order of their times."""
    hours = range(math.floor(start), math.ceil(end))
    parts = [posts_of_hour(seed, hour) for hour in hours] or [posts_of_hour(seed, 0)]
    columns = Posts.__dataclass_fields__
    every = Posts(**{name: np.concatenate([getattr(d, name) for d in parts]) for name in columns})
    inside = np.flatnonzero((every.created >= start) & (every.created < end))
    return every.take(inside[np.argsort(every.created[inside], kind="stable")])


def post_text(wording: int, template: int, *, repost_of: int | None = None) -> str:
    """What a post says; a repost repeats another author's post."""
    said = text("x", wording, template)
    return said if repost_of is None else f"RT @user{repost_of}: {said}"


@lru_cache(maxsize=1)
def _texts() -> tuple[tuple[x_query.Text, ...], ...]:
    """Every text there can be, taken apart: a row of reposts after each row of originals."""
    templates = range(len(social().templates["x"]))
    return tuple(
        tuple(x_query.read_text(text("x", n, t), is_repost=again) for t in templates)
        for n in range(topic_count())
        for again in (False, True)
    )


@lru_cache(maxsize=512)
def matches(query: str) -> Bools:
    """Which texts a query matches, by topic wording, repost or not, and template.

    Raises:
        QueryError: if it is no query.
    """
    match = x_query.parse(query)
    flat = [[match(each) for each in row] for row in _texts()]
    return np.array(flat, dtype=np.bool_).reshape(topic_count(), 2, -1)


def matching(posts: Posts, query: str) -> Bools:
    """Which posts a query matches."""
    return np.asarray(matches(query)[posts.wording, posts.is_repost, posts.template])


def counts(seed: int, query: str, edges: noise.Floats, known: float) -> noise.Ints:
    """How many posts match in each of the buckets between `edges`; all times in hours.

    Args:
        seed: the world's.
        query: in X's language.
        edges: of the buckets.
        known: posts made later are not counted yet.
    """
    total = np.zeros(len(edges) - 1, dtype=np.int64)
    for hour in range(math.floor(edges[0]), math.ceil(edges[-1])):
        posts = posts_of_hour(seed, hour)
        found = posts.created[matching(posts, query)]
        total += np.histogram(found[found < min(edges[-1], known)], bins=edges)[0]
    return total


@dataclass(frozen=True)
class Trend:
    """A trend; `count` is None where there is too little to say."""

    name: str
    count: int | None


@lru_cache(maxsize=64)
def trends(seed: int, minute: int, woeid: int, share: float) -> tuple[Trend, ...]:
    """What is talked about more than it was the day before, most first.

    Args:
        seed: the world's.
        minute: since its start.
        woeid: the place; its taste differs from that of others.
        share: of the world's posts that are made there.
    """
    end = minute / 60.0
    now = _by_subject(between(seed, end - p.X_TREND_WINDOW_H, end))
    day = _by_subject(between(seed, end - p.X_TREND_HOURS, end))
    usual = day * (p.X_TREND_WINDOW_H / p.X_TREND_HOURS)
    subjects = np.arange(len(now), dtype=np.int64)
    taste = noise.lognormal(seed, f"x:place:{woeid}", subjects, 1.0, p.X_PLACE_SIGMA)
    weight = taste * (now + 1.0) ** 2 / (usual + 5.0)
    best = [int(i) for i in np.argsort(-weight, kind="stable") if now[i] > 0]
    found = [(i, int(day[i] * share * min(float(taste[i]), 1.0 / share))) for i in best]
    return tuple(
        Trend(_trend_name(i), count if count >= p.X_TREND_COUNT_FROM else None)
        for i, count in found
    )


@lru_cache(maxsize=1)
def _subject_numbers() -> tuple[noise.Ints, tuple[tuple[int, int], ...]]:
    """The subject of each topic wording, and the niche and subject of each number."""
    known: dict[tuple[int, int], int] = {}
    numbers = [known.setdefault(topic_parts(n)[:2], len(known)) for n in range(topic_count())]
    return np.array(numbers, dtype=np.int64), tuple(known)


def _by_subject(posts: Posts) -> noise.Floats:
    numbers, known = _subject_numbers()
    return np.bincount(numbers[posts.wording], minlength=len(known)).astype(np.float64)


def _trend_name(number: int) -> str:
    """Every third trend is a hashtag."""
    niche, subject = _subject_numbers()[1][number]
    words = vocabulary().niches[niche].subjects[subject]
    return f"#{hashtag(words)}" if number % 3 == 0 else title_case(words)
