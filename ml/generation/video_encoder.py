"""Which encoder ffmpeg uses, and what runs it."""

from __future__ import annotations

import logging
import subprocess
import threading
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from ml.exceptions import ConfigurationError, GenerationError
from ml.generation.media import ffmpeg

log = logging.getLogger(__name__)

FPS = 25
SOFTWARE, HARDWARE = "libx264", "h264_nvenc"

_OPTIONS = {
    SOFTWARE: ("-preset", "veryfast", "-crf", "21"),
    HARDWARE: ("-preset", "p4", "-rc", "vbr", "-cq", "23", "-b:v", "0"),
}


def encoders(wanted: str) -> list[str]:
    """Encoders to try, in order; `auto` takes the hardware where there is one.

    Raises:
        ConfigurationError: if the hardware is asked for and is not there.
    """
    if wanted == "auto":
        return [HARDWARE, SOFTWARE] if has_hardware() else [SOFTWARE]
    if wanted == HARDWARE and not has_hardware():
        raise ConfigurationError(
            "YTEMPIRE_VIDEO_ENCODER=h264_nvenc needs an NVIDIA GPU and an ffmpeg with NVENC; set it"
            " to auto or libx264"
        )
    return [wanted]


@lru_cache(maxsize=1)
def has_hardware() -> bool:
    """Whether there is a GPU, and ffmpeg knows its encoder."""
    if not Path("/dev/nvidiactl").exists():
        return False
    listed = subprocess.run(
        [ffmpeg(), "-hide_banner", "-encoders"], capture_output=True, text=True, check=True
    )
    return HARDWARE in listed.stdout


def encode(
    inputs: Sequence[str],
    graph: str,
    target: Path,
    *,
    work: Path,
    seconds: float,
    timeout_s: float,
    encoder: str = SOFTWARE,
    chapters: int | None = None,
) -> None:
    """Run the encode and follow ffmpeg's own progress.

    Args:
        inputs: arguments that open them.
        graph: from them to `[video]` and `[audio]`.
        target: the file.
        work: folder that ffmpeg runs in.
        seconds: length of the video.
        timeout_s: how long it may take.
        encoder: for the picture.
        chapters: number of the input that holds them.

    Raises:
        GenerationError: if ffmpeg fails, the disk is full, or it does not end in time.
    """
    marks = [] if chapters is None else ["-map_chapters", str(chapters)]
    command = [
        ffmpeg(), "-hide_banner", "-nostdin", "-y", "-loglevel", "error", *inputs,
        "-filter_complex", graph, "-map", "[video]", "-map", "[audio]", *marks, "-r", str(FPS),
        "-c:v", encoder, *_OPTIONS[encoder], "-pix_fmt", "yuv420p",
        "-c:a", "aac", "-b:a", "160k", "-ac", "2", "-ar", "48000", "-shortest",
        "-movflags", "+faststart", "-fflags", "+bitexact",
        "-map_metadata:g", "-1", "-map_metadata:s", "-1",  # those of chapters stay
        "-progress", "pipe:1", str(target),
    ]  # fmt: skip
    with (work / "ffmpeg.log").open("w+", encoding="utf-8") as errors:
        process = subprocess.Popen(
            command, cwd=work, stdout=subprocess.PIPE, stderr=errors, text=True
        )
        watchdog = threading.Timer(timeout_s, process.kill)
        watchdog.start()
        try:
            _follow(process, seconds)
        finally:
            watchdog.cancel()
            process.kill()  # does nothing to a process that has ended
            process.wait()
        if process.returncode != 0:
            errors.seek(0)
            raise GenerationError(f"ffmpeg could not encode the video: {_reason(errors.read())}")


def _reason(logged: str) -> str:
    lines = logged.strip().splitlines()
    if any("No space left on device" in line for line in lines):
        return "No space left on device; free some, then clear the task: it starts anew"
    return lines[-1] if lines else "it was ended by a signal, or ran out of time"


def _follow(process: subprocess.Popen[str], seconds: float) -> None:
    """Log every quarter; blocks until ffmpeg closes its output."""
    reported = 0
    for line in process.stdout or ():
        name, _, value = line.strip().partition("=")
        if name == "out_time_us" and value.isdigit():
            quarter = int(4 * int(value) / 1e6 / seconds)
            if quarter > reported:
                reported = quarter
                log.info("encoded %s %%", min(100, 25 * quarter))
    process.wait()
