"""Spoils a finished video on purpose, one fault at a time: what the media checkpoint must find."""

from __future__ import annotations

from pathlib import Path

from ml.generation.media import run_ffmpeg

_PICTURE = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "copy")
_SOUND = ("-c:v", "copy", "-c:a", "aac", "-b:a", "160k", "-ar", "48000")

# By name: arguments of ffmpeg, and the checks of which at least one must object.
MEDIA_FAULTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "black": (
        ("-vf", "drawbox=c=black:t=fill:enable='between(t,5,8)'", *_PICTURE), ("black_s",),
    ),
    "frozen": (("-vf", "trim=end=6,tpad=stop_mode=clone:stop=-1", *_PICTURE, "-shortest"),
               ("frozen_share",)),
    "silent": (("-af", "volume=0:enable='between(t,5,9)'", *_SOUND), ("longest_silence_s",)),
    "clipped": (("-af", "volume=14dB", *_SOUND), ("true_peak_dbtp", "integrated_lufs")),
    "quiet": (("-af", "volume=-6dB", *_SOUND), ("integrated_lufs",)),
    "late_sound": (("-af", "adelay=450:all=1", *_SOUND, "-shortest"), ("caption_sync_ms",)),
    "too_short": (("-t", "12", *_PICTURE), ("duration_s",)),
    "wrong_size": (("-vf", "crop=iw-16:ih-16", *_PICTURE), ("resolution",)),
    "slow_frames": (("-r", "10", *_PICTURE), ("frames_per_second",)),
}  # fmt: skip


def spoil(video: Path, fault: str, target: Path) -> Path:
    """Write the video with that fault."""
    run_ffmpeg(["-i", str(video), *MEDIA_FAULTS[fault][0], str(target)], timeout_s=300)
    return target
