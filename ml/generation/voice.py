"""Stage 2: the voice. Every sentence is spoken on its own, so every sentence's time is exact."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from ml.exceptions import (
    GenerationError,
    ProviderError,
    QuotaExceededError,
    SourceUnavailableError,
)
from ml.generation.budget import Budget, CostLedger, ledger_of
from ml.generation.captions import TimedSentence, Timeline
from ml.generation.media import loudness
from ml.generation.script import Script, Storyboard
from ml.generation.stage import StageContext, StageOutput
from ml.generation.voice_enhance import MAX_TRUE_PEAK, TARGET_LUFS, enhance
from ml.generation.voice_hosted import HOSTED
from ml.generation.voice_interface import (
    Line,
    Samples,
    Spoken,
    Take,
    VoiceProvider,
    lines_of,
    write_wav,
)
from ml.generation.voice_piper import PiperVoice
from ml.settings import Settings

log = logging.getLogger(__name__)

CODE_VERSION = "2"
MIN_SECONDS = 20.5

_SENTENCE_PAUSE, _SCENE_PAUSE, _LEAD, _TAIL = 0.28, 0.55, 0.35, 0.9
_SILENT = 250  # of 32767: below this a sample counts as silence when ends are trimmed
_KEEP = 0.03  # seconds of the quiet on- and offset that are kept


def code_version() -> str:
    """Version of the stage."""
    return CODE_VERSION


def run(context: StageContext) -> StageOutput:
    """Write `voice.wav`, `timeline.json` and `script.json` with the spoken times."""
    from ml.generation.metadata import assemble

    board = Storyboard.model_validate_json(
        context.inputs["script"]["storyboard.json"].read_text(encoding="utf-8")
    )
    spoken, failures = speak(context, lines_of(board, context.brief.channel.tone))
    audio, timeline = join(board, spoken.takes)
    raw = context.work / "raw.wav"
    write_wav(raw, audio, timeline.sample_rate)
    final, report = enhance(raw, context.work / "voice.wav", context.timeout_s)
    measured = loudness(final)
    if abs(measured.integrated - TARGET_LUFS) > 0.5 or measured.true_peak > MAX_TRUE_PEAK:
        log.warning("the voice is at %s", measured)  # the gate decides
    script = assemble(context.brief, board, timeline.scene_spans())
    draft = Script.model_validate_json(
        context.inputs["script"]["script.json"].read_text(encoding="utf-8")
    )
    script.generation_cost = draft.generation_cost + spoken.cost_usd
    seconds = sum(sentence.end - sentence.start for sentence in timeline.sentences)
    words = sum(len(sentence.text.split()) for sentence in timeline.sentences)
    aligned = all(sentence.word_ends for sentence in timeline.sentences)
    metrics = {
        "duration_s": round(timeline.duration, 3),
        "integrated_lufs": measured.integrated,
        "true_peak_dbtp": measured.true_peak,
        "loudnorm": report["normalization_type"],
        "words_per_minute": round(60 * words / seconds, 1),
        "word_times": "aligned by the provider" if aligned else "interpolated within each sentence",
        "emotions": [line.emotion for line in lines_of(board, context.brief.channel.tone)],
        "voice_failures": failures,
        # What the ledger has already is not booked again with the stage.
        "booked_usd": spoken.cost_usd if _ledger(context).is_shared else 0.0,
    }
    files = {
        "voice.wav": final,
        "timeline.json": context.write_text("timeline.json", timeline.model_dump_json(indent=2)),
        "script.json": context.write_text("script.json", script.model_dump_json(indent=2)),
    }
    return StageOutput(spoken.provider, files, metrics, spoken.cost_usd)


def speak(context: StageContext, lines: Sequence[Line]) -> tuple[Spoken, list[str]]:
    """Let the first provider speak that can.

    A script that its checkpoint has rejected is spoken by the local voice, which costs nothing.

    Returns:
        What was spoken, and why the providers before did not.

    Raises:
        GenerationError: if none can.
        ProviderError: if none answers and one may later.
    """
    settings, ledger = context.settings, _ledger(context)
    names = [settings.voice_primary_provider, settings.voice_fallback_provider]
    if context.upstream["script"].metrics["checkpoint"]["verdict"] == "rejected":
        names = ["piper"]
    failures: list[Exception] = []
    for name in (asked := list(dict.fromkeys(names))):
        # One that is slow leaves the next one and the mastering their time.
        share = context.timeout_s / 3 if name != asked[-1] else context.timeout_s
        try:
            provider = provider_of(name, context.brief.channel.voice, settings)
            found = speak_within_budget(provider, lines, context.work, share, ledger)
            return found, [str(error) for error in failures]
        except (
            GenerationError, ProviderError, QuotaExceededError, SourceUnavailableError
        ) as error:  # fmt: skip
            log.warning("%s does not speak: %s", name, error)
            failures.append(error)
    raise next((f for f in failures if isinstance(f, ProviderError)), failures[0])


def _ledger(context: StageContext) -> CostLedger:
    budget = Budget.of_voices(context.settings)
    return ledger_of(
        context.settings, video_id=context.brief.video_id, stage="voice", budget=budget
    )


def provider_of(name: str, voice: str, settings: Settings) -> VoiceProvider:
    """A provider by name.

    Raises:
        SourceUnavailableError: if it lacks a key; the message names the variable.
    """
    return PiperVoice(voice) if name == "piper" else HOSTED[name](settings)


def speak_within_budget(
    provider: VoiceProvider, lines: Sequence[Line], work: Path, timeout_s: float, ledger: CostLedger
) -> Spoken:
    """Let a provider speak: its price is held back before, what it may charge booked after.

    Raises:
        QuotaExceededError: if the day's budget does not have it.
    """
    price = provider.price_usd_per_million / 1e6
    if price == 0:
        return provider.speak(lines, work, timeout_s)
    hold = ledger.hold(provider.payee, price * sum(len(line.text) for line in lines))
    try:
        return provider.speak(lines, work, timeout_s)
    finally:
        spoken = provider.charged
        ledger.settle(hold, provider.payee, {"characters": (spoken, spoken * price)})


def join(board: Storyboard, takes: Sequence[Take]) -> tuple[Samples, Timeline]:
    """Put the takes one after another with pauses, and note where each one lies."""
    rate = takes[0].rate
    parts, timed, at = [_silence(_LEAD, rate)], [], _silence(_LEAD, rate).size
    remaining = iter(takes)
    for number, scene in enumerate(board.scenes):
        for position, sentence in enumerate(scene.sentences):
            samples, word_ends = trim(next(remaining), sentence.text)
            start, end = at / rate, (at + samples.size) / rate
            timed.append(
                TimedSentence(
                    scene=number, text=sentence.text, start=start, end=end,
                    word_ends=[start + value for value in word_ends] if word_ends else None,
                )
            )  # fmt: skip
            last = position == len(scene.sentences) - 1
            pause = _silence(_SCENE_PAUSE if last else _SENTENCE_PAUSE, rate)
            parts += [samples, pause]
            at += samples.size + pause.size
    # A very short script still makes a video of the least length: the end card stands longer.
    tail = _silence(max(_TAIL, MIN_SECONDS - at / rate), rate)
    audio = np.concatenate([*parts, tail])
    return audio, Timeline(sentences=timed, duration=audio.size / rate, sample_rate=rate)


def trim(take: Take, text: str) -> tuple[Samples, list[float] | None]:
    """Cut silence off both ends, so that a sentence's times are those of its sound.

    Raises:
        GenerationError: if there is nothing but silence.
    """
    loud = np.flatnonzero(np.abs(take.samples.astype(np.int32)) > _SILENT)
    if loud.size == 0:
        raise GenerationError("the voice returned silence for a sentence")
    keep = int(_KEEP * take.rate)
    first = max(0, int(loud[0]) - keep)
    samples = take.samples[first : int(loud[-1]) + keep]
    length = samples.size / take.rate
    ends = [min(max(0.0, end - first / take.rate), length) for end in take.word_ends or ()]
    usable = len(ends) == len(text.split()) and all(a <= b for a, b in pairwise(ends))
    return samples, [*ends[:-1], length] if usable and ends else None


def _silence(seconds: float, rate: int) -> Samples:
    return np.zeros(int(seconds * rate), dtype=np.int16)
