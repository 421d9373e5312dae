"""Writes a storyboard: whole, by a model that can, or sentence by sentence, by one that cannot."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from ml.exceptions import GenerationError, ProviderError
from ml.generation import document, prompting, slots
from ml.generation.brief import VideoBrief
from ml.generation.facts import series_sentence
from ml.generation.llm.orchestrator import Orchestrator
from ml.generation.material import Material, Parts
from ml.generation.prompting import Strategy
from ml.generation.script import Scene, Sentence, Storyboard
from ml.generation.text import clean, latin

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Draft:
    """A storyboard and how it came about.

    Attributes:
        dropped: candidates that broke a rule, by the rule.
        facts_left_out: of the brief, because they are none, or say what another one says.
        method: `script` (written whole) or `sentence`.
        strategy: that was followed; sentences have no plan, so theirs is then `few_shot`.
        prompt_versions: number and hash of each prompt that was used.
    """

    storyboard: Storyboard
    dropped: dict[str, int]
    facts_left_out: int
    method: str
    strategy: Strategy
    prompt_versions: dict[str, str]


def write(
    brief: VideoBrief, llm: Orchestrator, *, strategy: Strategy = "few_shot", max_tokens: int = 2000
) -> Draft:
    """Write the storyboard of a brief.

    The way of the preferred model is tried first and the other one when no model can go it.

    Args:
        brief: what the video is about.
        llm: who is asked.
        strategy: how; see `prompting`.
        max_tokens: of a whole script.

    Raises:
        GenerationError: if the topic has nothing that the English voice could say, or every model
            refuses.
        ProviderError: if no model answers and one may later.
    """
    material = Material.of(brief)
    ways: dict[str, Callable[[], Parts]] = {
        "script": lambda: document.write(material, llm, strategy, max_tokens=max_tokens),
        "sentence": lambda: slots.write(material, llm, strategy),
    }
    used = {"script": document.PROMPTS, "sentence": slots.PROMPTS}
    order = sorted(ways, key=lambda way: way != ("script" if llm.prefers("script") else "sentence"))
    failures: list[GenerationError | ProviderError] = []
    for way in order:
        try:
            parts = ways[way]()
        except (GenerationError, ProviderError) as error:
            log.warning("writing by %s failed: %s", way, error)
            failures.append(error)
            continue
        planless = way == "sentence" and strategy == "chain_of_thought"
        return Draft(
            _storyboard(material, parts),
            parts.dropped,
            len(brief.facts) - len(material.facts),
            way,
            "few_shot" if planless else strategy,
            prompting.versions(used[way]),
        )
    # What may pass decides: then the task is worth another try.
    raise next((f for f in failures if isinstance(f, ProviderError)), failures[0])


def _storyboard(material: Material, parts: Parts) -> Storyboard:
    """The parts in the frame that every video has: welcome, curve, call to action."""
    brief, topic, channel = material.brief, material.topic, material.channel
    welcome = _template(f"Here is what the data say, on {channel}.")
    scenes = [Scene(kind="title", heading=topic, sentences=[parts.hook, welcome])]
    if brief.series:
        trend = series_sentence(topic, brief.series, latin(clean(brief.series_label)) or "items")
        scenes.append(
            Scene(kind="chart", heading=topic, sentences=[_template(trend)], source="trend data")
        )
    scenes += parts.body
    if len(scenes) < 2:
        none = _template(f"There are no measured facts about {topic} in our sources yet.")
        scenes.append(Scene(kind="why", heading=topic, sentences=[none]))
    cta = parts.cta or _template(f"Follow {channel} to see what rises next.")
    scenes.append(Scene(kind="outro", heading=channel, sentences=[parts.question, cta]))
    return Storyboard(topic=topic, scenes=scenes, wording=parts.wording)


def _template(text: str) -> Sentence:
    return Sentence(text=text, origin="template")
