"""What is done to a text before a classifier sees it, and measures of its style."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from functools import lru_cache
from importlib import import_module
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Task = Literal["clickbait", "spam", "toxicity"]
TASKS: tuple[Task, ...] = ("clickbait", "spam", "toxicity")

_LINK = re.compile(r"https?://\S+|www\.\S+", re.IGNORECASE)
_ANCHOR = re.compile(r"<a\s[^>]*?href=\"([^\"]*)\"[^>]*>", re.IGNORECASE)
_TAG = re.compile(r"<[^>]+>")
_ENTITY = re.compile(r"&#?\w+;")
_TWITTER = re.compile(r"\b(?:RT|MT)\b|@\w+:?|[#_]")
_LONG_RUN = re.compile(r"(.)\1{2,}")
_SPACE = re.compile(r"[\s\ufeff]+")
_WORD = re.compile(r"[a-z']+")
_NUMBER = re.compile(r"\d+")
_MARKS = ("!", "?", "|", ":", " - ", '"', "'", "(", "[", "#", "&", "...", ".", ",", "/", "@")
_SIGNS = (
    re.compile(r"^\W*\d+"),
    re.compile(r"^\W*top\s*\d+", re.IGNORECASE),
    re.compile(r"\b(?:19|20)\d\d\b"),
    re.compile(r"\b(?:you|your)\b", re.IGNORECASE),
    re.compile(r"\b(?:i|my|me)\b", re.IGNORECASE),
    re.compile(r"\b(?:this|these|that|will|never|ever)\b", re.IGNORECASE),
    _LINK,
    re.compile(r"\b\d{1,2}:\d\d\b"),
    re.compile(r"[!?]$"),
    re.compile("[\u2190-\u2bff\U0001f000-\U0001faff]"),
)


def clean(text: str, task: Task) -> str:
    """The text as the classifier of `task` reads it: no markup, one space between words.

    Toxicity is learnt from tweets and used on comments, so what only tweets have goes: retweet
    marks, names, links, hash signs. The other two keep links, which tell much.
    """
    plain = html.unescape(html.unescape(text))
    plain = _TAG.sub(" ", _ANCHOR.sub(r" \1 ", plain))
    if task == "toxicity":
        plain = _TWITTER.sub(" ", _LINK.sub(" ", _ENTITY.sub(" ", plain)))
        return _SPACE.sub(" ", _LONG_RUN.sub(r"\1\1", plain)).strip(' !":')
    return _SPACE.sub(" ", _LONG_RUN.sub(r"\1\1\1", plain)).strip()


def style(texts: Sequence[str]) -> npt.NDArray[np.float64]:
    """Measures of how a text is written, one row a text: case, lengths, marks, signs."""
    return np.array([_style(text) for text in texts], dtype=np.float64)


def mood(texts: Sequence[str]) -> npt.NDArray[np.float64]:
    """Measures of how kind the words are, one row of five a text: see `_mood`."""
    return np.array([_mood(text) for text in texts], dtype=np.float64)


def _style(text: str) -> list[float]:
    words = text.split()
    count, letters = max(len(words), 1), [c for c in text if c.isalpha()]
    shouted = sum(len(word) > 1 and word.isupper() for word in words)
    return [
        sum(c.isupper() for c in letters) / max(len(letters), 1),
        shouted / count,
        sum(word[:1].isupper() for word in words) / count,
        sum(word[:1].islower() for word in words) / count,
        float(np.log1p(len(words))),
        float(np.log1p(len(text))),
        len(letters) / max(len(text), 1),
        sum(map(len, words)) / count,
        len(_NUMBER.findall(text)),
        *(min(text.count(mark), 5) for mark in _MARKS),
        *(float(bool(sign.search(text))) for sign in _SIGNS),
    ]


def _mood(text: str) -> list[float]:
    """Shares of negative and positive words, the sum of both, the worst word, all bad words.

    By VADER's lexicon and rules (Hutto and Gilbert 2014), made from people's ratings of words in
    social media: it knows insults that no training text holds.
    """
    analyser = _analyser()
    whole = analyser.polarity_scores(text)
    valences = [analyser.lexicon.get(word, 0.0) for word in _WORD.findall(text.lower())]
    negative = [value for value in valences if value < 0]
    return [
        whole["neg"],
        whole["pos"],
        whole["compound"],
        min(negative, default=0.0),
        max(sum(negative), -12.0),
    ]


@lru_cache(maxsize=1)
def _analyser() -> Any:
    # Imported by name: the package publishes no types.
    return import_module("vaderSentiment.vaderSentiment").SentimentIntensityAnalyzer()
