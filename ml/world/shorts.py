"""Short videos on TikTok: who posts what when, and how they are seen."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ml.world import noise, topics
from ml.world import parameters as p
from ml.world.scale import per_day
from ml.world.social import draw_topics, social, topic_numbers

_INDEX_BITS = 32


@dataclass(frozen=True)
class Shorts:
    """Short videos as columns.

    Attributes:
        number: the id: its upper half is the second of creation, as TikTok's are.
        created: hours since the world's start, to the second.
        wording: number of the topic's wording.
        region: index into `parameters.REGIONS`.
        gone_at: when its maker deletes or hides it; infinite for most.
    """

    ids: noise.Ints
    number: noise.Ints
    created: noise.Floats
    wording: noise.Ints
    template: noise.Ints
    untitled: npt.NDArray[np.bool_]
    region: noise.Ints
    seconds: noise.Ints
    final_views: noise.Floats
    like_rate: noise.Floats
    comment_rate: noise.Floats
    share_rate: noise.Floats
    gone_at: noise.Floats

    def take(self, index: noise.Ints) -> Shorts:
        """The rows at `index`."""
        return Shorts(**{name: getattr(self, name)[index] for name in self.__dataclass_fields__})


@lru_cache(maxsize=64)
def shorts_of_day(seed: int, day: int) -> Shorts:
    """The videos made on a day, newest first."""
    ids = topics.entity_ids(day, per_day(seed, p.TIKTOK_VIDEOS_PER_DAY))
    shares = np.array(p.PUBLISH_HOUR_SHARE)
    hour = noise.choice(seed, "short:hour", ids, shares) + noise.uniform(seed, "short:minute", ids)
    created = np.floor((p.HOURS_PER_DAY * day + hour) * 3600.0) / 3600.0
    alive = topics.topics_alive(seed, day)
    drawn = draw_topics(seed, "tiktok", "short:topic", ids, created, alive)
    templates = len(social().templates["tiktok"])
    people = np.array([row[0] for row in p.REGIONS.values()])
    gone = noise.uniform(seed, "short:gone", ids) < p.TIKTOK_GONE
    seconds = noise.lognormal(seed, "short:duration", ids, *p.TIKTOK_DURATION_S)
    every = Shorts(
        ids=ids,
        number=_numbers(seed, ids, created),
        created=created,
        wording=topic_numbers(alive.niche[drawn], alive.subject[drawn], alive.angle[drawn]),
        template=(noise.uniform(seed, "short:template", ids) * templates).astype(np.int64),
        untitled=noise.uniform(seed, "short:untitled", ids) < p.TIKTOK_UNTITLED,
        region=noise.choice(seed, "short:region", ids, people),
        seconds=np.clip(seconds, 3, 600).astype(np.int64),
        final_views=alive.heat[drawn] ** p.TIKTOK_VIEWS_HEAT
        * noise.lognormal(seed, "short:views", ids, *p.TIKTOK_VIEWS),
        like_rate=np.minimum(noise.lognormal(seed, "short:likes", ids, *p.TIKTOK_LIKE_RATE), 0.5),
        comment_rate=noise.lognormal(seed, "short:comments", ids, *p.TIKTOK_COMMENT_RATE),
        share_rate=noise.lognormal(seed, "short:shares", ids, *p.TIKTOK_SHARE_RATE),
        gone_at=np.where(
            gone,
            created + noise.lognormal(seed, "short:gone:after", ids, *p.TIKTOK_GONE_AFTER_H),
            np.inf,
        ),
    )
    return every.take(np.argsort(-every.number, kind="stable"))


def _numbers(seed: int, ids: noise.Ints, created: noise.Floats) -> noise.Ints:
    second = np.round(p.WORLD_START.timestamp() + created * 3600.0).astype(np.int64)
    low = noise.bits(seed, "short:id", ids) >> np.uint64(64 - _INDEX_BITS)
    return np.asarray((second << _INDEX_BITS) + low.astype(np.int64), dtype=np.int64)


def between(seed: int, first: int, last: int) -> Shorts:
    """The videos of the days from `first` to `last`, newest first."""
    days = [shorts_of_day(seed, day) for day in range(last, first - 1, -1)]
    columns = Shorts.__dataclass_fields__
    return Shorts(**{name: np.concatenate([getattr(d, name) for d in days]) for name in columns})


@dataclass(frozen=True)
class Counts:
    """What was counted of each video by a time."""

    views: noise.Ints
    likes: noise.Ints
    comments: noise.Ints
    shares: noise.Ints


def counts(shorts: Shorts, hours: float) -> Counts:
    """Views, likes, comments and shares at a time; none ever falls."""
    age = np.maximum(hours - shorts.created, 0.0)
    grown = -np.expm1(-((age / p.TIKTOK_GROWTH_H) ** p.TIKTOK_GROWTH_SHAPE))
    views = np.floor(shorts.final_views * grown)

    def part(rate: noise.Floats) -> noise.Ints:
        return np.floor(views * rate).astype(np.int64)

    return Counts(
        views=views.astype(np.int64),
        likes=part(shorts.like_rate),
        comments=part(shorts.comment_rate),
        shares=part(shorts.share_rate),
    )
