"""Code repositories of the world: topics make people star them, for a few days."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ml.world import noise, topics
from ml.world import parameters as p
from ml.world.texts import share
from ml.world.vocabulary import title_case, vocabulary

_NOUNS = (
    "kit", "bench", "lab", "cli", "studio", "engine", "tools", "notes", "server", "viewer",
    "playground", "tracker",
)  # fmt: skip
_DESCRIPTIONS = (
    "{Subject}: {angle}, as a library and a command line",
    "A small tool for {subject} & {angle}",
    "Everything about {subject} {angle} in one place",
    "Curated list of {subject} resources ({angle})",
    "{Subject} {angle} without dependencies",
)
_OWNERS = 9000


@dataclass(frozen=True)
class Repositories:
    """Repositories that are found on a day, as columns.

    Attributes:
        start: when they are found, in hours since the world's start.
        before: stars until then.
        gain: stars that this brings in the end.
        rise: hours in which most of them come.
        language: index into `REPOSITORY_LANGUAGES`.
    """

    ids: noise.Ints
    start: noise.Floats
    before: noise.Floats
    gain: noise.Floats
    rise: noise.Floats
    forks: noise.Floats
    language: noise.Ints
    niche: noise.Ints
    subject: noise.Ints
    angle: noise.Ints

    def take(self, index: noise.Ints) -> Repositories:
        """The rows at `index`."""
        return Repositories(**{
            name: getattr(self, name)[index] for name in self.__dataclass_fields__
        })  # fmt: skip


@lru_cache(maxsize=64)
def repositories_of_day(seed: int, day: int) -> Repositories:
    """The repositories that are found on a day."""
    ids = topics.entity_ids(day, p.REPOSITORIES_PER_DAY)
    start = p.HOURS_PER_DAY * (day + noise.uniform(seed, "repo:start", ids))
    alive = topics.topics_alive(seed, day)
    # Whom Hacker News interests, GitHub does too.
    weight = np.array([n.hackernews / n.weight for n in vocabulary().niches])[alive.niche]
    pull = weight * topics.intensity(alive, topics.phase(seed, alive, "github", start))
    drawn = topics.draw_topics(seed, "repo:topic", ids, pull)
    old = noise.lognormal(seed, "repo:before", ids, *p.REPOSITORY_STARS_BEFORE)
    languages = np.array(list(p.REPOSITORY_LANGUAGES.values()))
    return Repositories(
        ids=ids,
        start=start,
        before=np.where(noise.uniform(seed, "repo:new", ids) < p.REPOSITORY_NEW, 0.0, old),
        gain=noise.lognormal(seed, "repo:gain", ids, *p.REPOSITORY_STARS_GAINED),
        rise=noise.lognormal(seed, "repo:rise", ids, *p.REPOSITORY_RISE_H),
        forks=noise.lognormal(seed, "repo:forks", ids, *p.REPOSITORY_FORKS),
        language=noise.choice(seed, "repo:language", ids, languages),
        niche=alive.niche[drawn],
        subject=alive.subject[drawn],
        angle=alive.angle[drawn],
    )


def stars(found: Repositories, hours: float) -> noise.Ints:
    """Stars of each repository at a time; they never fall."""
    age = np.maximum(hours - found.start, 0.0)
    gained = found.gain * -np.expm1(-((age / found.rise) ** p.REPOSITORY_RISE_SHAPE))
    return np.floor(found.before + gained).astype(np.int64)


@lru_cache(maxsize=64)
def trending(
    seed: int, minute: int, period_h: int, language: str | None
) -> tuple[Repositories, noise.Ints, noise.Ints]:
    """The listed repositories with their stars and the stars of the period, best first.

    Args:
        seed: the world's seed.
        minute: minutes since the world's start.
        period_h: hours whose stars count.
        language: slug of the only language, or None for all.
    """
    hours = minute / 60.0
    day = math.floor(hours / p.HOURS_PER_DAY)
    window = p.REPOSITORY_WINDOW_DAYS + period_h // p.HOURS_PER_DAY
    days = [repositories_of_day(seed, d) for d in range(day - window, day + 1)]
    columns = Repositories.__dataclass_fields__
    every = Repositories(
        **{name: np.concatenate([getattr(d, name) for d in days]) for name in columns}
    )
    now = stars(every, hours)
    gained = now - stars(every, hours - period_h)
    listed = gained > 0
    if language is not None:
        slugs = [slug(name) for name in p.REPOSITORY_LANGUAGES]
        listed &= np.array([each == language for each in slugs])[every.language]
    best = np.argsort(np.where(listed, -gained, 1), kind="stable")
    best = best[: min(p.TRENDING_SIZE, int(listed.sum()))]
    return every.take(best), now[best], gained[best]


def slug(language: str) -> str:
    """A language as addresses name it, `jupyter-notebook`."""
    return language.lower().replace(" ", "-")


def full_name(seed: int, entity: int, subject: str) -> str:
    """Owner and name."""
    word = "-".join(re.findall(r"\w+", subject.lower()))
    noun = _NOUNS[noise.pick(seed, "repo:noun", entity, len(_NOUNS))]
    day, index = topics.split_id(entity)
    number = (day * p.REPOSITORIES_PER_DAY + index) % 100_000
    return f"dev{noise.pick(seed, 'repo:owner', entity, _OWNERS)}/{word}-{noun}-{number}"


def description(seed: int, entity: int, subject: str, angle: str) -> str | None:
    """What the repository says about itself; some say nothing."""
    if share(seed, "repo:silent", entity) < p.REPOSITORY_NO_DESCRIPTION:
        return None
    text = _DESCRIPTIONS[noise.pick(seed, "repo:description", entity, len(_DESCRIPTIONS))]
    return text.format(subject=subject, angle=angle, Subject=title_case(subject))
