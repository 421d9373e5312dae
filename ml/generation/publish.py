"""Stage 6: publishing to the outbox, a bucket prefix and a local folder.

A video that passed goes to `outbox/<video_id>/`, one that was held or rejected to `held/` or
`rejected/` instead: finished, and for a person to decide. The manifest is written last, and what
was written once is the same when it is written again.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml.generation.artifacts import ArtifactStore, sha256_of
from ml.generation.llm.catalog import BUNDLED
from ml.generation.stage import StageContext, StageOutput, StageResult

CODE_VERSION = "3"

_FILES = {
    "video.mp4": "video",
    "captions.srt": "video",
    "thumbnail.jpg": "thumbnail",
    "script.json": "voice",
    "gate.json": "gate",
}
_TWIN = "vertical.mp4"  # where one is made
_FOLDERS = {
    "pass": "outbox", "held": "held", "rejected": "rejected", "unpublished": "unpublished",
}  # fmt: skip
# What every video is made with, and what is bundled, by who said that it did the work.
_ALWAYS = {
    "all-MiniLM-L6-v2": "Apache-2.0",
    "ffmpeg (separate program)": "GPL-3.0-or-later",
    "DejaVu fonts": "Bitstream Vera",
}
_BUNDLED = {
    f"local/{BUNDLED}": {"SmolLM2-135M-Instruct": "Apache-2.0"},
    "piper/en_US-joe-medium": {
        "voice en_US-joe-medium": "CC0",
        "piper (separate program)": "GPL-3.0-or-later",
    },
    "composer/pillow": {},
}


def code_version() -> str:
    """Version of the stage."""
    return CODE_VERSION


def run(context: StageContext) -> StageOutput:
    """Copy the finished files to their place and write `manifest.json`."""
    verdict = context.upstream["gate"].metrics["verdict"]
    files = {name: context.inputs[stage][name] for name, stage in _FILES.items()}
    if twin := context.inputs["video"].get(_TWIN):
        files[_TWIN] = twin
    document = manifest(context, verdict, files)
    files["manifest.json"] = context.write_text("manifest.json", json.dumps(document, indent=2))
    prefix = f"{_FOLDERS[verdict]}/{context.brief.video_id}"
    folder = local_folder(context.settings.outbox_dir, verdict, context.brief.video_id)
    for name, path in files.items():
        context.store.put_file(f"{prefix}/{name}", path)
        copy(path, folder / name)
    metrics = {
        "verdict": verdict,
        "prefix": prefix,
        "folder": str(folder),
        "title": document["title"],
    }
    return StageOutput("outbox", {"manifest.json": files["manifest.json"]}, metrics)


def local_folder(outbox: Path, verdict: str, video_id: str) -> Path:
    """Where the files of a video lie on this machine."""
    return (outbox if verdict == "pass" else outbox / _FOLDERS[verdict]) / video_id


def manifest(context: StageContext, verdict: str, files: Mapping[str, Path]) -> dict[str, Any]:
    """Everything one needs to say where a video came from."""
    script = json.loads(files["script.json"].read_text(encoding="utf-8"))
    return {
        "video_id": context.brief.video_id,
        "title": script["seo_metadata"]["title_suggestions"][0],
        "verdict": verdict,
        "scores": context.upstream["gate"].metrics["scores"],
        "synthetic_data": context.brief.synthetic,
        "contains_synthetic_media": True,  # what YouTube calls status.containsSyntheticMedia
        "seed": context.brief.seed,
        "brief": context.brief.model_dump(mode="json"),
        "prompt_versions": context.upstream["script"].metrics["prompt_versions"],
        "sentences": context.upstream["script"].metrics["sentences"],
        "stages": [
            {
                "name": name,
                "provider": result.provider,
                "input_hash": result.input_hash,
                "outputs": {file: entry["sha256"] for file, entry in result.outputs.items()},
            }
            for name, result in context.upstream.items()
        ],
        "files": {
            name: {"sha256": sha256_of(path), "bytes": path.stat().st_size}
            for name, path in files.items()
        },
        "licences": licences(context.upstream),
        "credits": [photo["credit"] for photo in _photos(context.upstream)],
    }


def licences(upstream: Mapping[str, StageResult]) -> dict[str, str]:
    """Under which terms the tools, models and sounds of a video are; not ours are their owner's."""
    calls = upstream["script"].metrics["llm_calls"]
    used = {call["model"] for call in calls if call["outcome"] == "answered"}
    used |= {upstream[stage].provider for stage in ("voice", "thumbnail")}
    found = dict(_ALWAYS)
    for name in sorted(used):
        found |= _BUNDLED.get(name, {name: "terms of its owner"})
    if music := upstream["video"].metrics.get("music"):
        found[f"music {music['file']}"] = music["licence"]
    for photo in _photos(upstream):
        found[f"photo {photo['page']}"] = photo["licence"]
    return found


def _photos(upstream: Mapping[str, StageResult]) -> list[dict[str, str]]:
    photos: list[dict[str, str]] = upstream["video"].metrics["stock"]["photos"]
    return photos


def copy(source: Path, target: Path) -> None:
    """Copy a file; it appears under its name only when it is complete."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.copyfile(source, partial)
    partial.replace(target)


def fetch(
    results: Mapping[str, StageResult], store: ArtifactStore, folder: Path
) -> dict[str, Path]:
    """Bring the finished files of a video into a folder.

    Args:
        results: the results of all stages by name.
        store: where they lie.
        folder: made if it is missing.

    Returns:
        File name to path.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    twin = {_TWIN: "video"} if _TWIN in results["video"].outputs else {}
    for name, stage in {**_FILES, **twin, "manifest.json": "publish"}.items():
        partial = folder / f".{name}.{os.getpid()}"
        store.get_file(results[stage].outputs[name]["key"], partial)
        found[name] = partial.replace(folder / name)
    return found
