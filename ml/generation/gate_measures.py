"""What is measured about a script, in its own unit; `gate_reference` turns it into percentiles."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ml.generation.embedding import MODEL as ENCODER
from ml.generation.embedding import embed
from ml.generation.gate_likelihood import MODEL as LANGUAGE_MODEL
from ml.generation.gate_likelihood import read
from ml.generation.metadata import ngrams
from ml.generation.text import clean, numbers, words

_WINDOW = 3  # sentences


@dataclass(frozen=True)
class Subject:
    """A script and what it should be about.

    Attributes:
        sentences: as spoken, in order.
        sources: texts that it may draw on.
        supported: further texts whose figures may be said, such as the measured trend.
        niche: of the channel, or empty.
    """

    sentences: tuple[str, ...]
    topic: str
    sources: tuple[str, ...]
    niche: str = ""
    supported: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """All of it."""
        return " ".join(self.sentences)

    @property
    def about(self) -> str:
        """The topic and what is known about it."""
        return f"{self.topic}. {' '.join(self.sources)}"


@dataclass(frozen=True)
class Measure:
    """One measure.

    Attributes:
        kind: what gives the value.
        faults: of the labelled set, which the measure is there to find.
    """

    name: str
    kind: Literal["heuristic", "model"]
    version: str
    faults: tuple[str, ...]


# Larger is better in all of them.
MEASURES = (
    Measure("relevance", "heuristic", f"cosine/{ENCODER}/1", ("off_topic",)),
    Measure("focus", "heuristic", f"weakest-window/{ENCODER}/1", ("drifting",)),
    Measure("brand_fit", "heuristic", f"cosine-to-niche/{ENCODER}/1", ("off_topic",)),
    Measure("coherence", "model", f"order-gain/{LANGUAGE_MODEL}/1", ("shuffled",)),
    Measure("fluency", "model", f"log-likelihood/{LANGUAGE_MODEL}/1", ("misspelt", "jumbled")),
    Measure("variety", "heuristic", "unrepeated-four-word-runs/1", ("repetitive",)),
    Measure("own_words", "heuristic", "share-of-runs-not-in-sources/1", ("copied",)),
)


def measure(subject: Subject, names: Collection[str] = ()) -> dict[str, float | None]:
    """Measures of a script, all of them or those named; None where there is nothing to compare."""
    wanted = set(names) or {one.name for one in MEASURES}
    found: dict[str, float | None] = {}
    if wanted & {"relevance", "focus", "brand_fit"}:
        found |= _nearness(subject)
    if wanted & {"coherence", "fluency"}:
        reading = read(subject.sentences)
        found |= {"coherence": reading.order_gain, "fluency": reading.likelihood}
    found["variety"] = _variety(subject.text)
    found["own_words"] = _own_words(subject) if subject.sources else None
    return {name: value for name, value in found.items() if name in wanted}


def _nearness(subject: Subject) -> dict[str, float | None]:
    windows = [
        " ".join(subject.sentences[at : at + _WINDOW])
        for at in range(max(1, len(subject.sentences) - _WINDOW + 1))
    ]
    vectors = embed([subject.text, subject.about, subject.niche or subject.topic, *windows])
    return {
        "relevance": float(vectors[0] @ vectors[1]),
        "focus": float((vectors[3:] @ vectors[1]).min()),
        "brand_fit": float(vectors[0] @ vectors[2]) if subject.niche else None,
    }


def _variety(text: str) -> float:
    parts = words(text)
    runs = Counter(tuple(parts[i : i + 4]) for i in range(len(parts) - 3))
    return sum(1 for number in runs.values() if number == 1) / max(1, len(runs))


def _own_words(subject: Subject) -> float:
    own = ngrams(subject.text)
    given: set[tuple[str, ...]] = set().union(*(ngrams(clean(text)) for text in subject.sources))
    return 1 - len(own & given) / max(1, len(own))


_CLOSING = re.compile(
    r"\b(?:you|your|follow|subscribe|share|comments?|tell us|let us know|see you)\b", re.IGNORECASE
)
_LEAKS = re.compile(
    r"[{}<>\[\]]|\bas an ai\b|\blanguage model\b|\b(?:here is|here's) (?:the|your) script\b"
    r"|\bnatural sentence\b|\binsert\b.{0,30}\bhere\b|\bnull\b|�",
    re.IGNORECASE,
)


def unfinished(subject: Subject) -> str | None:
    """Why a script does not end, or None."""
    last = subject.sentences[-1].rstrip("\"'")
    if not last.endswith((".", "!", "?")):
        return f"it ends with {last[-20:]!r}"
    if not _CLOSING.search(" ".join(subject.sentences[-2:])):
        return "its last two sentences do not turn to the viewer"
    return None


def unsupported_figures(subject: Subject) -> list[str]:
    """Figures in digits that no source has."""
    given = " . ".join([subject.about, *subject.supported])
    return sorted(n for n in numbers(subject.text) - numbers(given) if n[:1].isdigit())


def leaks(subject: Subject) -> list[str]:
    """Pieces of a prompt or template that are spoken."""
    return sorted({found[0] for found in _LEAKS.finditer(subject.text)})


RULES: dict[str, tuple[str, Callable[[Subject], str | list[str] | None]]] = {
    "finished": ("truncated", unfinished),
    "supported_figures": ("wrong_number", unsupported_figures),
    "no_leaks": ("leaked", leaks),
}
"""By name: the fault that a rule is there to find, and what it objects to."""


def nearest(text: str, others: Sequence[str]) -> float:
    """Highest cosine similarity of a text to others; 0 without any."""
    if not others:
        return 0.0
    vectors = embed([text, *others])
    return float(np.max(vectors[1:] @ vectors[0]))
