"""What a script is made from, whoever writes it: the topic and the facts that can be said aloud."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ml.exceptions import GenerationError
from ml.generation.brief import Fact, VideoBrief
from ml.generation.facts import shorten_title
from ml.generation.guards import Grounds
from ml.generation.script import Scene, Sentence, Wording
from ml.generation.text import (
    clean,
    content_words,
    is_injection,
    latin,
    say_numbers,
    sentence,
    words,
)

WORDS_PER_SECOND = 2.6  # of the bundled voice, pauses included
MIN_SECONDS, MAX_SECONDS = 24.0, 52.0  # of the estimate; leaves room inside 20 to 60 s

_SAME_FACT = 0.6  # share of words two facts have in common


@dataclass(frozen=True)
class Material:
    """The topic, facts, names and length of a script, clean and sayable.

    Attributes:
        facts: those that are facts, no two alike.
        told: each as one sentence.
        seconds: wanted length.
    """

    brief: VideoBrief
    topic: str
    facts: tuple[Fact, ...]
    told: tuple[str, ...]
    channel: str
    niche: str
    seconds: float
    grounds: Grounds

    @classmethod
    def of(cls, brief: VideoBrief) -> Material:
        """Take it out of a brief.

        Raises:
            GenerationError: if the topic has nothing that the English voice could say.
        """
        facts = tuple(_distinct([fact for fact in brief.facts if usable(fact)]))
        return cls(
            brief=brief,
            topic=spoken_topic(brief),
            facts=facts,
            told=tuple(_told(fact) for fact in facts),
            channel=latin(clean(brief.channel.name, 60)) or "our channel",
            niche=latin(clean(brief.channel.niche, 40)) or "trends",
            seconds=min(max(brief.target_seconds, MIN_SECONDS), MAX_SECONDS),
            grounds=Grounds.of(brief),
        )


@dataclass(frozen=True)
class Parts:
    """What a writer writes; the frame around it is always the same.

    Attributes:
        hook: opens the video.
        body: scenes in between; the curve is not among them.
        question: opens the close.
        cta: ends it; none takes the usual one.
        wording: titles, description and tags, where they were written too.
        dropped: candidates that broke a rule, by the rule.
    """

    hook: Sentence
    body: list[Scene]
    question: Sentence
    cta: Sentence | None = None
    wording: Wording | None = None
    dropped: dict[str, int] = field(default_factory=dict)


def spoken_topic(brief: VideoBrief) -> str:
    """The topic as the voice can say it, or the first keyword that it can.

    Raises:
        GenerationError: if there is none.
    """
    for text in (brief.topic, *brief.keywords):
        spoken = latin(clean(text, 80))
        if len(words(spoken)) > 0 and not is_injection(spoken):
            return spoken
    raise GenerationError(
        "neither the topic nor a keyword has words in Latin letters that are no order to a model;"
        " the local voice speaks English only"
    )


def usable(fact: Fact) -> bool:
    """Whether a fact is one: it has words to say and is no order to a model."""
    return not is_injection(clean(fact.text)) and len(words(latin(clean(fact.text)))) >= 3


def seconds_of(text: str) -> float:
    """How long the voice takes for a sentence, and the pause after it."""
    return len(text.split()) / WORDS_PER_SECOND + 0.4


def _told(fact: Fact) -> str:
    return sentence(shorten_title(latin(say_numbers(clean(fact.text)))))


def _distinct(facts: Sequence[Fact]) -> list[Fact]:
    """Facts that share most of their words with an earlier one say the same thing again."""
    kept: list[tuple[Fact, set[str]]] = []
    for fact in facts:
        own = content_words(clean(fact.text))
        if all(len(own & other) / len(own | other) < _SAME_FACT for _, other in kept):
            kept.append((fact, own))
    return [fact for fact, _ in kept]
