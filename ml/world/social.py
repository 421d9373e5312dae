"""What is said on Reddit, X and TikTok: subreddits, hashtags and texts, from `social.yaml`.

A text is a template filled with a topic. There are few of both, so that what a text contains is
worked out once for all posts: a post is a row of (topic text, template).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import yaml

from ml.world import noise, topics
from ml.world.vocabulary import fill, vocabulary

Site = Literal["reddit", "x", "tiktok"]


@dataclass(frozen=True)
class Subreddit:
    """A subreddit; `niches` are those that it talks about."""

    name: str
    subscribers: int
    niches: frozenset[int]


@dataclass(frozen=True)
class Social:
    """Everything that is in the file.

    Attributes:
        hashtags: of each niche, in the order of the vocabulary.
        templates: of each site.
    """

    subreddits: tuple[Subreddit, ...]
    hashtags: tuple[tuple[str, ...], ...]
    templates: dict[Site, tuple[str, ...]]


@lru_cache(maxsize=1)
def social() -> Social:
    """Read the file once."""
    data = yaml.safe_load((Path(__file__).parent / "social.yaml").read_text("utf-8"))
    niches = vocabulary().niches
    members: dict[str, set[int]] = {}
    subscribers: dict[str, int] = {}
    for index, niche in enumerate(niches):
        of_niche = data["niches"].get(niche.name, {}).get("subreddits")
        for name, count in (of_niche or data["general"]["subreddits"]).items():
            members.setdefault(name, set()).add(index)
            subscribers[name] = int(count)
    sites: tuple[Site, ...] = ("reddit", "x", "tiktok")
    return Social(
        subreddits=tuple(
            Subreddit(name, subscribers[name], frozenset(found)) for name, found in members.items()
        ),
        hashtags=tuple(
            tuple(data["niches"].get(niche.name, {}).get("hashtags") or (niche.name,))
            for niche in niches
        ),
        templates={site: tuple(data[site]) for site in sites},
    )


def draw_topics(
    seed: int, site: Site, stream: str, ids: noise.Ints, created: noise.Floats, alive: topics.Topics
) -> noise.Ints:
    """A topic for each post, by how much is made of it at that site in the hour of the post."""
    drawn = np.zeros(len(ids), dtype=np.int64)
    hours = np.floor(created)
    for hour in np.unique(hours):
        phases = topics.phase(seed, alive, site, np.array([hour + 0.5]))
        here = np.flatnonzero(hours == hour)
        pull = topics.intensity(alive, phases)[0]
        drawn[here] = noise.choice(seed, stream, ids[here], pull)
    return drawn


@lru_cache(maxsize=1)
def _topic_offsets() -> noise.Ints:
    """Where the topics of each niche start in the list of all of them."""
    sizes = [len(niche.subjects) * len(niche.angles) for niche in vocabulary().niches]
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def topic_numbers(niche: noise.Ints, subject: noise.Ints, angle: noise.Ints) -> noise.Ints:
    """The number of each topic's wording; topics of other days may share it."""
    angles = np.array([len(each.angles) for each in vocabulary().niches], dtype=np.int64)
    return np.asarray(_topic_offsets()[niche] + subject * angles[niche] + angle, dtype=np.int64)


def topic_parts(number: int) -> tuple[int, int, int]:
    """Niche, subject and angle of a topic's wording."""
    niche = int(np.searchsorted(_topic_offsets(), number, side="right")) - 1
    subject, angle = divmod(number - int(_topic_offsets()[niche]), _angles(niche))
    return niche, subject, angle


def _angles(niche: int) -> int:
    return len(vocabulary().niches[niche].angles)


def topic_count() -> int:
    """How many different topic wordings there are."""
    return int(_topic_offsets()[-1])


@lru_cache(maxsize=65536)
def text(site: Site, number: int, template: int) -> str:
    """A template of a site, filled with a topic's wording."""
    niche, subject, angle = topic_parts(number)
    kind, tags = vocabulary().niches[niche], social().hashtags[niche]
    pattern = social().templates[site][template]
    pattern = pattern.replace("{tag}", tags[(template + subject) % len(tags)])
    pattern = pattern.replace("{subject_tag}", hashtag(kind.subjects[subject]))
    filled = fill(pattern, kind.subjects[subject], kind.angles[angle])
    return filled[:1].upper() + filled[1:] if site != "tiktok" else filled


def hashtag(phrase: str) -> str:
    """A phrase as a hashtag without its sign: `Elden Ring` is `EldenRing`."""
    words = "".join(c if c.isalnum() else " " for c in phrase).split()
    return "".join(word[:1].upper() + word[1:] for word in words)
