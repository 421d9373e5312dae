"""What a model's sentence must satisfy before anyone hears it.

Rules, not quality scores: a sentence that fails one is dropped. They hold the small model to the
facts: no number and no name that the brief lacks and, when it retells a fact, no word of meaning
that the fact does not have.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from ml.generation.brief import VideoBrief
from ml.generation.text import clean, content_words, latin, names, numbers, say_numbers, stem, words

Kind = Literal["hook", "fact", "why", "question", "told"]

_MIN_WORDS, _MAX_WORDS = 5, 26
# Words a retelling may add to a fact: they change nothing that it claims.
_NEUTRAL = frozenset(
    stem(word)
    for word in [
        "video",
        "videos",
        "view",
        "views",
        "watched",
        "watching",
        "people",
        "already",
        "reached",
        "reach",
        "gets",
        "got",
        "seen",
        "far",
        "shows",
        "number",
        "times",
        "fans",
        "viewers",
    ]
)
_COUNTING = frozenset({"thousand", "million", "billion"})
_MIN_COVERAGE = 0.6  # share of a fact's content words that its retelling keeps
_FIRST_PERSON = re.compile(r"\b(?:I|I'm|I've|my|me|mine|myself)\b")
# What a thing is, was or has is a claim; an opinion says what people feel or do.
_CLAIM = re.compile(
    r"\b(?:(?:it|this|that|they|which|who|he|she)(?:'s|'re| is| are| was| were| has| had)"
    r"|making it|known as|based on|directed|produced|released|written)\b",
    re.IGNORECASE,
)
_END = re.compile(r"[.!?](?=\s|$)")


@dataclass(frozen=True)
class Grounds:
    """What the brief supports: the numbers and the words that may be said."""

    numbers: frozenset[str]
    vocabulary: frozenset[str]

    @classmethod
    def of(cls, brief: VideoBrief) -> Grounds:
        """Collect them from the topic, keywords, facts and channel of a brief."""
        texts = [brief.topic, brief.channel.name, *brief.keywords, *(f.text for f in brief.facts)]
        joined = " . ".join(f"{clean(text)} . {say_numbers(clean(text))}" for text in texts)
        return cls(
            frozenset(numbers(joined)), frozenset(stem(word) for word in words(joined)) | {"i"}
        )


def first_sentence(text: str) -> str:
    """The first sentence of an answer, or nothing when it does not end."""
    line = latin(clean(text)).strip('" ')
    found = _END.search(line)
    return line[: found.end()].strip() if found else ""


def objection(sentence: str, kind: Kind, grounds: Grounds, fact: str = "") -> str | None:
    """Why a sentence may not be used, or None when it may.

    A `why` is an opinion, so it may claim nothing; what is `told` by a large model is held to the
    numbers and names of the brief; a `fact` by the small one, to the words of the fact.
    """
    count = len(words(sentence))
    if not sentence:
        return "unfinished"
    if not _MIN_WORDS <= count <= _MAX_WORDS:
        return "length"
    if numbers(sentence) - grounds.numbers:
        return "number"
    if names(sentence) - grounds.vocabulary:
        return "name"
    if _FIRST_PERSON.search(sentence):
        return "first person"
    if _repeats(sentence):
        return "repetition"
    if kind in ("hook", "question") and not sentence.endswith("?"):
        return "no question"
    if kind == "why" and _CLAIM.search(sentence):
        return "claim"
    return _unfaithful(sentence, fact) if kind == "fact" else None


def _repeats(sentence: str) -> bool:
    said = words(sentence)
    counts = Counter(stem(word) for word in said if len(word) > 3)
    stutters = any(word == following for word, following in pairwise(said))
    return stutters or any(number > 2 for number in counts.values())


def _unfaithful(sentence: str, fact: str) -> str | None:
    said, given = content_words(sentence), content_words(fact)
    if not said or not given:
        return "empty"
    if said - given - _NEUTRAL:
        return "novelty"
    core = given - _NEUTRAL - _COUNTING
    if core and len(said & core) / len(core) < _MIN_COVERAGE:
        return "coverage"
    # A number may be left out of a retelling, but not moved over from another fact.
    return "number" if numbers(sentence) - numbers(fact) else None
