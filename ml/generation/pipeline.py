"""The stage list of a video, once: the DAG and the command line run the same one.

A stage is content-addressed. Its input hash covers the parts of the brief that it uses, the
outputs of the stages it needs, its code version and its settings. `result.json` is written last,
so a stage is finished or it is not, and a finished one is reused.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import logging
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from ml.exceptions import GenerationError
from ml.generation.artifacts import ArtifactStore, sha256_of
from ml.generation.brief import VideoBrief
from ml.generation.stage import StageContext, StageModule, StageResult
from ml.settings import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stage:
    """One step.

    Attributes:
        name: also the module `ml.generation.<name>` that does it.
        needs: earlier stages whose files it reads.
        timeout_s: enforced by the task that runs it, and by the stage on its subprocesses.
        retries: how often the task tries again.
        fallback: what happens inside the stage when its best way fails.
        brief_fields: the parts of the brief that its output depends on.
        settings_fields: the settings that its output depends on.
    """

    name: str
    needs: tuple[str, ...]
    timeout_s: int
    retries: int
    fallback: str
    brief_fields: tuple[str, ...]
    settings_fields: tuple[str, ...] = ()


_ABOUT = ("channel", "topic", "keywords", "facts", "series", "series_label", "synthetic", "seed")
_FRAME = ("width", "height")

STAGES: tuple[Stage, ...] = (
    Stage(
        "script", (), 600, 2,
        "the next model; a sentence that fails its checks twice becomes the plain fact",
        ("video_id", *_ABOUT, "language", "target_seconds", "as_of"),
        (
            "script_model_provider", "script_model_name", "script_model_fallbacks",
            "script_strategy", "script_temperature", "script_top_p", "script_max_tokens",
            "llm_routing", "openai_compatible_url", "local_llm_path", "local_llm_quantisation",
            "gate_min_score", "gate_reject_score", "gate_retries",
        ),
    ),
    Stage(
        "voice", ("script",), 120, 3,
        "the other provider, then the task is retried",
        ("video_id", "channel"),
        (
            "voice_primary_provider", "voice_fallback_provider", "elevenlabs_voice",
            "elevenlabs_model", "azure_voice", "google_voice",
        ),
    ),
    Stage(
        "thumbnail", ("script",), 300, 2,
        "none: the composer needs nothing from outside",
        ("channel", "topic", "keywords", "series", "series_label", "synthetic", "seed"),
        (
            "thumbnail_variants", "thumbnail_model_path", "thumbnail_model_width",
            "thumbnail_steps", "thumbnail_guidance", "thumbnail_memory",
        ),
    ),
    Stage(
        "video", ("script", "voice"), 600, 2,
        "without a trend curve its scene is left out; without photographs grounds are drawn",
        ("channel", "topic", "keywords", "facts", "series", "series_label", "synthetic", "seed",
         *_FRAME),
        (
            "video_vertical", "video_encoder", "music_path", "music_licence", "stock_media",
            "pexels_api_key", "pixabay_api_key",
        ),
    ),
    Stage(
        "gate", ("script", "voice", "thumbnail", "video"), 180, 1,
        "none: an unsure verdict is *held*",
        ("topic", *_FRAME),
        ("gate_min_score", "gate_reject_score"),
    ),
    Stage(
        "publish", ("script", "voice", "thumbnail", "video", "gate"), 120, 3,
        "none: publishing again writes the same files",
        tuple(VideoBrief.model_fields),
        ("outbox_dir",),
    ),
)  # fmt: skip

_BY_NAME = {stage.name: stage for stage in STAGES}
OnStage = Callable[[str, StageResult | None], None]


def run_all(
    brief: VideoBrief,
    *,
    store: ArtifactStore,
    settings: Settings,
    on_stage: OnStage | None = None,
) -> list[StageResult]:
    """Run every stage that is not finished, in order.

    Args:
        brief: what the video is about.
        store: where its files go.
        settings: thresholds, model options and folders.
        on_stage: called with (name, None) before a stage and (name, result) after it.

    Raises:
        GenerationError: if a stage can produce nothing usable.
    """
    results = []
    for stage in STAGES:
        if on_stage:
            on_stage(stage.name, None)
        results.append(run_stage(stage.name, brief, store=store, settings=settings))
        if on_stage:
            on_stage(stage.name, results[-1])
    return results


def run_stage(
    name: str, brief: VideoBrief, *, store: ArtifactStore, settings: Settings
) -> StageResult:
    """Run one stage, or return its result if it is finished for exactly this input.

    Raises:
        GenerationError: if there is no such stage, a stage that it needs is not finished, or it
            produced nothing usable.
    """
    stage = _stage(name)
    upstream = {need: _finished(need, brief, store, settings) for need in stage.needs}
    digest = input_hash(stage, brief, upstream, settings)
    found = _read_result(stage, brief, digest, store)
    if found is not None:
        log.info("stage %s of %s is finished already", name, brief.video_id)
        return found
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=f"ytempire-{name}-") as folder:
        context = _context(stage, brief, upstream, store, settings, Path(folder))
        output = _module(name).run(context)
        outputs = {
            file: _upload(store, f"{_prefix(brief, name, digest)}/{file}", path)
            for file, path in output.files.items()
        }
    result = StageResult(
        stage=name,
        provider=output.provider,
        seconds=round(time.monotonic() - started, 3),
        cost_usd=output.cost_usd,
        outputs=outputs,
        metrics=output.metrics,
        input_hash=digest,
    )
    store.put_text(f"{_prefix(brief, name, digest)}/result.json", result.to_json())
    log.info("stage %s of %s took %.1f s", name, brief.video_id, result.seconds)
    return result


def finished(
    name: str, brief: VideoBrief, *, store: ArtifactStore, settings: Settings
) -> StageResult:
    """The result of a stage for exactly this input.

    Raises:
        GenerationError: if it is not finished.
    """
    return _finished(name, brief, store, settings)


def amend(
    result: StageResult,
    brief: VideoBrief,
    *,
    store: ArtifactStore,
    texts: Mapping[str, str],
    metrics: Mapping[str, Any],
) -> StageResult:
    """Add files and metrics to a finished stage; what follows from it is made again.

    Args:
        result: of the stage.
        brief: of its video.
        store: where its files lie.
        texts: content by file name.
        metrics: added to its own.
    """
    prefix = _prefix(brief, result.stage, result.input_hash)
    outputs = dict(result.outputs)
    for file, text in texts.items():
        store.put_text(f"{prefix}/{file}", text)
        digest = hashlib.sha256(text.encode()).hexdigest()
        entry = {"key": f"{prefix}/{file}", "sha256": digest, "bytes": len(text.encode())}
        outputs[file] = entry
    amended = replace(result, outputs=outputs, metrics={**result.metrics, **metrics})
    store.put_text(f"{prefix}/result.json", amended.to_json())
    return amended


def input_hash(
    stage: Stage, brief: VideoBrief, upstream: Mapping[str, StageResult], settings: Settings
) -> str:
    """Hash over everything that the output of a stage depends on."""
    document = {
        "stage": stage.name,
        "code": _module(stage.name).code_version(),
        "brief": brief.model_dump(mode="json", include=set(stage.brief_fields)),
        "inputs": {
            name: {file: entry["sha256"] for file, entry in result.outputs.items()}
            for name, result in upstream.items()
        },
        "settings": {name: str(getattr(settings, name)) for name in stage.settings_fields},
    }
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _stage(name: str) -> Stage:
    if name not in _BY_NAME:
        raise GenerationError(f"there is no stage {name!r}; the stages are {', '.join(_BY_NAME)}")
    return _BY_NAME[name]


def _module(name: str) -> StageModule:
    # By name, so that whoever only reads the list (a DAG file) does not import the stages.
    return cast("StageModule", importlib.import_module(f"ml.generation.{name}"))


def _finished(
    name: str, brief: VideoBrief, store: ArtifactStore, settings: Settings
) -> StageResult:
    stage = _stage(name)
    upstream = {need: _finished(need, brief, store, settings) for need in stage.needs}
    digest = input_hash(stage, brief, upstream, settings)
    result = _read_result(stage, brief, digest, store)
    if result is None:
        raise GenerationError(f"stage {name} of {brief.video_id} is not finished; run it first")
    return result


def _read_result(
    stage: Stage, brief: VideoBrief, digest: str, store: ArtifactStore
) -> StageResult | None:
    try:
        text = store.get_text(f"{_prefix(brief, stage.name, digest)}/result.json")
    except FileNotFoundError:
        return None
    return StageResult.from_json(text, reused=True)


def _prefix(brief: VideoBrief, stage: str, digest: str) -> str:
    return f"videos/{brief.video_id}/{stage}/{digest}"


def _context(
    stage: Stage,
    brief: VideoBrief,
    upstream: Mapping[str, StageResult],
    store: ArtifactStore,
    settings: Settings,
    folder: Path,
) -> StageContext:
    inputs: dict[str, dict[str, Path]] = {}
    for name, result in upstream.items():
        (folder / "in" / name).mkdir(parents=True)
        inputs[name] = {file: folder / "in" / name / file for file in result.outputs}
        for file, path in inputs[name].items():
            store.get_file(result.outputs[file]["key"], path)
    work = folder / "work"
    work.mkdir()
    return StageContext(brief, settings, store, work, inputs, upstream, stage.timeout_s)


def _upload(store: ArtifactStore, key: str, path: Path) -> dict[str, Any]:
    store.put_file(key, path)
    return {"key": key, "sha256": sha256_of(path), "bytes": path.stat().st_size}
