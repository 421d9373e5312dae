"""Measures of how a text is written, whatever it says."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

LINK = re.compile(r"https?://\S+|www\.\S+", re.IGNORECASE)
_NUMBER = re.compile(r"\d+")
_MARKS = ("!", "?", "|", ":", " - ", '"', "'", "(", "[", "#", "&", "...", ".", ",", "/", "@")
_SIGNS = (
    re.compile(r"^\W*\d+"),
    re.compile(r"^\W*top\s*\d+", re.IGNORECASE),
    re.compile(r"\b(?:19|20)\d\d\b"),
    re.compile(r"\b(?:you|your)\b", re.IGNORECASE),
    re.compile(r"\b(?:i|my|me)\b", re.IGNORECASE),
    re.compile(r"\b(?:this|these|that|will|never|ever)\b", re.IGNORECASE),
    LINK,
    re.compile(r"\b\d{1,2}:\d\d\b"),
    re.compile(r"[!?]$"),
    re.compile("[\u2190-\u2bff\U0001f000-\U0001faff]"),
)

# Names of the measures, in order.
STYLE = (
    "capitals", "shouted_words", "capitalised_words", "lower_case_words", "words", "characters",
    "letters", "word_length", "numbers",
    *(f"mark_{name}" for name in (
        "exclamation", "question", "bar", "colon", "dash", "double_quote", "quote", "parenthesis",
        "bracket", "hash", "ampersand", "ellipsis", "stop", "comma", "slash", "at",
    )),
    "starts_with_number", "top_list", "year", "says_you", "says_i", "points_ahead", "link",
    "time_of_day", "ends_in_mark", "emoji",
)  # fmt: skip


def style(texts: Sequence[str]) -> npt.NDArray[np.float64]:
    """Measures of how a text is written, shape (n, len(STYLE)): case, lengths, marks, signs."""
    return np.array([_style(text) for text in texts], dtype=np.float64)


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
