"""Encyclopedia articles of the world and how often they are read, hour by hour."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ml.world import noise, topics
from ml.world import parameters as p
from ml.world.vocabulary import vocabulary

_NONE = -1
# Articles around a subject beside its own.
_AROUND = (
    "History of {}", "List of {} records", "{} in popular culture", "Outline of {}",
    "Glossary of {} terms", "{} by country", "Economics of {}",
)  # fmt: skip
_PER_HOUR = 1 << 12  # more than there are articles


@dataclass(frozen=True)
class Articles:
    """All pages: those of no topic first, then subjects, what is around them, and their angles.

    Attributes:
        titles: with underscores, as the provider writes them.
        views: a day on the English Wikipedia, without topics.
        of_subject: index of a subject's article by niche and subject.
        of_angle: index of an angle's article by niche, subject and angle.
    """

    titles: tuple[str, ...]
    views: noise.Floats
    of_subject: noise.Ints
    of_angle: noise.Ints

    def index(self, title: str) -> int | None:
        """The article of that title."""
        return _positions(self.titles).get(title)


@lru_cache(maxsize=4)
def _positions(titles: tuple[str, ...]) -> dict[str, int]:
    return {title: index for index, title in enumerate(titles)}


@lru_cache(maxsize=4)
def articles(seed: int) -> Articles:
    """The pages of a world, the same in all its projects."""
    niches = vocabulary().niches
    subjects = max(len(niche.subjects) for niche in niches)
    angles = max(len(niche.angles) for niche in niches)
    of_subject = np.full((len(niches), subjects), _NONE, dtype=np.int64)
    of_angle = np.full((len(niches), subjects, angles), _NONE, dtype=np.int64)
    names = list(p.META_VIEWS)
    for n, niche in enumerate(niches):
        for s, subject in enumerate(niche.subjects):
            of_subject[n, s] = len(names)
            names.append(subject)
            names += [form.format(subject) for form in _AROUND]
            for a, angle in enumerate(niche.angles):
                of_angle[n, s, a] = len(names)
                names.append(f"{subject} {angle}")
    ids = np.arange(len(names), dtype=np.int64)
    views = noise.lognormal(seed, "article:views", ids, *p.ARTICLE_VIEWS_OTHER)
    own = of_subject[of_subject != _NONE]
    views[own] = noise.lognormal(seed, "article:views:subject", own, *p.ARTICLE_VIEWS_SUBJECT)
    views[: len(p.META_VIEWS)] = list(p.META_VIEWS.values())
    return Articles(tuple(_title(name) for name in names), views, of_subject, of_angle)


def _title(name: str) -> str:
    return (name[:1].upper() + name[1:]).replace(" ", "_")


@lru_cache(maxsize=96)
def hourly_views(seed: int, project: str, day: int) -> noise.Ints:
    """Views of each article in each of the 24 hours of a day; hours x articles."""
    table = articles(seed)
    count = len(table.titles)
    ids = np.arange(count, dtype=np.int64)
    share = p.WIKIPEDIA_PROJECTS[project]
    taste = noise.lognormal(seed, f"article:{project}", ids, share, p.ARTICLE_PROJECT_SIGMA)
    hours = topics.entity_ids(day, 24) * _PER_HOUR
    mood = noise.lognormal(seed, "article:day", hours[:1] + ids, 1.0, p.ARTICLE_DAY_SIGMA)
    moods = noise.lognormal(
        seed, f"article:hour:{project}", hours[:, None] + ids, 1.0, p.ARTICLE_HOUR_SIGMA
    )
    clock = 1 + p.ARTICLE_HOUR_SWING * np.cos(2 * np.pi * (np.arange(24) - 18) / 24)
    rate = (table.views * mood + _topic_views(seed, day, table)) * taste / 24
    return np.floor(rate * moods * clock[:, None]).astype(np.int64)


def _topic_views(seed: int, day: int, table: Articles) -> noise.Floats:
    """Views a day that topics bring, at each hour; hours x articles."""
    alive = topics.topics_alive(seed, day)
    times = p.HOURS_PER_DAY * day + np.arange(24, dtype=np.float64) + 0.5
    strength = topics.intensity(alive, topics.phase(seed, alive, "wikipedia", times))
    result = np.zeros((24, len(table.titles)))
    places = (
        table.of_subject[alive.niche, alive.subject],
        table.of_angle[alive.niche, alive.subject, alive.angle],
    )
    for where, share in zip(places, p.ARTICLE_TOPIC_SHARES, strict=True):
        np.add.at(result.T, where, share * p.ARTICLE_VIEWS_TOPIC * strength.T)
    return result


@lru_cache(maxsize=512)
def daily_views(seed: int, project: str, day: int) -> noise.Ints:
    """Views of each article on a day."""
    return np.asarray(hourly_views(seed, project, day).sum(axis=0), dtype=np.int64)


def by_access(views: noise.Ints, access: str) -> noise.Ints:
    """What of the views came in that way; the three ways add up to all of them."""
    desktop = np.floor(views * p.ARTICLE_DESKTOP).astype(np.int64)
    app = np.floor(views * p.ARTICLE_APP).astype(np.int64)
    ways = {
        "all-access": views, "desktop": desktop, "mobile-app": app,
        "mobile-web": views - desktop - app,
    }  # fmt: skip
    return np.asarray(ways[access], dtype=np.int64)


def day_published(seed: int, project: str, day: int) -> float:
    """When the figures of a day can be had, in hours since the world's start."""
    delay = noise.lognormal(
        seed, f"article:published:{project}", topics.entity_ids(day, 1), *p.DAY_PUBLISHED_H
    )
    return p.HOURS_PER_DAY * (day + 1) + min(float(delay[0]), 23.0)


def hour_published(seed: int, hour: int) -> float:
    """When the dump of the hour that ends at `hour` can be had."""
    ids = topics.entity_ids(hour, 1)
    return hour + float(noise.lognormal(seed, "article:dump", ids, *p.HOUR_PUBLISHED_H)[0])
