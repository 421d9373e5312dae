"""Subjects, angles and title templates of the world, read from `vocabulary.yaml`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml


@dataclass(frozen=True)
class Niche:
    """One field of interest.

    Attributes:
        category: YouTube category id.
        weight: share of videos.
        hackernews: relative share of Hacker News stories.
        median_s: median video duration in seconds.
        sigma: standard deviation of the logarithm of the duration.
        names: what channels of this niche are called.
    """

    name: str
    category: int
    weight: float
    hackernews: float
    median_s: float
    sigma: float
    subjects: tuple[str, ...]
    angles: tuple[str, ...]
    templates: tuple[str, ...]
    tags: tuple[str, ...]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Vocabulary:
    """Everything that texts are made from."""

    niches: tuple[Niche, ...]
    hooks: tuple[str, ...]
    stories: tuple[str, ...]


@lru_cache(maxsize=1)
def vocabulary() -> Vocabulary:
    """Read the vocabulary once."""
    data = yaml.safe_load((Path(__file__).parent / "vocabulary.yaml").read_text("utf-8"))
    niches = tuple(
        Niche(
            name=name,
            category=int(row["category"]),
            weight=float(row["weight"]),
            hackernews=float(row["hackernews"]),
            median_s=float(row["duration"][0]),
            sigma=float(row["duration"][1]),
            **{
                key: tuple(row[key]) for key in ("subjects", "angles", "templates", "tags", "names")
            },
        )
        for name, row in data["niches"].items()
    )
    return Vocabulary(niches, tuple(data["hooks"]), tuple(data["stories"]))


def title_case(phrase: str) -> str:
    """Capitalise each word and leave capitals inside words as they are."""
    return " ".join(word[:1].upper() + word[1:] for word in phrase.split(" "))


def fill(template: str, subject: str, angle: str, hook: str = "") -> str:
    """Put a topic into a title template."""
    return template.format(
        subject=subject,
        angle=angle,
        Subject=title_case(subject),
        Angle=title_case(angle),
        Hook=hook,
    )
