"""News articles of the world and what a GDELT query finds among them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ml.world import noise, topics
from ml.world import parameters as p
from ml.world.scale import per_day
from ml.world.vocabulary import fill, vocabulary

Mask = npt.NDArray[np.bool_]

COUNTRIES = {
    "US": "United States", "GB": "United Kingdom", "IN": "India", "AU": "Australia",
    "IT": "Italy", "PH": "Philippines", "NL": "Netherlands", "NG": "Nigeria",
}  # fmt: skip
_HEADLINES = (
    "{Subject}: {angle} draws attention",
    "What to know about {subject} {angle}",
    "{Subject} {angle} divides experts",
    "Why everyone talks about {subject}: {angle}",
    "Report: {subject} {angle}",
    "{Subject} in the spotlight after {angle}",
    "Five questions about {subject} and its {angle}",
    "{Angle}: {subject} back in the headlines",
)
_QUARTER_H = 0.25
_BLOCK = 8192  # articles drawn at once: with all topics beside each, more would fill the memory
# A phrase, a field with its value, a parenthesis or a word; a minus excludes.
_TOKEN = re.compile(r'(-?)(?:"([^"]*)"|(\w+):"?([\w.-]+)"?|([()])|([^\s()"]+))')
_SHORTEST, _LONGEST = 3, 250


@dataclass(frozen=True)
class News:
    """Articles as columns, in the order of their publication.

    Attributes:
        seen: hours since the world's start, on the quarter of an hour.
        found: when a query can find it.
    """

    ids: noise.Ints
    seen: noise.Floats
    found: noise.Floats
    site: noise.Ints
    niche: noise.Ints
    subject: noise.Ints
    angle: noise.Ints

    def take(self, index: noise.Ints) -> News:
        """The rows at `index`."""
        return News(**{name: getattr(self, name)[index] for name in self.__dataclass_fields__})


class QueryError(ValueError):
    """A query that the provider refuses, in its words."""


@dataclass(frozen=True)
class Term:
    """A word or phrase, or a field with its value."""

    text: str
    field: str = ""
    excluded: bool = False


@lru_cache(maxsize=32)
def news_of_day(seed: int, day: int) -> News:
    """The articles published on a day."""
    ids = topics.entity_ids(day, per_day(seed, p.NEWS_PER_DAY))
    published = p.HOURS_PER_DAY * (day + (np.arange(len(ids)) + 0.5) / len(ids))
    alive = topics.topics_alive(seed, day)
    drawn = _topics_drawn(seed, alive, ids, published)
    least, most = p.NEWS_INDEXED_H
    rank = noise.uniform(seed, "news:site", ids) ** p.NEWS_CONCENTRATION
    return News(
        ids=ids,
        seen=np.floor(published / _QUARTER_H) * _QUARTER_H,
        found=published + least + (most - least) * noise.uniform(seed, "news:found", ids),
        site=(rank * p.NEWS_SITES).astype(np.int64),
        niche=alive.niche[drawn],
        subject=alive.subject[drawn],
        angle=alive.angle[drawn],
    )


def _topics_drawn(
    seed: int, alive: topics.Topics, ids: noise.Ints, published: noise.Floats
) -> noise.Ints:
    """The topic of each article, by block."""
    wanted = np.array([p.NEWS_SHARE[n.name] / n.weight for n in vocabulary().niches])[alive.niche]
    blocks = []
    for start in range(0, len(ids), _BLOCK):
        block = slice(start, start + _BLOCK)
        phases = topics.phase(seed, alive, "gdelt", published[block])
        pull = wanted * topics.intensity(alive, phases)
        blocks.append(topics.draw_topics(seed, "news:topic", ids[block], pull))
    return np.concatenate(blocks)


def news_between(seed: int, start: float, end: float, now: float) -> News:
    """Articles seen from `start` to `end`, both included, that can be found at `now`."""
    span = range(math.floor(start / p.HOURS_PER_DAY), math.floor(end / p.HOURS_PER_DAY) + 1)
    days = [news_of_day(seed, day) for day in span]
    columns = News.__dataclass_fields__
    every = News(**{name: np.concatenate([getattr(d, name) for d in days]) for name in columns})
    inside = (every.seen >= start) & (every.seen <= end) & (every.found <= now)
    return every.take(np.flatnonzero(inside))


@lru_cache(maxsize=4)
def site_countries(seed: int) -> noise.Ints:
    """The country of each site, as an index into `REGIONS`."""
    ids = np.arange(p.NEWS_SITES, dtype=np.int64)
    return noise.choice(seed, "news:country", ids, np.array([row[0] for row in p.REGIONS.values()]))


def domain(site: int) -> str:
    """The domain of a site."""
    return f"news{site}.example"


def headline(seed: int, entity: int, niche: int, subject: int, angle: int) -> str:
    """Title of an article about a topic."""
    kind = vocabulary().niches[niche]
    template = _HEADLINES[noise.pick(seed, "news:headline", entity, len(_HEADLINES))]
    title = fill(template, kind.subjects[subject], kind.angles[angle])
    return title[:1].upper() + title[1:]


@lru_cache(maxsize=256)
def parse_query(text: str) -> tuple[tuple[Term, ...], ...]:
    """Read a query: all of its parts must hold, of a part in parentheses one of its terms.

    Raises:
        QueryError: in the provider's words.
    """
    if not _SHORTEST <= len(text.strip()) <= _LONGEST:
        raise QueryError("Your query was too short or too long.")
    parts: list[tuple[Term, ...]] = []
    group: list[Term] | None = None
    for minus, phrase, field, value, bracket, word in _TOKEN.findall(text):
        if bracket == "(":
            group = []
        elif bracket == ")":
            parts.append(tuple(group or ()))
            group = None
        elif word == "OR":
            if group is None:
                raise QueryError("Queries containing OR'd terms must be surrounded by ().")
        else:
            term = Term((phrase or value or word).lower(), field.lower(), bool(minus))
            if group is None:
                parts.append((term,))
            else:
                group.append(term)
    if group is not None or not any(parts):
        raise QueryError("Your query was too short or too long.")
    return tuple(part for part in parts if part)


def matches(seed: int, query: str, articles: News) -> Mask:
    """Which articles a query finds.

    Raises:
        QueryError: in the provider's words.
    """
    found = np.ones(len(articles.ids), dtype=np.bool_)
    for part in parse_query(query):
        any_of = np.zeros_like(found)
        for term in part:
            any_of |= _holds(seed, term, articles) ^ term.excluded
        found &= any_of
    return found


def _holds(seed: int, term: Term, articles: News) -> Mask:
    match term.field:
        case "":
            mask = _texts_with(term.text)[articles.niche, articles.subject, articles.angle]
        case "domain" | "domainis":
            names = np.array([term.text in domain(site) for site in range(p.NEWS_SITES)])
            mask = names[articles.site]
        case "sourcecountry":
            mask = _countries(term.text)[site_countries(seed)[articles.site]]
        case "sourcelang":
            mask = np.full(len(articles.ids), term.text in ("english", "eng"))
        case _:
            raise QueryError(f"Unknown query operator: {term.field}.")
    return np.asarray(mask, dtype=np.bool_)


def _countries(text: str) -> Mask:
    """By name without spaces; the provider takes FIPS codes as well, the world ISO codes."""
    wanted = text.replace(" ", "")
    return np.array([
        wanted in (code.lower(), COUNTRIES[code].lower().replace(" ", "")) for code in p.REGIONS
    ])  # fmt: skip


@lru_cache(maxsize=256)
def _texts_with(text: str) -> Mask:
    """Which topics' articles hold a word or phrase; niche x subject x angle."""
    niches = vocabulary().niches
    subjects = max(len(niche.subjects) for niche in niches)
    angles = max(len(niche.angles) for niche in niches)
    result = np.zeros((len(niches), subjects, angles), dtype=np.bool_)
    word = re.compile(rf"(?<!\w){re.escape(text)}(?!\w)")
    for n, niche in enumerate(niches):
        shared = f"{niche.name} {' '.join(niche.tags)}"
        for s, subject in enumerate(niche.subjects):
            for a, angle in enumerate(niche.angles):
                body = f"{subject} {angle} | {shared}".lower()
                result[n, s, a] = word.search(body) is not None
    return result
