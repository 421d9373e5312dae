"""The language of a title: what the uploader declared, else a heuristic."""

from __future__ import annotations

import re

from ml.topics.labels import STOP_WORDS

_UNDETERMINED = frozenset({"", "und", "zxx", "mul"})
_WORD = re.compile(r"[a-z']+")
MOSTLY_ASCII = 0.9


def title_language(title: str, declared: str | None) -> str | None:
    """Return the declared language (base tag of BCP 47), or a guess, or None.

    English is declared by default in many upload tools, so a title that is not mostly ASCII is
    never called English.
    """
    base = (declared or "").lower().split("-")[0]
    if base in _UNDETERMINED:
        return heuristic_language(title)
    if base == "en" and ascii_share(title) < MOSTLY_ASCII:
        return None
    return base


def heuristic_language(title: str) -> str | None:
    """`en` for mostly ASCII titles with an English stop word, else None. A heuristic, no model."""
    words = _WORD.findall(title.lower())
    found = sum(word in STOP_WORDS for word in words)
    return "en" if found and ascii_share(title) >= MOSTLY_ASCII else None


def ascii_share(title: str) -> float:
    """Share of ASCII among the letters; 0 without letters."""
    letters = [c for c in title if c.isalpha()]
    return sum(c.isascii() for c in letters) / len(letters) if letters else 0.0
