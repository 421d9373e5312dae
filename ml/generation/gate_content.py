"""Checks of the script: structure and length as rules, the rest as named heuristics."""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from ml.generation.checks import Check
from ml.generation.embedding import MODEL, similarity
from ml.generation.metadata import ngrams
from ml.generation.script import Script
from ml.generation.stage import StageContext
from ml.generation.text import clean, words

_MIN_WORDS, _MAX_WORDS = 40, 170
# Scripts about something else lie near 0.2, a paraphrase of the topic itself near 0.8.
_UNRELATED, _PARAPHRASE = 0.2, 0.8
_MIN_RELEVANCE, _MIN_VARIETY, _MAX_COPIED = 0.45, 0.8, 0.6


def content_checks(context: StageContext) -> list[Check]:
    """Structure, length, relevance, repetition and copying."""
    script, problem = _parse(context.inputs["voice"]["script.json"])
    valid = _check("structure", "rule", "1", problem or "valid", "the script schema", not problem)
    if script is None:
        return [valid]
    text = spoken(script)
    count = len(words(text))
    length = _check("words", "rule", "1", count, "40 to 170", _MIN_WORDS <= count <= _MAX_WORDS)
    sources = [clean(fact.text) for fact in context.brief.facts]
    return [
        valid,
        length,
        _relevance(text, clean(context.brief.topic)),
        _variety(text),
        _own(text, sources),
    ]


def spoken(script: Script) -> str:
    """Everything that is said, in order."""
    body = script.script
    parts = [body.intro.text, *(segment.text for segment in body.segments), body.outro.text]
    return " ".join(parts)


def policy_check(context: StageContext) -> Check:
    """Look for listed words in everything that is said or published."""
    script, _ = _parse(context.inputs["voice"]["script.json"])
    texts = [context.brief.topic]
    if script is not None:
        seo = script.seo_metadata
        texts += [spoken(script), *seo.title_suggestions, *seo.tags, seo.description]
    rules = _rules()
    found = listed_words(" ".join(texts), rules["categories"])
    score = 1.0 if not found else 0.7 if len(found) == 1 else 0.5
    return Check(
        "policy_words", "policy", "rule", str(rules["version"]), found, "none", not found, score
    )


def listed_words(text: str, categories: dict[str, list[str]]) -> list[str]:
    """The listed words in a text, as `category: word`."""
    lowered = text.lower()
    return [
        f"{category}: {word}"
        for category, entries in categories.items()
        for word in entries
        if re.search(rf"\b{re.escape(word)}\b", lowered)
    ]


@lru_cache(maxsize=1)
def _rules() -> dict[str, Any]:
    path = Path(__file__).with_name("policy.yaml")
    rules: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return rules


def _parse(path: Path) -> tuple[Script | None, str]:
    try:
        return Script.model_validate_json(path.read_text(encoding="utf-8")), ""
    except ValidationError as error:
        return None, str(error.errors()[0]["msg"])


def _relevance(text: str, topic: str) -> Check:
    value = similarity(text, topic)
    score = min(1.0, max(0.0, (value - _UNRELATED) / (_PARAPHRASE - _UNRELATED)))
    return _check(
        "topic_similarity", "heuristic", MODEL, round(value, 4), f"at least {_MIN_RELEVANCE}",
        value >= _MIN_RELEVANCE, score,
    )  # fmt: skip


def _variety(text: str) -> Check:
    """Share of four-word runs that are not said twice."""
    parts = words(text)
    runs = Counter(tuple(parts[i : i + 4]) for i in range(len(parts) - 3))
    value = sum(1 for number in runs.values() if number == 1) / max(1, len(runs))
    return _check(
        "unrepeated_runs", "heuristic", "1", round(value, 4), f"at least {_MIN_VARIETY}",
        value >= _MIN_VARIETY, value,
    )  # fmt: skip


def _own(text: str, sources: list[str]) -> Check:
    """Share of four-word runs that stand in a source text. This is no copyright clearance."""
    own = ngrams(text)
    given: set[tuple[str, ...]] = set().union(*(ngrams(source) for source in sources))
    copied = len(own & given) / max(1, len(own))
    return _check(
        "near_copy_of_sources", "heuristic", "1", round(copied, 4), f"at most {_MAX_COPIED}",
        copied <= _MAX_COPIED, 1.0 - copied,
    )  # fmt: skip


def _check(
    name: str, kind: Any, version: str, value: Any, threshold: str, passed: bool,
    score: float | None = None,
) -> Check:  # fmt: skip
    worth = float(passed) if score is None else round(score, 4)
    return Check(name, "content", kind, version, value, threshold, passed, worth)
