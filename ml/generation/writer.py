"""Writes a storyboard: the outline comes from the facts, the model fills slots of one sentence.

A model as small as the bundled one cannot be asked for a structured script. So the structure is
decided here; each slot is sampled several times, what breaks a rule (`guards`) or strays from the
topic is dropped, and after a bounded number of rounds the slot is filled with the plain fact or
with a template. Each sentence says which of these it is.
"""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from ml.exceptions import GenerationError
from ml.generation import prompting
from ml.generation.brief import Fact, VideoBrief
from ml.generation.embedding import embed
from ml.generation.facts import series_sentence, shorten_title
from ml.generation.guards import Grounds, Kind, first_sentence, objection
from ml.generation.llm import LlmProvider
from ml.generation.script import Origin, Scene, Sentence, Storyboard
from ml.generation.text import (
    clean,
    content_words,
    is_injection,
    latin,
    say_numbers,
    sentence,
    words,
)

log = logging.getLogger(__name__)

WORDS_PER_SECOND = 2.6  # of the bundled voice, pauses included
MIN_SECONDS, MAX_SECONDS = 24.0, 52.0  # of the estimate; leaves room inside 20 to 60 s

_ROUNDS, _CANDIDATES, _MAX_TOKENS = 2, 4, 36
_MIN_SIMILARITY: dict[Kind, float] = {"hook": 0.35, "fact": 0.6, "why": 0.35, "question": 0.35}
_TOO_CLOSE = 0.9  # similarity at which a sentence says what another one has said
_MAX_FACTS = 5
_SAME_FACT = 0.6  # share of words two facts have in common
_WHY_SECONDS = 5.5

_HOOKS = (
    "What is it about {topic} that",
    "Have you heard about {topic}",
    "Why are so many people watching {topic}",
)
_WHYS = (
    "People like {topic} because",
    "Part of the appeal of {topic} is",
    "Fans of {topic} enjoy",
)
_QUESTIONS = ("Do you", "Would you", "Have you")


@dataclass
class Draft:
    """A storyboard and how it came about."""

    storyboard: Storyboard
    dropped: dict[str, int]
    facts_left_out: int
    prompt_tokens: int
    completion_tokens: int


@dataclass
class _Slot:
    kind: Kind
    values: dict[str, str]
    fallback: Sentence | None
    reference: str
    fact: str = ""
    chosen: Sentence | None = None


@dataclass
class _Tally:
    dropped: Counter[str] = field(default_factory=Counter)
    prompt_tokens: int = 0
    completion_tokens: int = 0


def write(brief: VideoBrief, provider: LlmProvider) -> Draft:
    """Write the storyboard of a brief; the same brief and provider give the same one.

    Raises:
        GenerationError: if the topic has nothing that the English voice could say.
    """
    topic = spoken_topic(brief)
    facts = _distinct([fact for fact in brief.facts if usable(fact)])
    tally = _Tally()
    outline = _outline(brief, topic, facts)
    _fill([slot for slot in outline.values() if slot], Grounds.of(brief), provider, brief, tally)
    storyboard = _storyboard(brief, topic, facts, outline)
    return Draft(
        storyboard,
        dict(sorted(tally.dropped.items())),
        len(brief.facts) - len(facts),
        tally.prompt_tokens,
        tally.completion_tokens,
    )


def spoken_topic(brief: VideoBrief) -> str:
    """The topic as the voice can say it, or the first keyword that it can.

    Raises:
        GenerationError: if there is none.
    """
    for text in (brief.topic, *brief.keywords):
        spoken = latin(clean(text, 80))
        if len(words(spoken)) > 0:
            return spoken
    raise GenerationError(
        "the topic and its keywords have no Latin letters, and the local voice speaks English only"
    )


def usable(fact: Fact) -> bool:
    """Whether a fact is one: it has words to say and is no order to a model."""
    return not is_injection(clean(fact.text)) and len(words(latin(clean(fact.text)))) >= 3


def _distinct(facts: Sequence[Fact]) -> list[Fact]:
    """Facts that share most of their words with an earlier one say the same thing again."""
    kept: list[tuple[Fact, set[str]]] = []
    for fact in facts:
        own = content_words(clean(fact.text))
        if all(len(own & other) / len(own | other) < _SAME_FACT for _, other in kept):
            kept.append((fact, own))
    return [fact for fact, _ in kept]


def _outline(brief: VideoBrief, topic: str, facts: Sequence[Fact]) -> dict[str, _Slot]:
    """The slots in the order of the video; how many there are follows the wanted length."""
    rng = random.Random(brief.seed)  # noqa: S311 - variety, not security
    seconds = min(max(brief.target_seconds, MIN_SECONDS), MAX_SECONDS)
    told = [_told(fact) for fact in facts]
    fixed = 18.0 if brief.series else 11.0  # hook, welcome, trend, question, call to action
    n_facts = _fitting(told, seconds - fixed - _WHY_SECONDS)
    missing = seconds - fixed - sum(_seconds(text) for text in told[:n_facts])
    n_why = min(len(_WHYS), max(1, round(missing / _WHY_SECONDS)))
    hook = rng.choice(_HOOKS).format(topic=topic)
    plain = Sentence(text=f"What is going on with {topic}?", origin="template")
    slots = {"hook": _Slot("hook", {"topic": topic, "prefix": hook}, plain, topic)}
    for number, text in enumerate(told[:n_facts]):
        fallback = Sentence(text=text, origin="fact")
        slots[f"fact{number}"] = _Slot("fact", {"fact": text}, fallback, text, fact=text)
    niche = latin(clean(brief.channel.niche, 40)) or "trends"
    for number in range(n_why):
        why = _keyword_sentence(brief, topic) if number == 0 else None
        prefix = _WHYS[(number + brief.seed) % len(_WHYS)].format(topic=topic)
        values = {"topic": topic, "niche": niche, "prefix": prefix}
        slots[f"why{number}"] = _Slot("why", values, why, topic)
    question = {"topic": topic, "prefix": rng.choice(_QUESTIONS)}
    ask = Sentence(text=f"What do you make of {topic}?", origin="template")
    slots["question"] = _Slot("question", question, ask, topic)
    return slots


