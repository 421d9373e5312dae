"""Titles, tags and descriptions, made from the vocabulary."""

from __future__ import annotations

from functools import lru_cache

from ml.world import noise
from ml.world import parameters as p
from ml.world.vocabulary import Niche, fill, vocabulary

_TITLE_LIMIT = 100  # YouTube's own limit


@lru_cache(maxsize=16384)
def video_title(seed: int, entity: int, niche: int, subject: int, angle: int) -> str:
    """Title of a video about a topic."""
    words = vocabulary()
    kind = words.niches[niche]
    template = kind.templates[noise.pick(seed, "text:template", entity, len(kind.templates))]
    hook = words.hooks[noise.pick(seed, "text:hook", entity, len(words.hooks))]
    title = fill(template, kind.subjects[subject], kind.angles[angle], hook)[:_TITLE_LIMIT]
    return title.upper() if share(seed, "text:capitals", entity) < p.CAPITALS else title


def share(seed: int, stream: str, entity: int) -> float:
    """One uniform number in [0, 1) for an entity."""
    return noise.pick(seed, stream, entity, 1 << 32) / (1 << 32)


def video_tags(seed: int, entity: int, kind: Niche, subject: str, angle: str) -> list[str] | None:
    """Tags of a video, or None: many have none."""
    if share(seed, "text:tags", entity) < p.TAGS_ABSENT:
        return None
    count = 1 + noise.pick(seed, "text:tags:count", entity, len(kind.tags))
    low = subject.lower()
    return [low, f"{low} {angle}", *kind.tags[:count], f"{low} {kind.tags[0]}", angle]


def video_description(subject: str, angle: str, channel: str) -> str:
    """Description of a video."""
    tag = "".join(character for character in subject.title() if character.isalnum())
    return (
        f"Today on {channel}: {subject}, and its {angle}.\n\n"
        f"Chapters, sources and a full list of what we used are in the first comment.\n\n#{tag}"
    )


@lru_cache(maxsize=16384)
def story_title(seed: int, entity: int, niche: int, subject: int, angle: int) -> str:
    """Title of a Hacker News story about a topic."""
    words = vocabulary()
    kind = words.niches[niche]
    template = words.stories[noise.pick(seed, "text:story", entity, len(words.stories))]
    title = fill(template, kind.subjects[subject], kind.angles[angle])
    return title[:1].upper() + title[1:]
