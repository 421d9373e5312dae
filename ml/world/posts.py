"""Reddit posts: who posts what where, how scores grow, and what is removed again."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from ml.world import noise, topics
from ml.world import parameters as p
from ml.world.scale import per_day
from ml.world.social import draw_topics, social, topic_numbers

Sort = Literal["hot", "new", "rising"]
Bools = npt.NDArray[np.bool_]
LISTING_END = 1000  # the provider's own end of a listing
_HOT_EPOCH_S = 1_134_028_003
_HOT_SECONDS = 45_000.0
_RISING_MAX_AGE_H = 8.0
_FIRST_DAY = datetime(2005, 6, 23, tzinfo=UTC)
_INDEX_BITS = 20


@dataclass(frozen=True)
class Posts:
    """Posts as columns.

    Attributes:
        number: the id that readers see, before it is written in base 36; it grows with time.
        created: hours since the world's start.
        wording: number of the topic's wording.
        subreddit: index into `social().subreddits`.
        gone_at: when it is removed or deleted; infinite for most.
        by_author: whether it is the author who deletes it then.
        crosspost_of: number of the original post, 0 for an original.
    """

    ids: noise.Ints
    number: noise.Ints
    created: noise.Floats
    wording: noise.Ints
    template: noise.Ints
    subreddit: noise.Ints
    final_score: noise.Floats
    comment_ratio: noise.Floats
    upvote_ratio: noise.Floats
    gone_at: noise.Floats
    by_author: noise.Floats
    crosspost_of: noise.Ints

    def take(self, index: noise.Ints) -> Posts:
        """The rows at `index`."""
        return Posts(**{name: getattr(self, name)[index] for name in self.__dataclass_fields__})


@lru_cache(maxsize=32)
def posts_of_day(seed: int, day: int) -> Posts:
    """The posts made on a day."""
    ids = topics.entity_ids(day, per_day(seed, p.REDDIT_POSTS_PER_DAY))
    shares = np.array(p.PUBLISH_HOUR_SHARE)
    hour = noise.choice(seed, "post:hour", ids, shares) + noise.uniform(seed, "post:minute", ids)
    created = np.floor((p.HOURS_PER_DAY * day + hour) * 3600.0) / 3600.0
    alive = topics.topics_alive(seed, day)
    drawn = draw_topics(seed, "reddit", "post:topic", ids, created, alive)
    crossed, parent = _crossposts(seed, ids, created)
    drawn = np.where(crossed, drawn[parent], drawn)
    subreddit = _subreddits(seed, ids, alive.niche[drawn], crossed)
    crossed &= subreddit != subreddit[parent]
    number = _numbers(created)
    picked = (noise.uniform(seed, "post:template", ids) * len(social().templates["reddit"])).astype(
        np.int64
    )
    millions = np.array([each.subscribers for each in social().subreddits])[subreddit] / 1e6
    scale = millions**p.REDDIT_SCORE_SIZE * alive.heat[drawn] ** p.REDDIT_SCORE_HEAT
    gone = noise.uniform(seed, "post:gone", ids) < p.REDDIT_GONE
    return Posts(
        ids=ids,
        number=number,
        created=created,
        wording=topic_numbers(alive.niche[drawn], alive.subject[drawn], alive.angle[drawn]),
        template=np.where(crossed, picked[parent], picked),
        subreddit=subreddit,
        final_score=scale * noise.lognormal(seed, "post:score", ids, *p.REDDIT_SCORE),
        comment_ratio=noise.lognormal(seed, "post:comments", ids, *p.REDDIT_COMMENT_RATIO),
        upvote_ratio=0.99 - 0.45 * noise.uniform(seed, "post:ratio", ids) ** 3,
        gone_at=np.where(
            gone,
            created + noise.lognormal(seed, "post:gone:after", ids, *p.REDDIT_GONE_AFTER_H),
            np.inf,
        ),
        by_author=noise.uniform(seed, "post:gone:author", ids),
        crosspost_of=np.where(crossed, number[parent], 0),
    )


def _numbers(created: noise.Floats) -> noise.Ints:
    """The second of creation, and the index within the day."""
    second = _seconds(created)
    return np.asarray((second << _INDEX_BITS) + np.arange(len(created)), dtype=np.int64)


def _seconds(hours: noise.Floats) -> noise.Ints:
    """Seconds since the provider's first day."""
    since = (p.WORLD_START - _FIRST_DAY).total_seconds()
    return np.round(hours * 3600.0 + since).astype(np.int64)


