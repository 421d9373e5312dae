"""Videos: who uploads what when, and how their views, likes and comments grow."""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from ml.world import noise, topics
from ml.world import parameters as p
from ml.world.channels import channels
from ml.world.scale import per_day
from ml.world.shift import Shift, interest, shift_on

_BLOCK = 8192  # videos drawn at once: with all topics beside each, more would fill the memory


@dataclass(frozen=True)
class Videos:
    """Videos as columns; times in hours since the world's start, `views_24h` as a logarithm."""

    ids: noise.Ints
    published: noise.Floats
    niche: noise.Ints
    subject: noise.Ints
    angle: noise.Ints
    channel: noise.Ints
    region: noise.Ints
    views_24h: noise.Floats
    beta: noise.Floats
    start: noise.Floats
    wave_at: noise.Floats
    wave_gain: noise.Floats
    like_rate: noise.Floats
    comment_rate: noise.Floats
    reach: noise.Floats

    def take(self, index: noise.Ints) -> Videos:
        """The rows at `index`."""
        return Videos(**{name: getattr(self, name)[index] for name in self.__dataclass_fields__})


def videos_of_day(seed: int, day: int) -> Videos:
    """The videos uploaded on a day; in a bigger world, first those of `contenders_of_day`."""
    contenders = contenders_of_day(seed, day)
    if per_day(seed, p.VIDEOS_PER_DAY) <= p.VIDEOS_PER_DAY:
        return contenders
    return _with_others(seed, day)


@lru_cache(maxsize=128)
def contenders_of_day(seed: int, day: int) -> Videos:
    """The videos uploaded on a day that have a chance of a chart place."""
    count = min(per_day(seed, p.VIDEOS_PER_DAY), p.VIDEOS_PER_DAY)
    return _made(seed, day, topics.entity_ids(day, count))


@lru_cache(maxsize=4)
def _with_others(seed: int, day: int) -> Videos:
    """The contenders of a day, and all that a bigger world has beside them."""
    ids = topics.entity_ids(day, per_day(seed, p.VIDEOS_PER_DAY))
    blocks = [contenders_of_day(seed, day)]
    for start in range(p.VIDEOS_PER_DAY, len(ids), _BLOCK):
        block = _made(seed, day, ids[start : start + _BLOCK])
        blocks.append(replace(block, views_24h=block.views_24h - p.VIEWS_24H_UNLISTED))
    columns = Videos.__dataclass_fields__
    return Videos(**{name: np.concatenate([getattr(b, name) for b in blocks]) for name in columns})


def _made(seed: int, day: int, ids: noise.Ints) -> Videos:
    shares = np.array(p.PUBLISH_HOUR_SHARE)
    hour = noise.choice(seed, "video:hour", ids, shares) + noise.uniform(seed, "video:minute", ids)
    # Whole seconds, because that is what the API shows.
    published = np.floor((p.HOURS_PER_DAY * day + hour) * 3600.0) / 3600.0
    alive = topics.topics_alive(seed, day)
    phases = topics.phase(seed, alive, "youtube", published)
    shift = shift_on(seed, day)
    weights = topics.intensity(alive, phases) * interest(shift, alive.niche, p.SHIFT_NICHE_GAIN)
    drawn = topics.draw_topics(seed, "video:topic", ids, weights)
    own_phase = phases[np.arange(len(ids)), drawn]
    niche = alive.niche[drawn]
    channel = _uploaders(seed, ids, niche)
    made = Videos(
        ids=ids,
        published=published,
        niche=niche,
        subject=alive.subject[drawn],
        angle=alive.angle[drawn],
        channel=channel,
        region=channels(seed).region[channel],
        views_24h=_views_24h(seed, ids, channel, alive.heat[drawn]),
        beta=np.minimum(
            noise.lognormal(seed, "video:beta", ids, *p.GROWTH_BETA)
            * np.exp(p.GROWTH_PHASE * np.clip(1.0 - own_phase, -1.0, 1.0)),
            p.GROWTH_BETA_MAX,
        ),
        start=noise.lognormal(seed, "video:start", ids, *p.GROWTH_START_H),
        wave_at=noise.lognormal(seed, "video:wave:at", ids, *p.SECOND_WAVE_AFTER_H),
        wave_gain=np.where(
            noise.uniform(seed, "video:wave", ids) < p.SECOND_WAVE_SHARE,
            noise.lognormal(seed, "video:wave:gain", ids, *p.SECOND_WAVE_GAIN),
            0.0,
        ),
        like_rate=np.minimum(noise.lognormal(seed, "video:likes", ids, *p.LIKE_RATE), 0.4),
        comment_rate=np.minimum(noise.lognormal(seed, "video:comments", ids, *p.COMMENT_RATE), 0.2),
        reach=p.REACH_SIGMA * noise.normal(seed, "video:reach", ids),
    )
    return made if shift is None else _living_otherwise(made, shift)


