"""What the feeds of the world tell: entries about the same topics as everywhere else."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from ml.world import noise, topics
from ml.world import parameters as p
from ml.world.vocabulary import fill, vocabulary

# What a feed writes about, by its category and the niche (assumption).
_SHARES: dict[str, dict[str, float]] = {
    "news": {"news": 0.5, "sport": 0.15, "science": 0.1, "technology": 0.1, "entertainment": 0.15},
    "technology": {"technology": 0.9, "science": 0.1},
    "science": {"science": 0.8, "education": 0.2},
    "sports": {"sport": 1.0},
    "entertainment": {"entertainment": 0.4, "film": 0.4, "music": 0.2},
    "gaming": {"gaming": 1.0},
    "business": {"news": 0.6, "technology": 0.4},
}
_NEVER = 1e12


@dataclass(frozen=True)
class Entries:
    """Entries as columns; times are hours since the world's start.

    Attributes:
        corrected: when the text was edited; far away where it never is.
    """

    ids: noise.Ints
    published: noise.Floats
    corrected: noise.Floats
    niche: noise.Ints
    subject: noise.Ints
    angle: noise.Ints

    def take(self, index: noise.Ints) -> Entries:
        """The rows at `index`."""
        return Entries(**{name: getattr(self, name)[index] for name in self.__dataclass_fields__})


@lru_cache(maxsize=512)
def entries_of_day(seed: int, feed: str, category: str, day: int) -> Entries:
    """What a feed publishes on a day, in order."""
    count = p.FEED_ENTRIES_PER_DAY
    ids = topics.entity_ids(day, count)
    slot = np.arange(count) + noise.uniform(seed, f"feed:{feed}:time", ids)
    hours = p.HOURS_PER_DAY * (day + slot / count)
    published = np.floor(hours * 3600.0) / 3600.0  # feeds tell whole seconds
    alive = topics.topics_alive(seed, day)
    niches = vocabulary().niches
    shares = np.array([_SHARES[category].get(n.name, 0.0) / n.weight for n in niches])
    strength = topics.intensity(alive, topics.phase(seed, alive, "feeds", published))
    # Of topics that nobody has taken up yet, one is as good as another.
    drawn = topics.draw_topics(
        seed, f"feed:{feed}:topic", ids, shares[alive.niche] * (strength + 1e-9)
    )
    after = noise.lognormal(seed, f"feed:{feed}:after", ids, *p.FEED_CORRECTED_AFTER_H)
    is_corrected = noise.uniform(seed, f"feed:{feed}:corrected", ids) < p.FEED_CORRECTED
    return Entries(
        ids=ids,
        published=published,
        corrected=np.where(is_corrected, published + after, _NEVER),
        niche=alive.niche[drawn],
        subject=alive.subject[drawn],
        angle=alive.angle[drawn],
    )


def shown(seed: int, feed: str, category: str, hours: float) -> Entries:
    """What the feed shows at a time, newest first."""
    today = math.floor(hours / p.HOURS_PER_DAY)
    days = [
        entries_of_day(seed, feed, category, day)
        for day in range(today - p.FEED_WINDOW_DAYS, today + 1)
    ]
    columns = Entries.__dataclass_fields__
    every = Entries(**{name: np.concatenate([getattr(d, name) for d in days]) for name in columns})
    index = np.flatnonzero(every.published <= hours)[::-1][: p.FEED_LENGTH]
    return every.take(index)


def changed_at(entries: Entries, hours: float) -> float:
    """When the last of them was published or corrected, in hours."""
    corrected = entries.corrected[entries.corrected <= hours]
    return float(max([entries.published.max(), *corrected]))


def wording(
    seed: int, feed: str, language: str, entries: Entries, row: int, hours: float
) -> tuple[str, str, list[str]]:
    """Title, text and tags of an entry, the text with a note once it is corrected."""
    words = _headlines()[language if language in _headlines() else "en"]
    kind = vocabulary().niches[int(entries.niche[row])]
    topic = kind.subjects[int(entries.subject[row])], kind.angles[int(entries.angle[row])]
    entity = int(entries.ids[row])
    chosen = noise.pick(seed, f"feed:{feed}:title", entity, len(words["titles"]))
    text = fill(words["text"], *topic)
    if entries.corrected[row] <= hours:
        text = f"{text} {words['updated']}"
    return fill(words["titles"][chosen], *topic), text, [kind.name, topic[0]]


@lru_cache(maxsize=1)
def _headlines() -> dict[str, dict[str, Any]]:
    text = (Path(__file__).parent / "headlines.yaml").read_text("utf-8")
    data: dict[str, dict[str, Any]] = yaml.safe_load(text)
    return data
