"""ffmpeg as a subprocess: run it, follow it, and measure files with its filters."""

from __future__ import annotations

import json
import logging
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ml.exceptions import GenerationError

log = logging.getLogger(__name__)


@lru_cache(maxsize=1)
def ffmpeg() -> str:
    """Path of the ffmpeg binary."""
    import imageio_ffmpeg

    path: str = imageio_ffmpeg.get_ffmpeg_exe()
    return path


def run_ffmpeg(arguments: Sequence[str], *, timeout_s: float) -> str:
    """Run ffmpeg and return what it logged.

    Raises:
        GenerationError: if it fails or does not end in time; with its last line.
    """
    command = [ffmpeg(), "-hide_banner", "-nostdin", "-y", *arguments]
    return run_program(command, timeout_s=timeout_s, name="ffmpeg")


def run_program(
    command: Sequence[str], *, timeout_s: float, name: str, cwd: Path | None = None
) -> str:
    """Run a program without a shell and return its error stream.

    Raises:
        GenerationError: if it fails or does not end in time.
    """
    try:
        done = subprocess.run(
            list(command),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as error:
        raise GenerationError(f"{name} did not end within {timeout_s:.0f} s") from error
    except OSError as error:
        raise GenerationError(f"{name} cannot be run: {error}") from error
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise GenerationError(f"{name} failed ({done.returncode}): {lines[-1]}")
    return done.stderr


@dataclass(frozen=True)
class Streams:
    """What a media file holds."""

    duration_s: float
    width: int | None
    height: int | None
    fps: float | None
    video_codec: str | None
    pixel_format: str | None
    audio_codec: str | None
    sample_rate: int | None


def probe(path: Path) -> Streams:
    """Read the stream facts of a file, from ffmpeg's own description of it."""
    command = [ffmpeg(), "-hide_banner", "-nostdin", "-i", str(path), "-t", "0", "-f", "null", "-"]
    text = run_program(command, timeout_s=30, name="ffmpeg").split("Output #0")[0]
    video = re.search(r"Video: (\w+).*?, (\w+)(?:\(.*?\))?,.*? (\d{2,5})x(\d{2,5})", text)
    fps = re.search(r"([\d.]+) fps", text)
    audio = re.search(r"Audio: (\w+).*?, (\d+) Hz", text)
    clock = re.search(r"Duration: (\d+):(\d+):([\d.]+)", text)
    if clock is None:
        raise GenerationError(f"{path.name} is no media file that ffmpeg knows")
    hours, minutes, seconds = clock.groups()
    return Streams(
        duration_s=int(hours) * 3600 + int(minutes) * 60 + float(seconds),
        width=int(video[3]) if video else None,
        height=int(video[4]) if video else None,
        fps=float(fps[1]) if fps else None,
        video_codec=video[1] if video else None,
        pixel_format=video[2] if video else None,
        audio_codec=audio[1] if audio else None,
        sample_rate=int(audio[2]) if audio else None,
    )


@dataclass(frozen=True)
class Loudness:
    """EBU R 128 figures: integrated loudness in LUFS, true peak in dBTP."""

    integrated: float
    true_peak: float


def loudness(path: Path) -> Loudness:
    """Measure a whole file."""
    log_text = run_ffmpeg(
        ["-i", str(path), "-vn", "-af", "ebur128=peak=true:framelog=quiet", "-f", "null", "-"],
        timeout_s=120,
    )
    summary = log_text.rsplit("Summary:", 1)[-1]
    integrated = re.search(r"I:\s+(-?[\d.]+|-inf|nan) LUFS", summary)
    peak = re.search(r"Peak:\s+(-?[\d.]+|-inf|nan) dBFS", summary)
    if integrated is None or peak is None:
        raise GenerationError(f"ffmpeg measured no loudness in {path.name}")
    return Loudness(float(integrated[1]), float(peak[1]))


def loudnorm_report(log_text: str) -> dict[str, str]:
    """The JSON block that the loudnorm filter prints last.

    Raises:
        GenerationError: if there is none.
    """
    start = log_text.rfind("{")
    try:
        report: dict[str, str] = json.loads(log_text[start : log_text.rfind("}") + 1])
    except ValueError as error:
        raise GenerationError("ffmpeg's loudnorm printed no report") from error
    return report


def intervals(path: Path, video_filter: str = "", audio_filter: str = "") -> dict[str, float]:
    """Seconds of black, frozen and silent stretches that detection filters report.

    Returns:
        `black`, `freeze` and `silence`: the total, and `longest_silence`.
    """
    arguments = ["-i", str(path)]
    arguments += ["-vf", video_filter] if video_filter else ["-vn"]
    arguments += ["-af", audio_filter] if audio_filter else ["-an"]
    text = run_ffmpeg([*arguments, "-f", "null", "-"], timeout_s=120)
    silence = [float(found) for found in re.findall(r"silence_duration: ([\d.]+)", text)]
    return {
        "black": sum(float(found) for found in re.findall(r"black_duration:([\d.]+)", text)),
        "freeze": sum(float(found) for found in re.findall(r"freeze_duration: ([\d.]+)", text)),
        "silence": sum(silence),
        "longest_silence": max(silence, default=0.0),
    }