def _crossposts(seed: int, ids: noise.Ints, created: noise.Floats) -> tuple[Bools, noise.Ints]:
    """Which posts repeat an earlier one of the day, and which; a repeated one is an original."""
    lucky = noise.uniform(seed, "post:crosspost", ids) < p.REDDIT_CROSSPOST
    parent = (noise.uniform(seed, "post:parent", ids) * np.arange(len(ids))).astype(np.int64)
    return lucky & ~lucky[parent] & (created[parent] < created), parent


def _subreddits(seed: int, ids: noise.Ints, niche: noise.Ints, crossed: Bools) -> noise.Ints:
    """A subreddit of the niche for each post, larger ones more often; any for a crosspost."""
    known = social().subreddits
    size = np.sqrt([each.subscribers for each in known])
    result = noise.choice(seed, "post:subreddit:any", ids, size)
    for index in np.unique(niche):
        fits = np.array([index in each.niches for each in known])
        own = noise.choice(seed, "post:subreddit", ids, size * fits)
        result = np.where((niche == index) & ~crossed, own, result)
    return np.asarray(result, dtype=np.int64)


def scores(posts: Posts, hours: float) -> tuple[noise.Ints, noise.Ints]:
    """Score and number of comments of each post at a time."""
    age = np.maximum(np.minimum(hours, posts.gone_at) - posts.created, 0.0)
    grown = -np.expm1(-((age / p.REDDIT_GROWTH_H) ** p.REDDIT_GROWTH_SHAPE))
    score = 1 + np.floor(posts.final_score * grown).astype(np.int64)
    said = np.floor(posts.final_score * posts.comment_ratio * grown).astype(np.int64)
    return score, said


@lru_cache(maxsize=16)
def recent(seed: int, minute: int) -> Posts:
    """Posts of the last days that are made by then and still listed."""
    hours = minute / 60.0
    day = math.floor(hours / p.HOURS_PER_DAY)
    days = [posts_of_day(seed, d) for d in range(day - p.REDDIT_WINDOW_DAYS, day + 1)]
    columns = Posts.__dataclass_fields__
    every = Posts(**{name: np.concatenate([getattr(d, name) for d in days]) for name in columns})
    listed = (every.created <= hours) & (every.gone_at + p.REDDIT_GONE_LISTED_H > hours)
    return every.take(np.flatnonzero(listed))


@lru_cache(maxsize=256)
def listing(seed: int, minute: int, subreddits: frozenset[int], sort: Sort) -> Posts:
    """The posts of subreddits as a listing orders them.

    Hot is the published order: log10 of the score plus the time in units of 45,000 s. How Reddit
    orders rising posts is not published; here it is what gained most in the last hour.
    """
    posts, hours = recent(seed, minute), minute / 60.0
    posts = posts.take(np.flatnonzero(np.isin(posts.subreddit, sorted(subreddits))))
    score, _ = scores(posts, hours)
    if sort == "new":
        weight = posts.created
    elif sort == "hot":
        since = p.WORLD_START.timestamp() - _HOT_EPOCH_S + posts.created * 3600.0
        weight = np.log10(np.maximum(score, 1)) + since / _HOT_SECONDS
    else:
        posts = posts.take(np.flatnonzero(posts.created > hours - _RISING_MAX_AGE_H))
        weight = (scores(posts, hours)[0] - scores(posts, hours - 1.0)[0]).astype(np.float64)
    return posts.take(np.argsort(-weight, kind="stable")[:LISTING_END])


def find_post(seed: int, number: int, hours: float) -> Posts | None:
    """The post with that number as one row, or None if there is none yet."""
    second, index = number >> _INDEX_BITS, number & ((1 << _INDEX_BITS) - 1)
    day = (second - int(_seconds(np.zeros(1))[0])) // 86_400
    if abs(day) > 40_000 or index >= per_day(seed, p.REDDIT_POSTS_PER_DAY):
        return None
    row = posts_of_day(seed, day).take(np.array([index]))
    return row if row.number[0] == number and row.created[0] <= hours else None