def _told(fact: Fact) -> str:
    """A fact as one sentence that the voice can say."""
    return sentence(shorten_title(latin(say_numbers(clean(fact.text)))))


def _fitting(told: Sequence[str], seconds: float) -> int:
    """How many of the facts, from the first on, fit into that time; at least one."""
    used, number = 0.0, 0
    for text in told[:_MAX_FACTS]:
        used += _seconds(text)
        if number and used > seconds:
            break
        number += 1
    return number


def _seconds(text: str) -> float:
    return len(text.split()) / WORDS_PER_SECOND + 0.4


def _keyword_sentence(brief: VideoBrief, topic: str) -> Sentence | None:
    known = set(words(topic))
    usable_words = [latin(clean(word, 40)) for word in brief.keywords]
    fresh = [word for word in dict.fromkeys(usable_words) if word and not set(words(word)) <= known]
    if not fresh:
        return None
    return Sentence(text=f"People tag it with {_listed(fresh[:3])}.", origin="template")


def _listed(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def _fill(
    slots: Sequence[_Slot],
    grounds: Grounds,
    provider: LlmProvider,
    brief: VideoBrief,
    tally: _Tally,
) -> None:
    """Sample every open slot, keep the best sentence that passes; then fall back."""
    for number in range(_ROUNDS):
        still_open = [slot for slot in slots if slot.chosen is None]
        prompts = [prompting.render(slot.kind, **slot.values) for slot in still_open]
        answers = provider.complete(
            [prompt for prompt in prompts for _ in range(_CANDIDATES)],
            max_tokens=_MAX_TOKENS,
            seed=brief.seed + number,
        )
        tally.prompt_tokens += sum(answer.prompt_tokens for answer in answers)
        tally.completion_tokens += sum(answer.completion_tokens for answer in answers)
        for position, slot in enumerate(still_open):
            mine = answers[position * _CANDIDATES : (position + 1) * _CANDIDATES]
            said = [other.chosen.text for other in slots if other.chosen]
            slot.chosen = _best(slot, [answer.text for answer in mine], grounds, said, tally)
    for slot in slots:
        slot.chosen = slot.chosen or slot.fallback


def _best(
    slot: _Slot, answers: Sequence[str], grounds: Grounds, said: Sequence[str], tally: _Tally
) -> Sentence | None:
    passed = []
    for text in dict.fromkeys(first_sentence(answer) for answer in answers):
        reason = objection(text, slot.kind, grounds, slot.fact)
        if reason is None:
            passed.append(text)
        else:
            tally.dropped[reason] += 1
    if not passed:
        return None
    # The start of an answer names the topic whatever follows, so the rest is compared by itself.
    own = [text.removeprefix(slot.values.get("prefix", "")) for text in passed]
    n = len(passed)
    vectors = embed([slot.reference, *passed, *own, *said])
    relevance = vectors[1 : 2 * n + 1] @ vectors[0]
    repeated = (vectors[1 : n + 1] @ vectors[2 * n + 1 :].T).max(axis=1, initial=0.0)
    best: tuple[float, str] | None = None
    for position, text in enumerate(passed):
        score = float(relevance[position] + relevance[position + n]) / 2
        if relevance[position] < _MIN_SIMILARITY[slot.kind]:
            tally.dropped["off topic"] += 1
        elif repeated[position] > _TOO_CLOSE:
            tally.dropped["said before"] += 1
        elif best is None or score > best[0]:
            best = (score, text)
    return Sentence(text=best[1], origin="model") if best else None


def _storyboard(
    brief: VideoBrief, topic: str, facts: Sequence[Fact], slots: dict[str, _Slot]
) -> Storyboard:
    channel = latin(clean(brief.channel.name, 60)) or "our channel"
    hook, question = slots["hook"].chosen, slots["question"].chosen
    if hook is None or question is None:  # both have a fallback
        raise GenerationError("the script has no hook or no closing question")
    welcome = _template(f"Here is what the data say, on {channel}.")
    scenes = [Scene(kind="title", heading=topic, sentences=[hook, welcome])]
    if brief.series:
        trend = series_sentence(topic, brief.series, latin(clean(brief.series_label)) or "items")
        scenes.append(
            Scene(kind="chart", heading=topic, sentences=[_template(trend)], source="trend data")
        )
    for number, fact in enumerate(facts):
        slot = slots.get(f"fact{number}")
        if slot and slot.chosen:
            scenes.append(
                Scene(kind="fact", heading=slot.fact, sentences=[slot.chosen], source=fact.source)
            )
    whys = [slot.chosen for name, slot in slots.items() if name.startswith("why") and slot.chosen]
    if whys:
        scenes.append(Scene(kind="why", heading=topic, sentences=whys))
    if len(scenes) < 2:
        scenes.append(Scene(kind="why", heading=topic, sentences=[_no_facts(topic)]))
    cta = _template(f"Follow {channel} to see what rises next.")
    scenes.append(Scene(kind="outro", heading=channel, sentences=[question, cta]))
    return Storyboard(topic=topic, scenes=scenes)


def _no_facts(topic: str) -> Sentence:
    return _template(f"There are no measured facts about {topic} in our sources yet.")


def _template(text: str, origin: Origin = "template") -> Sentence:
    return Sentence(text=text, origin=origin)
