"""Stage 5: the gate. Three checkpoints, and the verdict is the worst of theirs.

* script: judged by the script stage before anything is spent on it, see `gate_content`;
* media: limits on what ffmpeg and the samples measure in the finished files, see `gate_technical`;
* final: what is published beside the video, and that what is spoken is what was judged.

Every check is a row that says what it is (rule, heuristic or model), its version, what it found and
its score. The scores of heuristics and models are percentiles on a labelled set, see
`gate_reference`; they see whether a script has a known fault, not whether it is any good. A video
passes from `gate_min_score` on, is rejected below `gate_reject_score` and held in between.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ml.generation.captions import Timeline
from ml.generation.checks import Check, Checkpoint, worse
from ml.generation.gate_content import sentences, words_check
from ml.generation.gate_technical import technical_checks
from ml.generation.script import Script, Storyboard
from ml.generation.stage import StageContext, StageOutput
from ml.safety import policy
from ml.safety.champion import champion_of

CODE_VERSION = "3"


def code_version() -> str:
    """Version of the stage."""
    return CODE_VERSION


def run(context: StageContext) -> StageOutput:
    """Write `gate.json`: the verdict, the scores and every check."""
    settings = context.settings
    thresholds = (settings.gate_min_score, settings.gate_reject_score)
    judged = json.loads(context.inputs["script"]["checkpoint.json"].read_text(encoding="utf-8"))
    script = Checkpoint.of("script", [Check(**row) for row in judged["checks"]], thresholds)
    media = Checkpoint.of("media", technical_checks(context), thresholds)
    final = Checkpoint.of("final", final_checks(context), thresholds)
    points = (script, media, final)
    scores = lowest([point.scores for point in points])
    verdict = worse(*(point.verdict for point in points))
    rows = [(point.name, check) for point in points for check in point.checks]
    report = {
        "verdict": verdict,
        "scores": scores,
        "thresholds": {"pass": thresholds[0], "reject": thresholds[1]},
        "checkpoints": {point.name: point.summary() for point in points},
        "checks": [{"checkpoint": name, **asdict(check)} for name, check in rows],
    }
    files = {"gate.json": context.write_text("gate.json", json.dumps(report, indent=2))}
    failed = [check.name for _, check in rows if not check.passed]
    return StageOutput(
        "gate/three-checkpoints",
        files,
        {
            "verdict": verdict,
            "scores": scores,
            "checkpoints": report["checkpoints"],
            "failed": failed,
            "checks": len(rows),
        },
    )


def lowest(scores: list[Mapping[str, float]]) -> dict[str, float]:
    """The lowest score of every part."""
    names = {name: None for found in scores for name in found}
    return {name: min(found[name] for found in scores if name in found) for name in names}


def final_checks(context: StageContext) -> list[Check]:
    """Policy of everything that is published, what the model expects, and nothing swapped."""
    script, problem = _script(context)
    valid = Check(
        "structure", "content", "rule", "1", problem or "valid", "the script schema",
        not problem, float(not problem),
    )  # fmt: skip
    if script is None:
        return [valid]
    seo = script.seo_metadata
    texts = [*seo.title_suggestions, *seo.tags, *seo.description.splitlines()]
    return [
        valid,
        _as_judged(context),
        words_check([context.brief.topic, *texts]),
        _policy(context, texts),
        exposed_check(context.upstream["thumbnail"].metrics, context.settings.gate_reject_score),
        _engagement(context, seo.title_suggestions[0]),
    ]


def _script(context: StageContext) -> tuple[Script | None, str]:
    from pydantic import ValidationError

    text = context.inputs["voice"]["script.json"].read_text(encoding="utf-8")
    try:
        return Script.model_validate_json(text), ""
    except ValidationError as error:
        return None, str(error.errors()[0]["msg"])


def _as_judged(context: StageContext) -> Check:
    board = Storyboard.model_validate_json(
        context.inputs["script"]["storyboard.json"].read_text(encoding="utf-8")
    )
    timeline = Timeline.model_validate_json(
        context.inputs["voice"]["timeline.json"].read_text(encoding="utf-8")
    )
    same = sentences(board) == [sentence.text for sentence in timeline.sentences]
    return Check(
        "spoken_as_judged", "content", "rule", "1", same, "the sentences of the script", same,
        float(same),
    )  # fmt: skip


def _policy(context: StageContext, texts: list[str]) -> Check:
    timeline = Timeline.model_validate_json(
        context.inputs["voice"]["timeline.json"].read_text(encoding="utf-8")
    )
    spoken = [sentence.text for sentence in timeline.sentences]
    found = policy.judge([text for text in (*spoken, *texts) if text.strip()], context.settings)
    threshold = "percentile among texts that break a policy"
    if isinstance(found, str):
        return Check(
            "policy_model", "policy", "model", policy.MODEL, None, threshold, True, None,
            f"{found}; the word list alone decides",
        )  # fmt: skip
    return Check(
        "policy_model", "policy", "model", f"{policy.MODEL} {found.version}", found.value,
        threshold, found.score >= context.settings.gate_reject_score, found.score,
    )  # fmt: skip


def exposed_check(thumbnail: Mapping[str, Any], reject_below: float) -> Check:
    """What NudeNet said of the thumbnail, from the metrics of its stage."""
    value, threshold = thumbnail["nsfw"], "probability of something exposed"
    if value is None:
        return Check(
            "thumbnail_nsfw", "policy", "model", "nudenet", None, threshold, True, None,
            thumbnail["nsfw_reason"],
        )  # fmt: skip
    score = round(1 - float(value), 4)
    return Check(
        "thumbnail_nsfw", "policy", "model", "nudenet", value, threshold,
        score >= reject_below, score,
    )  # fmt: skip


def _engagement(context: StageContext, title: str) -> Check:
    """What the champion expects of the title. It says how popular, not how good: no part."""
    name, threshold = "quality_engagement", "percentile among the videos it was trained on"
    found = champion_of(name, context.settings)
    if isinstance(found, str):
        return Check("engagement", "estimate", "model", name, None, threshold, True, None, found)
    from ml.quality.engagement.predict import score_titles

    model, release = found
    duration = context.upstream["video"].metrics["duration_s"]
    row: dict[str, Any] = score_titles(model, [title], duration_s=duration).iloc[0].to_dict()
    value = round(float(row["percentile"]), 4)
    return Check(
        "engagement", "estimate", "model", f"{name} {release.version}", value, threshold, True,
        value, f"80 % interval {row['low']:.2f} to {row['high']:.2f}",
    )  # fmt: skip
