"""The script checkpoint: structure, length, policy words, and everything `gate_reference` knows."""

from __future__ import annotations

import re

from ml.generation.brief import VideoBrief
from ml.generation.checks import Check, Checkpoint
from ml.generation.facts import series_sentence
from ml.generation.gate_faults import split
from ml.generation.gate_history import novelty_check
from ml.generation.gate_measures import Subject
from ml.generation.gate_reference import script_checks
from ml.generation.script import Script, Storyboard
from ml.generation.text import clean, latin, say_numbers, words
from ml.safety.policy import listed_words, word_list
from ml.settings import Settings

_MIN_WORDS, _MAX_WORDS = 40, 170


def script_checkpoint(brief: VideoBrief, board: Storyboard, settings: Settings) -> Checkpoint:
    """Judge a script before anything is spent on its voice and pictures."""
    subject = subject_of(brief, board)
    count = len(words(subject.text))
    checks = [
        Check(
            "words", "content", "rule", "1", count, f"{_MIN_WORDS} to {_MAX_WORDS}",
            _MIN_WORDS <= count <= _MAX_WORDS, float(_MIN_WORDS <= count <= _MAX_WORDS),
        ),
        *script_checks(subject),
        novelty_check(brief.video_id, subject.text, settings),
        words_check([brief.topic, subject.text]),
    ]  # fmt: skip
    return Checkpoint.of("script", checks, (settings.gate_min_score, settings.gate_reject_score))


def subject_of(brief: VideoBrief, board: Storyboard) -> Subject:
    """A storyboard as the measures see it."""
    facts = [clean(fact.text) for fact in brief.facts]
    supported = [say_numbers(fact) for fact in facts]
    supported += [brief.channel.name, *map(clean, brief.keywords)]
    if brief.series:
        label = latin(clean(brief.series_label)) or "items"
        supported.append(series_sentence(board.topic, brief.series, label))
    spoken = tuple(text for line in sentences(board) for text in split(line))
    return Subject(spoken, board.topic, tuple(facts), clean(brief.channel.niche), tuple(supported))


def sentences(board: Storyboard) -> list[str]:
    """What is spoken, line by line."""
    return [sentence.text for scene in board.scenes for sentence in scene.sentences]


def spoken(script: Script) -> str:
    """Everything that is said, in order."""
    body = script.script
    parts = [body.intro.text, *(segment.text for segment in body.segments), body.outro.text]
    return re.sub(r"\s+", " ", " ".join(parts))


def words_check(texts: list[str]) -> Check:
    """Look for listed words: one holds a video for a person, two reject it."""
    found = listed_words(" ".join(texts))
    score = 1.0 if not found else 0.7 if len(found) == 1 else 0.5
    version = f"word list {word_list()['version']}"
    return Check("policy_words", "policy", "rule", version, found, "none", not found, score)
