"""The sound of a video: the voice, and music below it that gives way while somebody speaks."""

from __future__ import annotations

from pathlib import Path

from ml.exceptions import ConfigurationError
from ml.generation.media import loudness
from ml.settings import Settings

MUSIC_LUFS = -30.0  # in the pauses; adds 0.2 LU to speech at -16

_DUCK = "sidechaincompress=threshold=0.02:ratio=8:attack=20:release=400"


def music(settings: Settings) -> Path | None:
    """The background music that is set, if any.

    Raises:
        ConfigurationError: if the file or its licence is missing.
    """
    path = settings.music_path
    if path is None:
        return None
    if not path.is_file():
        raise ConfigurationError(f"YTEMPIRE_MUSIC={path} is no file; fix or unset it")
    if not settings.music_licence:
        raise ConfigurationError(
            "YTEMPIRE_MUSIC_LICENCE is not set; say under which licence the music may be used"
        )
    return path


def sound_graph(voice: int, track: Path | None, total_s: float) -> str:
    """Filters from the inputs to `[audio]`.

    Args:
        voice: number of its input; the music's is the next one.
        track: the music, looped, if there is any.
        total_s: length of the video.
    """
    spoken = f"[{voice}:a]aresample=48000,apad=whole_dur={total_s:.3f}"
    if track is None:
        return f"{spoken}[audio]"
    gain = MUSIC_LUFS - loudness(track).integrated
    fade = f"afade=t=in:d=1,afade=t=out:st={max(0.0, total_s - 2):.3f}:d=2"
    return (
        f"{spoken},asplit=2[voice][key];\n"
        f"[{voice + 1}:a]aresample=48000,atrim=0:{total_s:.3f},volume={gain:.2f}dB,{fade}[music];\n"
        f"[music][key]{_DUCK}[below];\n"
        "[voice][below]amix=inputs=2:duration=first:normalize=0,alimiter=limit=0.8:level=false"
        "[audio]"
    )
