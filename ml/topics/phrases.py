"""What topics are called, and the phrases that set them apart.

Phrases are weighted by class-based TF-IDF: how large a share of a topic's items says it, times how
rare it is among all items.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from ml.topics.labels import ALL_STOP_WORDS, GENERIC_WORDS, LETTERS, shortened
from ml.topics.space import Words

_KEYWORDS = 8
_WORD = re.compile(rf"{LETTERS}(?:['\u2019.+-]{LETTERS})*")
_BREAK = re.compile(r"[|()\[\]{}:!?,;\u2013\u2014\u3010\u3011]|\s-\s|\.\s")
_YEAR = re.compile(r"20\d\d")
_MAX_WORDS = 5
_MAX_TAG_WORDS = 4
# A phrase names a topic if so many of its titles say it; of fewer titles the middle one names it.
_LABEL_MIN_TITLES = 3
_LABEL_SHARE = 0.5
# A label that is there stays while this share of the titles says it.
_LABEL_KEPT_SHARE = 0.4
# A single word is a name if most items that say it are in this topic, or if so many of its items
# have it as a tag.
_NAME_SHARE = 0.5
_NAME_TAG_SHARE = 0.3
_KEYWORD_SHARE = 0.3
_MIN_CHARS = 3
_WORD_BONUS = 0.25


class Phrases:
    """Knows how often each phrase occurs among all items."""

    def __init__(self, items: Sequence[Words]) -> None:
        self._items = len(items)
        self._counts = Counter(key for words in items for key in _keys(words))

    def keywords(self, members: Sequence[Words]) -> list[str]:
        """The phrases of titles and tags that set these items apart, best first."""
        counts = Counter(key for member in members for key in _keys(member))
        fewest = max(1 if len(members) < 3 else 2, _KEYWORD_SHARE * len(members))
        scores = {
            key: self._score(key, count / len(members)) * (1 + _WORD_BONUS * key.count(" "))
            for key, count in counts.items()
            if count >= fewest and len(key) >= _MIN_CHARS
        }
        chosen: list[str] = []
        for key in sorted(scores, key=lambda key: (-scores[key], key)):
            if not any(_inside(key, other) or _inside(other, key) for other in chosen):
                chosen.append(key)
            if len(chosen) == _KEYWORDS:
                break
        return chosen

    def label(
        self, members: Sequence[Words], nearest: Sequence[int], before: str | None = None
    ) -> str:
        """What to call a topic.

        The longest phrase that at least half of the titles share, as most of them spell it; else
        title nearest to the middle that says something.

        Args:
            members: its items.
            nearest: their positions, the one nearest to the centroid first.
            before: what it was called; kept while it still fits, so that names do not flicker.
        """
        if len(members) < _LABEL_MIN_TITLES:
            return before or _title(members, nearest)
        spelled: dict[str, Counter[str]] = defaultdict(Counter)
        for member in members:
            for key, phrase in {p.casefold(): p for p in _phrases(member.title)}.items():
                spelled[key][phrase] += 1
        shares = {key: sum(found.values()) / len(members) for key, found in spelled.items()}
        if before and shares.get(before.casefold(), 0.0) >= _LABEL_KEPT_SHARE:
            return before
        fitting = [
            key
            for key, share in shares.items()
            if share >= _LABEL_SHARE and (" " in key or self._names(key, members))
        ]
        if not fitting:
            return _title(members, nearest)
        best = min(fitting, key=lambda key: (-key.count(" "), -self._score(key, shares[key]), key))
        return min(spelled[best], key=lambda text: (-spelled[best][text], text))

    def _names(self, word: str, members: Sequence[Words]) -> bool:
        if len(word) < _MIN_CHARS:
            return False
        inside = sum(word in _keys(member) for member in members)
        tagged = sum(word in member.tags for member in members)
        return inside >= _NAME_SHARE * self._counts[word] or tagged >= _NAME_TAG_SHARE * len(
            members
        )

    def _score(self, key: str, share: float) -> float:
        return share * math.log(1 + self._items / max(self._counts[key], 1))


def _title(members: Sequence[Words], nearest: Sequence[int]) -> str:
    titles = [members[position].title for position in nearest]
    return shortened(next((title for title in titles if any(_phrases(title))), titles[0]))


def _keys(words: Words) -> set[str]:
    """The phrases of an item, in lower case."""
    found = {phrase.casefold() for phrase in _phrases(words.title)}
    for tag in words.tags:
        parts = _WORD.findall(tag)
        if 0 < len(parts) <= _MAX_TAG_WORDS and _telling(parts):
            found.add(tag)
    return found


def _phrases(title: str) -> Iterator[str]:
    """Runs of words that cross no bracket, bar or colon."""
    for part in _BREAK.split(title):
        words = _WORD.findall(part)
        for start in range(len(words)):
            for end in range(start + 1, min(start + _MAX_WORDS, len(words)) + 1):
                if _telling(words[start:end]):
                    yield " ".join(words[start:end])


def _telling(words: Sequence[str]) -> bool:
    folded = [word.casefold() for word in words]
    if {folded[0], folded[-1]} & ALL_STOP_WORDS or _YEAR.fullmatch(folded[0]):
        return False
    return any(
        len(word) > 1 and not word.isdigit() and word not in GENERIC_WORDS for word in folded
    )


def _inside(part: str, whole: str) -> bool:
    return f" {part} " in f" {whole} "