def _living_otherwise(videos: Videos, shift: Shift) -> Videos:
    return replace(
        videos,
        views_24h=videos.views_24h + math.log(shift.views),
        beta=videos.beta * shift.growth,
    )


def _uploaders(seed: int, ids: noise.Ints, niche: noise.Ints) -> noise.Ints:
    """A channel of the niche for each video, few channels having many."""
    rank = noise.uniform(seed, "video:channel", ids) ** p.CHANNEL_CONCENTRATION
    result = np.zeros(len(ids), dtype=np.int64)
    for index, members in enumerate(channels(seed).by_niche):
        here = niche == index
        result[here] = members[(rank[here] * len(members)).astype(np.int64)]
    return result


def _views_24h(seed: int, ids: noise.Ints, channel: noise.Ints, heat: noise.Floats) -> noise.Floats:
    size = np.log(channels(seed).subscribers[channel] / p.SUBSCRIBERS[0])
    return np.asarray(
        p.VIEWS_24H_LN
        + p.VIEWS_24H_SUBSCRIBER_EXPONENT * size
        + p.VIEWS_24H_HEAT_EXPONENT * np.log(heat)
        + p.VIEWS_24H_SIGMA * noise.normal(seed, "video:views", ids),
        dtype=np.float64,
    )


def _shape(videos: Videos, age: noise.Floats) -> noise.Floats:
    """Logarithm of the growth curve, up to a constant; it never falls."""
    wave = videos.wave_gain / (1.0 + np.exp(-(age - videos.wave_at) / p.SECOND_WAVE_WIDTH_H))
    return np.asarray(
        np.log(-np.expm1(-age / videos.start)) + videos.beta * np.log1p(age / 2.0) + np.log1p(wave),
        dtype=np.float64,
    )


def log_views(videos: Videos, hours: float) -> noise.Floats:
    """ln(views) at a time; all videos must be published by then."""
    age = np.maximum(hours - videos.published, 1.0 / 3600.0)
    day = np.full_like(age, 24.0)
    return np.asarray(
        videos.views_24h + _shape(videos, age) - _shape(videos, day), dtype=np.float64
    )


@dataclass(frozen=True)
class Counts:
    """What the API shows of each video; none of the counts ever falls."""

    views: noise.Ints
    likes: noise.Ints
    comments: noise.Ints


def counts(videos: Videos, hours: float) -> Counts:
    """Views, likes and comments at a time."""
    views = log_views(videos, hours)
    gain = views - videos.views_24h

    def scaled(rate: noise.Floats, elasticity: float) -> noise.Ints:
        return np.floor(rate * np.exp(videos.views_24h + elasticity * gain)).astype(np.int64)

    total = np.floor(np.exp(views)).astype(np.int64)
    likes = np.minimum(scaled(videos.like_rate, p.LIKE_ELASTICITY), total)
    return Counts(total, likes, scaled(videos.comment_rate, p.COMMENT_ELASTICITY))


def video_id(seed: int, entity: int) -> str:
    """11 characters of base64url, as YouTube's."""
    value = noise.mix(entity ^ noise.stream_key(seed, "video:id"))
    return base64.urlsafe_b64encode(value.to_bytes(8)).decode().rstrip("=")


def find_video(seed: int, identifier: str) -> tuple[int, int] | None:
    """Day and index of the video with that id, or None."""
    if len(identifier) != 11:
        return None
    try:
        value = int.from_bytes(base64.b64decode(identifier + "=", altchars=b"-_", validate=True))
    except ValueError:
        return None
    entity = noise.unmix(value) ^ noise.stream_key(seed, "video:id")
    day, index = topics.split_id(entity)
    if index >= per_day(seed, p.VIDEOS_PER_DAY) or abs(day) > 40_000:
        return None
    if video_id(seed, entity) != identifier:
        return None
    return day, index
