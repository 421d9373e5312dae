"""Measures files for a caller, with the technical checks of the generation pipeline's gate.

Only the platform's own files are read, by their key in the content bucket: no address is fetched.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from ml.exceptions import GenerationError, RequestError
from ml.generation import checks as gate
from ml.generation.gate_technical import MAX_SECONDS, MIN_SECONDS, picture_checks, sound_checks
from ml.generation.media import Streams, probe
from ml.generation.thumbnail import MAX_BYTES
from ml.generation.thumbnail_compose import SIZE
from ml.generation.thumbnail_score import score
from ml.jobs.run import Task
from ml.serving.assessments import assessment, text_checks
from ml.serving.own_files import content_key
from ml.serving.work_schemas import Assessment, AssessRequest, Check

_MIN_SHARPNESS = 100.0
# A decompression bomb is refused before its pixels are read.
_MOST_PIXELS = 50_000_000


def assess(task: Task, request: Mapping[str, Any]) -> Assessment:
    """Measure the file, or the text, of a request.

    Raises:
        RequestError: if the file is not there, or not of the type that is said.
    """
    wanted = AssessRequest.model_validate(request)
    if wanted.content_type == "script":
        checks = text_checks(wanted.content_data.script or "")
    else:
        task.report("fetching", 0.1)
        path = _fetched(task, wanted)
        task.report("measuring", 0.4)
        checks = [_shown(check) for check in _MEASURES[wanted.content_type](path)]
    return assessment(task.job_id, wanted, checks, None, task.settings.gate_min_score)


def _fetched(task: Task, wanted: AssessRequest) -> Path:
    address = getattr(wanted.content_data, f"{wanted.content_type}_url") or ""
    key = content_key(address, task.settings)
    path = task.work / Path(key).name
    try:
        task.store.get_file(key, path)
    except FileNotFoundError:
        raise RequestError(f"there is no file at {address}") from None
    return path


def _streams(path: Path) -> Streams:
    try:
        return probe(path)
    except GenerationError as error:
        raise RequestError("the file is neither sound nor video that can be read") from error


def _video(path: Path) -> list[gate.Check]:
    found = _streams(path)
    formats = [found.video_codec, found.pixel_format, found.audio_codec]
    length = found.duration_s
    checks = [
        gate.rule("duration_s", length, "20 to 60", MIN_SECONDS <= length <= MAX_SECONDS),
        gate.rule("formats", formats, "h264 yuv420p aac", formats == ["h264", "yuv420p", "aac"]),
        gate.rule("frames_per_second", found.fps, "at least 24", (found.fps or 0) >= 24),
    ]
    if found.video_codec is None:
        raise RequestError("the file has no picture; say that it is audio")
    sound = sound_checks(path) if found.audio_codec else []
    return [*checks, *sound, *picture_checks(path)]


def _audio(path: Path) -> list[gate.Check]:
    found = _streams(path)
    if found.audio_codec is None:
        raise RequestError("the file has no sound")
    rate = found.sample_rate or 0
    return [gate.rule("sample_rate", rate, "at least 22050", rate >= 22_050), *sound_checks(path)]


def _thumbnail(path: Path) -> list[gate.Check]:
    try:
        with Image.open(path) as opened:
            if opened.width * opened.height > _MOST_PIXELS:
                raise RequestError("the picture has too many pixels")
            image = opened.convert("RGB")
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise RequestError("the file is no picture") from error
    size, length = image.size, path.stat().st_size
    sharpness = score(image, 0.0, 0).sharpness
    return [
        gate.rule("thumbnail_size", [*size], f"{SIZE[0]}x{SIZE[1]}", size == SIZE),
        gate.rule("thumbnail_bytes", length, "under 2 MB", length < MAX_BYTES),
        gate.rule(
            "sharpness", sharpness, f"at least {_MIN_SHARPNESS:.0f}", sharpness >= _MIN_SHARPNESS
        ),
    ]


_MEASURES = {"video": _video, "audio": _audio, "thumbnail": _thumbnail}


def _shown(check: gate.Check) -> Check:
    value = check.value
    if isinstance(value, float) and not math.isfinite(value):
        value = None  # the level of silence is minus infinity, which JSON lacks
    return Check(
        name=check.name,
        kind=check.kind,
        value=value,
        threshold=check.threshold,
        passed=check.passed,
    )
