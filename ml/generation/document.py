"""Writes a whole script at once, by a model that can follow a schema.

The model sees the numbered facts and answers with JSON. What it says is held to them as strictly
as what the small model says: a number, name or claim of number that the facts lack is sent back
with the reason, once; a script that still breaks a rule is not used.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from ml.exceptions import GenerationError, ProviderError
from ml.generation import prompting
from ml.generation.embedding import embed
from ml.generation.guards import Kind, objection
from ml.generation.llm.orchestrator import Orchestrator
from ml.generation.material import WORDS_PER_SECOND, Material, Parts
from ml.generation.prompting import Strategy
from ml.generation.script import Scene, Sentence, Wording
from ml.generation.text import clean, is_injection, latin, numbers, words

log = logging.getLogger(__name__)

PROMPTS = ("script", "repair")

_SAMPLES = 3  # of self-consistency
_MIN_SIMILARITY = 0.35  # of what is said to the topic; scripts about something else lie near 0.2
_MAX_SENTENCES, _MAX_SEGMENTS = 3, 5
_TITLE_CHARS, _TAG_CHARS, _CUE_CHARS, _DESCRIPTION_CHARS = 100, 40, 120, 1000
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[\"'A-Z0-9])")
_MEANING = {
    "unfinished": "it is empty",
    "length": "it must have 5 to 26 words",
    "number": "it has a number that no fact has",
    "name": "it has a name that no fact has",
    "first person": "it speaks of itself",
    "repetition": "it repeats a word too often",
    "no question": "it must be one question",
}


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SegmentForm(_Form):
    """One part of the body."""

    text: str
    facts: list[int]
    visual_cue: str
    emphasis: list[str]


class ScriptForm(_Form):
    """What the model is asked for; times, sources and shares are worked out from it."""

    hook: str
    segments: list[SegmentForm]
    question: str
    cta: str
    titles: list[str]
    description: str
    tags: list[str]


class PlannedForm(_Form):
    """A script with the plan that comes before it."""

    plan: str
    script: ScriptForm


def write(material: Material, llm: Orchestrator, strategy: Strategy, *, max_tokens: int) -> Parts:
    """Write the parts of a script.

    Args:
        material: topic, facts and length.
        llm: whose task `script` writes.
        strategy: how it is asked; `self_consistency` takes the script that is nearest to the
            others of three, by the embedding of what is said.
        max_tokens: of an answer.

    Raises:
        GenerationError: if no model gives a script that keeps to the rules.
        ProviderError: if none answers and one may later.
    """
    sample = _Sampler(material, llm, strategy, max_tokens)
    samples = _SAMPLES if strategy == "self_consistency" else 1
    scripts = [sample(0)]
    for number in range(1, samples):
        try:
            scripts.append(sample(number))
        except (GenerationError, ProviderError) as error:
            log.warning("one script fewer to choose from: %s", error)
    return _parts(material, _nearest_to_others(scripts))


@dataclass(frozen=True)
class _Sampler:
    """Asks for one script."""

    material: Material
    llm: Orchestrator
    strategy: Strategy
    max_tokens: int

    def __call__(self, number: int) -> ScriptForm:
        prompt = _prompt(self.material, self.strategy)
        seed = self.material.brief.seed + number
        if self.strategy == "chain_of_thought":
            return self.llm.structured(
                prompt,
                PlannedForm,
                check=lambda answer: problems(answer.script, self.material),
                max_tokens=self.max_tokens,
                seed=seed,
            ).script
        return self.llm.structured(
            prompt,
            ScriptForm,
            check=lambda answer: problems(answer, self.material),
            max_tokens=self.max_tokens,
            seed=seed,
        )


def _prompt(material: Material, strategy: Strategy) -> prompting.Prompt:
    least, most = _word_range(material)
    return prompting.render(
        "script",
        examples=strategy != "zero_shot",
        plan=strategy == "chain_of_thought",
        topic=material.topic,
        channel=material.channel,
        niche=material.niche,
        tone=clean(material.brief.channel.tone, 40),
        facts=material.told,
        least_words=least,
        most_words=most,
    )


def _word_range(material: Material) -> tuple[int, int]:
    """Words of the model's own part; the curve and the welcome take their time, too."""
    own = material.seconds - (10.0 if material.brief.series else 3.0)
    return round(0.6 * own * WORDS_PER_SECOND), round(1.25 * own * WORDS_PER_SECOND)


