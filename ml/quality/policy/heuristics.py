"""Readability and coherence: heuristics by a formula, not learnt and not judged by people."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ml.topics.embeddings import encode

_SENTENCE = re.compile(r"(?<=[.!?])[\"')\]]*\s+|\n+")
_WORD = re.compile(r"[A-Za-z]+(?:'[A-Za-z]+)?")
_VOWELS = re.compile(r"[aeiouy]+")
_MIN_WORDS = 20  # a formula over fewer words says nothing
_MIN_SENTENCES = 3


def sentences(text: str) -> list[str]:
    """Split at line ends and at full stops, exclamation and question marks before a space."""
    return [part.strip() for part in _SENTENCE.split(text) if _WORD.search(part)]


def syllables(word: str) -> int:
    """Groups of vowels, a silent final e left out; at least 1. Right for about nine in ten."""
    lower = word.lower()
    count = len(_VOWELS.findall(lower))
    silent = lower.endswith("e") and not lower.endswith(("le", "ee", "ye"))
    return max(count - silent, 1)


def readability(text: str) -> float:
    """Flesch reading ease of English: 100 is very easy, 0 very hard; NaN below 20 words.

    206.835 - 1.015 words per sentence - 84.6 syllables per word (Flesch 1948, A new readability
    yardstick, Journal of Applied Psychology 32), not cut to that range.
    """
    words = _WORD.findall(text)
    if len(words) < _MIN_WORDS:
        return float("nan")
    per_sentence = len(words) / max(len(sentences(text)), 1)
    per_word = sum(map(syllables, words)) / len(words)
    return 206.835 - 1.015 * per_sentence - 84.6 * per_word


def coherence(texts: Sequence[str]) -> npt.NDArray[np.float64]:
    """Mean cosine of the embeddings of neighbouring sentences, per text; NaN below 3 sentences.

    The measure of Foltz, Kintsch and Landauer (1998, Discourse Processes 25), with MiniLM's
    embeddings in place of LSA's.
    """
    split = [sentences(text) for text in texts]
    split = [parts if len(parts) >= _MIN_SENTENCES else [] for parts in split]
    vectors = encode([part for parts in split for part in parts])
    result, start = np.full(len(texts), np.nan), 0
    for row, parts in enumerate(split):
        own = vectors[start : start + len(parts)]
        start += len(parts)
        if parts:
            result[row] = np.mean([first @ second for first, second in pairwise(own)])
    return result
