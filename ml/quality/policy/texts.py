"""What is done to a text before a classifier sees it, and how kind its words are."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from functools import lru_cache
from importlib import import_module
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ml.quality.style import LINK

Task = Literal["clickbait", "spam", "toxicity"]
TASKS: tuple[Task, ...] = ("clickbait", "spam", "toxicity")

_ANCHOR = re.compile(r"<a\s[^>]*?href=\"([^\"]*)\"[^>]*>", re.IGNORECASE)
_TAG = re.compile(r"<[^>]+>")
_ENTITY = re.compile(r"&#?\w+;")
_TWITTER = re.compile(r"\b(?:RT|MT)\b|@\w+:?|[#_]")
_LONG_RUN = re.compile(r"(.)\1{2,}")
_SPACE = re.compile(r"[\s\ufeff]+")
_WORD = re.compile(r"[a-z']+")


def clean(text: str, task: Task) -> str:
    """The text as the classifier of `task` reads it: no markup, one space between words.

    Toxicity is learnt from tweets and used on comments, so what only tweets have goes: retweet
    marks, names, links, hash signs. The other two keep links, which tell much.
    """
    plain = html.unescape(html.unescape(text))
    plain = _TAG.sub(" ", _ANCHOR.sub(r" \1 ", plain))
    if task == "toxicity":
        plain = _TWITTER.sub(" ", LINK.sub(" ", _ENTITY.sub(" ", plain)))
        return _SPACE.sub(" ", _LONG_RUN.sub(r"\1\1", plain)).strip(' !":')
    return _SPACE.sub(" ", _LONG_RUN.sub(r"\1\1\1", plain)).strip()


def mood(texts: Sequence[str]) -> npt.NDArray[np.float64]:
    """Measures of how kind the words are, one row of five a text: see `_mood`."""
    return np.array([_mood(text) for text in texts], dtype=np.float64)


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
