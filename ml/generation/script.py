"""Stage 1: the script, as structured data of the script endpoint's shape, and its storyboard."""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ml.generation.stage import StageContext, StageOutput

CODE_VERSION = "3"

_SEED_STEP = 1_000_003  # another attempt is another seed

Origin = Literal["model", "fact", "template"]
SceneKind = Literal["title", "chart", "fact", "why", "outro"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Sentence(_Model):
    """One spoken sentence and where it came from: the model, a fact verbatim or a template."""

    text: str = Field(min_length=1)
    origin: Origin


class Scene(_Model):
    """What is said and shown together; cue and stress where their writer named them."""

    kind: SceneKind
    heading: str
    sentences: list[Sentence] = Field(min_length=1)
    source: str | None = None
    visual_cue: str | None = None
    emphasis: list[str] = Field(default_factory=list)

    @property
    def text(self) -> str:
        """All of it, as spoken."""
        return " ".join(sentence.text for sentence in self.sentences)


class Wording(_Model):
    """Titles, description and tags, where a model has written them."""

    titles: list[str]
    description: str
    tags: list[str]


class Storyboard(_Model):
    """The scenes in order: one title, any number in between, one outro."""

    topic: str
    scenes: list[Scene] = Field(min_length=2)
    wording: Wording | None = None


class Intro(_Model):
    """The opening."""

    hook: str = Field(min_length=1)
    duration_seconds: float
    text: str = Field(min_length=1)


class Segment(_Model):
    """One part of the body."""

    type: Literal["main_content", "transition", "cta"]
    timestamp: str = Field(pattern=r"^\d{2}:\d{2}:\d{2}$")
    duration_seconds: float
    text: str = Field(min_length=1)
    visual_cues: list[str]
    emphasis_points: list[str]


class Outro(_Model):
    """The close, with the call to action."""

    duration_seconds: float
    text: str = Field(min_length=1)
    cta: str = Field(min_length=1)


class ScriptBody(_Model):
    """Intro, segments, outro."""

    intro: Intro
    segments: list[Segment] = Field(min_length=1)
    outro: Outro


class QualityMetrics(_Model):
    """Heuristics that are computed; null where there is no model that could."""

    coherence_score: float | None
    engagement_score: float | None
    seo_score: float | None
    originality_score: float | None


class SeoMetadata(_Model):
    """Titles, description and tags."""

    title_suggestions: list[str] = Field(min_length=1)
    description: str
    tags: list[str]
    keywords_density: dict[str, str]


class EstimatedPerformance(_Model):
    """Null until a model is trained on what published videos did."""

    retention_rate: float | None = None
    ctr: float | None = None
    engagement_rate: float | None = None


class Script(_Model):
    """The answer of the script endpoint."""

    script_id: str
    script: ScriptBody
    quality_metrics: QualityMetrics
    seo_metadata: SeoMetadata
    estimated_performance: EstimatedPerformance
    generation_cost: float


def code_version() -> str:
    """Version of the stage, prompts included."""
    from ml.generation import prompting

    return f"{CODE_VERSION}+{prompting.digest()}"


def run(context: StageContext) -> StageOutput:
    """Write `script.json`, `storyboard.json` and `checkpoint.json`, what the gate says of it."""
    from ml.generation import metadata
    from ml.generation.gate_content import script_checkpoint
    from ml.generation.gate_improvement import improve
    from ml.generation.llm.orchestrator import Orchestrator
    from ml.generation.writer import write

    brief, settings, started = context.brief, context.settings, time.monotonic()
    llm = Orchestrator.of(settings, video_id=brief.video_id, stage="script")
    best = improve(
        lambda attempt: write(
            brief.model_copy(update={"seed": brief.seed + _SEED_STEP * attempt}), llm,
            strategy=settings.script_strategy, max_tokens=settings.script_max_tokens,
        ),
        lambda draft: script_checkpoint(brief, draft.storyboard, settings),
        retries=settings.gate_retries,
        # An attempt takes as long as the last one: none begins that the task might not see ended.
        has_time=lambda: time.monotonic() - started < context.timeout_s / 3,
    )  # fmt: skip
    draft = best.work
    script = metadata.assemble(brief, draft.storyboard, metadata.estimate(draft.storyboard))
    script.generation_cost = llm.calls.cost_usd
    files = {
        "script.json": context.write_text("script.json", script.model_dump_json(indent=2)),
        "storyboard.json": context.write_text(
            "storyboard.json", draft.storyboard.model_dump_json(indent=2)
        ),
        "checkpoint.json": context.write_text(
            "checkpoint.json", json.dumps(best.checkpoint.report(), indent=2)
        ),
    }
    origins = [s.origin for scene in draft.storyboard.scenes for s in scene.sentences]
    metrics = {
        "sentences": dict(sorted(Counter(origins).items())),
        "dropped": draft.dropped,
        "facts_left_out": draft.facts_left_out,
        "method": draft.method,
        "checkpoint": best.checkpoint.summary(),
        "attempts": best.attempts,
        "strategy": draft.strategy,
        **llm.calls.report(),
        "prompt_versions": draft.prompt_versions,
        "null_metrics": metadata.NULL_REASONS,
        "quality_metrics": script.quality_metrics.model_dump(),
    }
    return StageOutput(llm.calls.main_model, files, metrics, llm.calls.cost_usd)
