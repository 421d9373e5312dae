"""What may not be said: the champion of `quality_policy` where there is one, and a list of words.

The list is a rule and knows no context. The model gives probabilities of toxicity and spam; what
they mean is read off texts that are known to break a policy (`labelled_texts.yaml`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from ml.safety.champion import champion_of
from ml.settings import Settings

MODEL = "quality_policy"

_FOLDER = Path(__file__).parent
_TASKS = ("toxicity", "spam")


@dataclass(frozen=True)
class Judged:
    """What the model says of the worst of some texts.

    Attributes:
        value: highest probability of toxicity or spam.
        score: share of texts known to break a policy that the model finds worse.
        version: of the model.
    """

    value: float
    score: float
    version: str


def listed_words(text: str, categories: Mapping[str, Sequence[str]] | None = None) -> list[str]:
    """The listed words in a text, as `category: word`."""
    lowered = text.lower()
    return [
        f"{category}: {word}"
        for category, entries in (categories or word_list()["categories"]).items()
        for word in entries
        if re.search(rf"\b{re.escape(word)}\b", lowered)
    ]


@lru_cache(maxsize=1)
def word_list() -> dict[str, Any]:
    """The list and its version."""
    rules: dict[str, Any] = yaml.safe_load((_FOLDER / "policy.yaml").read_text(encoding="utf-8"))
    return rules


@lru_cache(maxsize=1)
def labelled_texts() -> dict[str, dict[str, list[str]]]:
    """Texts that break a policy and harmless ones that resemble them, by part of the set."""
    path = _FOLDER / "labelled_texts.yaml"
    texts: dict[str, dict[str, list[str]]] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return texts


def judge(texts: Sequence[str], settings: Settings) -> Judged | str:
    """Let the champion judge texts, or say why it cannot.

    Raises:
        ServiceUnavailableError: if there is a champion and the registry does not answer.
    """
    found = champion_of(MODEL, settings)
    if isinstance(found, str):
        return found
    model, release = found
    known = worst(model, labelled_texts()["reference"]["breaks_policy"])
    value = max(worst(model, texts))
    score = sum(other > value for other in known) / len(known)
    return Judged(round(value, 4), round(score, 4), release.version)


def worst(model: Any, texts: Sequence[str]) -> list[float]:
    """Highest of the probabilities of toxicity and spam, by text."""
    from ml.quality.policy.predict import score_texts

    frame = score_texts(model, texts)
    return [float(value) for value in frame[list(_TASKS)].max(axis=1)]
