"""Measured checks of the finished files: what ffmpeg and the samples say, not what was intended."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ml.generation.captions import Timeline, from_srt
from ml.generation.checks import Check, rule
from ml.generation.media import intervals, loudness, probe, run_ffmpeg
from ml.generation.stage import StageContext
from ml.generation.thumbnail import MAX_BYTES
from ml.generation.thumbnail_compose import SIZE
from ml.generation.video import vertical
from ml.generation.voice_enhance import MAX_TRUE_PEAK, TARGET_LUFS

MIN_SECONDS, MAX_SECONDS = 20.0, 60.0
LOUDNESS_TOLERANCE = 0.5
MAX_SYNC_MS = 150.0

_MAX_SILENCE, _MAX_BLACK, _MAX_FREEZE_SHARE = 2.0, 0.5, 0.1
_MAX_TWIN_S = 0.1
_SPEECH_DB, _HOP_S = -42.0, 0.01


def technical_checks(context: StageContext) -> list[Check]:
    """All of them, for the video, its sound, its captions and its thumbnail."""
    return [*video_checks(context), *_thumbnail(context)]


def video_checks(context: StageContext) -> list[Check]:
    """Those of the video, its sound and its captions."""
    video = context.inputs["video"]["video.mp4"]
    return [
        *_streams(context, video),
        *sound_checks(video),
        *picture_checks(video),
        _sync(context, video),
        *_upright(context, video),
    ]


def _upright(context: StageContext, video: Path) -> list[Check]:
    """The 9:16 twin, where one is made: its shape, and that it is the whole video."""
    twin = context.inputs["video"].get("vertical.mp4")
    if twin is None:
        return []
    found, size = probe(twin), vertical(context.brief)
    length = probe(video).duration_s
    fits = [found.width, found.height] == [size["width"], size["height"]]
    return [
        rule(
            "upright",
            [found.width, found.height, found.duration_s],
            f"{size['width']}x{size['height']}, as long as the video",
            fits and abs(found.duration_s - length) <= _MAX_TWIN_S,
        )
    ]


def _streams(context: StageContext, video: Path) -> list[Check]:
    found, brief = probe(video), context.brief
    formats = [found.video_codec, found.pixel_format, found.audio_codec, found.sample_rate]
    size = [found.width, found.height]
    length = found.duration_s
    return [
        rule("duration_s", length, "20 to 60", MIN_SECONDS <= length <= MAX_SECONDS),
        rule(
            "resolution", size, f"{brief.width}x{brief.height}", size == [brief.width, brief.height]
        ),
        rule(
            "formats",
            formats,
            "h264 yuv420p aac 48000",
            formats == ["h264", "yuv420p", "aac", 48000],
        ),
        rule("frames_per_second", found.fps, "at least 24", (found.fps or 0) >= 24),
    ]


def sound_checks(video: Path) -> list[Check]:
    """Loudness, peak and silence of a file with sound."""
    level = loudness(video)
    quiet = intervals(video, audio_filter="silencedetect=noise=-50dB:d=0.8")["longest_silence"]
    off = abs(level.integrated - TARGET_LUFS)
    return [
        rule("integrated_lufs", level.integrated, "-16 within 0.5", off <= LOUDNESS_TOLERANCE),
        rule("true_peak_dbtp", level.true_peak, "at most -1.5", level.true_peak <= MAX_TRUE_PEAK),
        rule("longest_silence_s", quiet, "at most 2", quiet <= _MAX_SILENCE),
    ]


def picture_checks(video: Path) -> list[Check]:
    """Black and frozen stretches of a video."""
    # Detection needs no detail: a quarter of the size is four times as quick and less noisy.
    filters = "scale=320:-2,blackdetect=d=0.2:pix_th=0.06,freezedetect=n=-65dB:d=2"
    found, length = intervals(video, video_filter=filters), probe(video).duration_s
    share = round(found["freeze"] / length, 4)
    return [
        rule("black_s", found["black"], "at most 0.5", found["black"] <= _MAX_BLACK),
        rule("frozen_share", share, "at most 0.1", share <= _MAX_FREEZE_SHARE),
    ]


def _sync(context: StageContext, video: Path) -> Check:
    timeline = Timeline.model_validate_json(
        context.inputs["voice"]["timeline.json"].read_text(encoding="utf-8")
    )
    srt = from_srt(context.inputs["video"]["captions.srt"].read_text(encoding="utf-8"))
    worst = round(sync_error_ms(timeline, srt, speech_onsets(video, context.work)), 1)
    return rule("caption_sync_ms", worst, f"at most {MAX_SYNC_MS:.0f}", worst <= MAX_SYNC_MS)


def speech_onsets(video: Path, work: Path) -> NDArray[np.float64]:
    """Times in seconds at which sound sets in after a pause, measured in the video's own audio."""
    sound = work / "sync.wav"
    run_ffmpeg(["-i", str(video), "-vn", "-ac", "1", "-ar", "16000", str(sound)], timeout_s=60)
    with wave.open(str(sound), "rb") as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype=np.int16)
        hop = int(_HOP_S * file.getframerate())
    frames = samples[: samples.size // hop * hop].reshape(-1, hop).astype(np.float64) / 32768
    level = 10 * np.log10((frames**2).mean(axis=1) + 1e-12)
    loud = np.concatenate([[False], level > _SPEECH_DB])
    onsets: NDArray[np.float64] = np.flatnonzero(loud[1:] & ~loud[:-1]).astype(np.float64)
    return onsets * _HOP_S


def sync_error_ms(
    timeline: Timeline, srt: list[tuple[float, float, str]], onsets: NDArray[np.float64]
) -> float:
    """Largest distance between the caption that opens a sentence and the sound that opens it.

    Returns:
        Milliseconds; infinite when a sentence has no caption or there is no sound at all.
    """
    starts = iter(srt)
    worst = 0.0 if onsets.size else float("inf")
    for sentence in timeline.sentences:
        said, shown, first = sentence.text.split(), 0, None
        while shown < len(said):
            caption = next(starts, None)
            if caption is None:
                return float("inf")
            first = caption[0] if first is None else first
            shown += len(caption[2].split())
        if onsets.size and first is not None:
            worst = max(worst, float(np.abs(onsets - first).min()) * 1000)
    return worst


def _thumbnail(context: StageContext) -> list[Check]:
    path = context.inputs["thumbnail"]["thumbnail.jpg"]
    with Image.open(path) as image:
        size = image.size
    metrics = context.upstream["thumbnail"].metrics
    ratio = metrics["technical_scores"][metrics["recommended"]]["contrast"]
    small = path.stat().st_size < MAX_BYTES
    return [
        rule(
            "thumbnail_size",
            [*size, path.stat().st_size],
            "1280x720 under 2 MB",
            size == SIZE and small,
        ),
        rule("thumbnail_contrast", ratio, "at least 4.5 (WCAG AA)", ratio >= 4.5),
    ]
