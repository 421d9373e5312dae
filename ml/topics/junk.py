"""Titles that are about nothing: found by rules of thumb, not by a model.

The rules look at the words of a title alone. They are meant to miss rather than to hit: what they
call junk gets no topic.
"""

from __future__ import annotations

import re
from typing import Literal

Reason = Literal["empty", "hashtags", "boilerplate", "advertisement"]

_MIN_LETTERS = 2
_HANDLE = re.compile(r"(?:https?://\S+|[#@][\w.-]+)")
_WORD = re.compile(r"[^\W\d_]+")
# Words that say how something is shown, and nothing about what is shown.
_SHOWN = """
    audio broadcast clip clips directo en episode full hd hq live livestream lyric lyrics mv music
    new official oficial part premiere short shorts song stream streaming subscribe trailer
    untitled update video videos vivo vlog vod
"""
_BOILERPLATE = frozenset(_SHOWN.split())
_PAGES = re.compile(r"(?:main page|(?:special|wikipedia|portal|file|category|help):\S.*)", re.I)
_ADVERTISEMENT = re.compile(
    r"\b(?:promo|discount|coupon|referral) code\b|\buse code\b|#(?:ad|sponsored)\b"
    r"|\blink in (?:the )?(?:bio|description)\b|\b(?:buy|shop|order) now\b"
    r"|\bfree (?:robux|v-?bucks|diamonds)\b(?=.*(?:code|link|generator|no verification))"
    r"|\(YC [WSF]\d\d\).*\bis hiring\b",
    re.IGNORECASE,
)


def junk_by_rules(title: str) -> Reason | None:
    """Why a title is about nothing, or None if it seems to be about something."""
    words = [word.casefold() for word in _WORD.findall(_HANDLE.sub(" ", title))]
    if sum(map(len, words)) < _MIN_LETTERS:
        return "hashtags" if _WORD.search(title) and _HANDLE.search(title) else "empty"
    if _ADVERTISEMENT.search(title):
        return "advertisement"
    if _PAGES.fullmatch(title.strip()) or all(word in _BOILERPLATE for word in words):
        return "boilerplate"
    return None
