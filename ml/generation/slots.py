"""Writes sentence by sentence: the outline comes from the facts, the model fills its slots.

A model as small as the bundled one cannot be asked for a structured script. So the structure is
decided here; each slot is sampled several times, what breaks a rule (`guards`) or strays from the
topic is dropped, and after a bounded number of rounds the slot is filled with the plain fact or
with a template. Each sentence says which of these it is.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ml.exceptions import GenerationError
from ml.generation import prompting
from ml.generation.embedding import embed
from ml.generation.guards import Kind, first_sentence, objection
from ml.generation.llm.orchestrator import Orchestrator
from ml.generation.material import Material, Parts, seconds_of
from ml.generation.prompting import Strategy
from ml.generation.script import Scene, Sentence
from ml.generation.text import clean, latin, words

PROMPTS = ("system", "hook", "fact", "why", "question")

_ROUNDS, _CANDIDATES, _MAX_TOKENS = 2, 4, 36
_MIN_SIMILARITY: dict[Kind, float] = {"hook": 0.35, "fact": 0.6, "why": 0.35, "question": 0.35}
_TOO_CLOSE = 0.9  # similarity at which a sentence says what another one has said
_MAX_FACTS = 5
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
class _Slot:
    kind: Kind
    values: dict[str, str]
    fallback: Sentence | None
    reference: str
    fact: str = ""
    chosen: Sentence | None = None


@dataclass(frozen=True)
class _Choice:
    """Picks the best of the candidates of a slot."""

    material: Material
    by_agreement: bool
    dropped: Counter[str]

    def best(self, slot: _Slot, answers: Sequence[str], said: Sequence[str]) -> Sentence | None:
        """The candidate that fits best, or that most agree with; None if all break a rule."""
        passed = self._passed(slot, answers)
        if not passed:
            return None
        # The start of an answer names the topic whatever follows, so the rest is compared alone.
        own = [text.removeprefix(slot.values.get("prefix", "")) for text in passed]
        n = len(passed)
        vectors = embed([slot.reference, *passed, *own, *said])
        relevance = vectors[1 : 2 * n + 1] @ vectors[0]
        repeated = (vectors[1 : n + 1] @ vectors[2 * n + 1 :].T).max(axis=1, initial=0.0)
        agreement = (vectors[n + 1 : 2 * n + 1] @ vectors[n + 1 : 2 * n + 1].T).mean(axis=1)
        best: tuple[float, str] | None = None
        for position, text in enumerate(passed):
            score = float(relevance[position] + relevance[position + n]) / 2
            if self.by_agreement:
                score = float(agreement[position])
            if relevance[position] < _MIN_SIMILARITY[slot.kind]:
                self.dropped["off topic"] += 1
            elif repeated[position] > _TOO_CLOSE:
                self.dropped["said before"] += 1
            elif best is None or score > best[0]:
                best = (score, text)
        return Sentence(text=best[1], origin="model") if best else None

    def _passed(self, slot: _Slot, answers: Sequence[str]) -> list[str]:
        passed = []
        for text in dict.fromkeys(first_sentence(answer) for answer in answers):
            reason = objection(text, slot.kind, self.material.grounds, slot.fact)
            if reason is None:
                passed.append(text)
            else:
                self.dropped[reason] += 1
        return passed


def write(material: Material, llm: Orchestrator, strategy: Strategy) -> Parts:
    """Write the parts of a script; the same material, model and seed give the same ones.

    Args:
        material: topic, facts and length.
        llm: whose task `sentence` fills the slots.
        strategy: `zero_shot` leaves the worked examples out and `self_consistency` takes the
            candidate that agrees most with the others; a plan for one sentence would be pointless,
            so `chain_of_thought` is `few_shot` here.

    Raises:
        GenerationError: if no model can be asked.
        ProviderError: if none answers and one may later.
    """
    slots = _outline(material)
    dropped: Counter[str] = Counter()
    choice = _Choice(material, strategy == "self_consistency", dropped)
    _fill(list(slots.values()), choice, llm, with_examples=strategy != "zero_shot")
    hook, question = slots["hook"].chosen, slots["question"].chosen
    if hook is None or question is None:  # both have a fallback
        raise GenerationError("the script has no hook or no closing question")
    return Parts(hook, _body(material, slots), question, dropped=dict(sorted(dropped.items())))


def _outline(material: Material) -> dict[str, _Slot]:
    """The slots in the order of the video; how many there are follows the wanted length."""
    brief, topic, told = material.brief, material.topic, material.told
    rng = random.Random(brief.seed)  # noqa: S311 - variety, not security
    fixed = 18.0 if brief.series else 11.0  # hook, welcome, trend, question, call to action
    n_facts = _fitting(told, material.seconds - fixed - _WHY_SECONDS)
    missing = material.seconds - fixed - sum(seconds_of(text) for text in told[:n_facts])
    n_why = min(len(_WHYS), max(1, round(missing / _WHY_SECONDS)))
    hook = rng.choice(_HOOKS).format(topic=topic)
    plain = Sentence(text=f"What is going on with {topic}?", origin="template")
    slots = {"hook": _Slot("hook", {"topic": topic, "prefix": hook}, plain, topic)}
    for number, text in enumerate(told[:n_facts]):
        fallback = Sentence(text=text, origin="fact")
        slots[f"fact{number}"] = _Slot("fact", {"fact": text}, fallback, text, fact=text)
    for number in range(n_why):
        why = _keyword_sentence(material) if number == 0 else None
        prefix = _WHYS[(number + brief.seed) % len(_WHYS)].format(topic=topic)
        values = {"topic": topic, "niche": material.niche, "prefix": prefix}
        slots[f"why{number}"] = _Slot("why", values, why, topic)
    question = {"topic": topic, "prefix": rng.choice(_QUESTIONS)}
    ask = Sentence(text=f"What do you make of {topic}?", origin="template")
    slots["question"] = _Slot("question", question, ask, topic)
    return slots


def _fitting(told: Sequence[str], seconds: float) -> int:
    """How many of the facts, from the first on, fit into that time; at least one."""
    used, number = 0.0, 0
    for text in told[:_MAX_FACTS]:
        used += seconds_of(text)
        if number and used > seconds:
            break
        number += 1
    return number


def _keyword_sentence(material: Material) -> Sentence | None:
    known = set(words(material.topic))
    sayable = [latin(clean(word, 40)) for word in material.brief.keywords]
    fresh = [word for word in dict.fromkeys(sayable) if word and not set(words(word)) <= known]
    if not fresh:
        return None
    return Sentence(text=f"People tag it with {_listed(fresh[:3])}.", origin="template")


def _listed(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def _fill(slots: list[_Slot], choice: _Choice, llm: Orchestrator, *, with_examples: bool) -> None:
    """Sample every open slot, keep the best sentence that passes; then fall back."""
    for number in range(_ROUNDS):
        still_open = [slot for slot in slots if slot.chosen is None]
        prompts = [
            prompting.render(slot.kind, examples=with_examples, **slot.values)
            for slot in still_open
        ]
        answers = llm.complete(
            [prompt for prompt in prompts for _ in range(_CANDIDATES)],
            task="sentence",
            max_tokens=_MAX_TOKENS,
            seed=choice.material.brief.seed + number,
        )
        for position, slot in enumerate(still_open):
            mine = answers[position * _CANDIDATES : (position + 1) * _CANDIDATES]
            said = [other.chosen.text for other in slots if other.chosen]
            slot.chosen = choice.best(slot, [answer.text for answer in mine], said)
    for slot in slots:
        slot.chosen = slot.chosen or slot.fallback


def _body(material: Material, slots: dict[str, _Slot]) -> list[Scene]:
    scenes = []
    for number, fact in enumerate(material.facts):
        slot = slots.get(f"fact{number}")
        if slot and slot.chosen:
            scenes.append(
                Scene(kind="fact", heading=slot.fact, sentences=[slot.chosen], source=fact.source)
            )
    whys = [slot.chosen for name, slot in slots.items() if name.startswith("why") and slot.chosen]
    if whys:
        scenes.append(Scene(kind="why", heading=material.topic, sentences=whys))
    return scenes