def problems(script: ScriptForm, material: Material) -> list[str]:
    """What a script breaks, one rule an entry, in words for its writer; none if it is good."""
    found = [
        *_of_sentence("hook", script.hook, "hook", material),
        *_of_sentence("question", script.question, "question", material),
        *_of_sentence("cta", script.cta, "told", material),
        *_of_segments(script.segments, material),
        *_of_wording(script, material),
    ]
    said = " ".join(_spoken(script))
    least, most = _word_range(material)
    if not least <= len(words(said)) <= most:
        found.append(f"it has {len(words(said))} spoken words, not {least} to {most}")
    vectors = embed([said, material.topic])
    if not found and float(vectors[0] @ vectors[1]) < _MIN_SIMILARITY:
        found.append("it is not about the topic")
    return found


def _of_sentence(where: str, text: str, kind: Kind, material: Material) -> Iterator[str]:
    plain = _sayable(text)
    # Typographic marks are made plain and emoji left out without a word; letters are not.
    if [c for c in plain if c.isalnum()] != [c for c in text if c.isalnum()]:
        yield f"{where}: write plain English words, without markup or links"
    if reason := objection(plain, kind, material.grounds):
        yield f"{where}: {_MEANING[reason]}"
    if is_injection(plain):
        yield f"{where}: it reads as an order"


def _of_segments(segments: Sequence[SegmentForm], material: Material) -> Iterator[str]:
    if not 1 <= len(segments) <= _MAX_SEGMENTS:
        yield f"segments: there must be 1 to {_MAX_SEGMENTS}"
    if material.facts and not any(segment.facts for segment in segments):
        yield "segments: none of them tells a fact"
    for number, segment in enumerate(segments, start=1):
        where = f"segment {number}"
        if unknown := [n for n in segment.facts if not 1 <= n <= len(material.told)]:
            yield f"{where}: there is no fact {unknown[0]}"
            continue
        spoken = _sentences(segment.text)
        if not 1 <= len(spoken) <= _MAX_SENTENCES:
            yield f"{where}: it must have 1 to {_MAX_SENTENCES} sentences"
        for text in spoken:
            yield from _of_sentence(where, text, "told", material)
        cited = " . ".join([material.topic, *(material.told[n - 1] for n in segment.facts)])
        if moved := numbers(segment.text) - numbers(cited):
            yield f"{where}: the number {min(moved)} is not in the facts that it names"


def _of_wording(script: ScriptForm, material: Material) -> Iterator[str]:
    if not any(_sayable(title) for title in script.titles):
        yield "titles: there is none"
    for text in (*script.titles, script.description, *script.tags):
        if numbers(text) - material.grounds.numbers:
            yield "titles, description or tags: a number that no fact has"
        if is_injection(clean(text)):
            yield "titles, description or tags: one reads as an order"
    if any(len(title) > _TITLE_CHARS for title in script.titles):
        yield f"titles: more than {_TITLE_CHARS} characters"


def _spoken(script: ScriptForm) -> list[str]:
    return [script.hook, *(s.text for s in script.segments), script.question, script.cta]


def _sentences(text: str) -> list[str]:
    return [part.strip() for part in _SENTENCE.split(text.strip()) if part.strip()]


def _sayable(text: str, limit: int = 400) -> str:
    return latin(clean(text, limit))


def _nearest_to_others(scripts: Sequence[ScriptForm]) -> ScriptForm:
    if len(scripts) < 3:  # of two, each is as near to the other
        return scripts[0]
    vectors = embed([" ".join(_spoken(script)) for script in scripts])
    agreement = (vectors @ vectors.T).sum(axis=1)
    return scripts[int(agreement.argmax())]


def _parts(material: Material, script: ScriptForm) -> Parts:
    return Parts(
        hook=_sentence(script.hook),
        body=[_scene(material, segment) for segment in script.segments],
        question=_sentence(script.question),
        cta=_sentence(script.cta),
        wording=Wording(
            titles=[title for text in script.titles if (title := _sayable(text, _TITLE_CHARS))],
            description=_sayable(script.description, _DESCRIPTION_CHARS),
            tags=[tag for text in script.tags if (tag := _sayable(text, _TAG_CHARS))],
        ),
    )


def _sentence(text: str) -> Sentence:
    return Sentence(text=_sayable(text), origin="model")


def _scene(material: Material, segment: SegmentForm) -> Scene:
    first = segment.facts[0] - 1 if segment.facts else None
    return Scene(
        kind="why" if first is None else "fact",
        heading=material.topic if first is None else material.told[first],
        sentences=[_sentence(text) for text in _sentences(segment.text)],
        source=None if first is None else material.facts[first].source,
        visual_cue=_sayable(segment.visual_cue, _CUE_CHARS) or None,
        emphasis=[text for text in segment.emphasis if text and text in segment.text],
    )
