"""Speech for a caller, by the voices and the sound chain of the generation pipeline.

What was spoken once lies in the object storage, keyed by everything that its sound depends on: the
same text in another format, or asked again, is neither spoken nor paid for a second time.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np

from ml.exceptions import RequestError, SourceUnavailableError
from ml.generation.brief import ChannelBrief
from ml.generation.budget import Budget, ledger_of
from ml.generation.media import loudness, probe, run_ffmpeg
from ml.generation.text import clean, latin, words
from ml.generation.voice import code_version, provider_of, speak_within_budget
from ml.generation.voice_enhance import enhance
from ml.generation.voice_interface import (
    Emotion,
    Line,
    Samples,
    Take,
    VoiceProvider,
    write_wav,
)
from ml.jobs.run import Task
from ml.serving.work_schemas import VoiceAnswer, VoiceMetadata, VoiceRequest, VoiceSettings

# Of the 300 s that the task has.
_SPEECH_S, _TIMEOUT_S = 200, 60
_PAUSE_S = 0.28
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_CODECS = {
    "mp3": ("-c:a", "libmp3lame", "-q:a", "2"),
    "ogg": ("-c:a", "libvorbis", "-q:a", "5"),
    "wav": ("-c:a", "pcm_s16le"),
}
_QUALITY = "no model scores speech; loudness is measured"
_PROVIDERS = {"local": "piper"}
_EMOTIONS: dict[str, Emotion] = {"happy": "friendly", "excited": "excited", "serious": "serious"}


def synthesize(task: Task, request: Mapping[str, Any]) -> VoiceAnswer:
    """Speak the text of a request into one file.

    Raises:
        RequestError: if the provider is not set up, or the text has nothing to say aloud.
    """
    wanted = VoiceRequest.model_validate(request)
    lines = _lines(wanted)
    voice = ChannelBrief.model_fields["voice"].default
    track, payee, cost = _speech(task, _provider(wanted, voice, task), lines)
    final = _encoded(track, wanted, task.work)
    seconds, measured = probe(final).duration_s, loudness(final)
    url = task.keep(final)
    count = sum(len(words(line.text)) for line in lines)
    return VoiceAnswer(
        audio_id=task.job_id,
        audio_url=url,
        duration_seconds=round(seconds, 3),
        file_size_bytes=final.stat().st_size,
        format=wanted.format,
        quality_score=None,
        provider_used=wanted.provider,
        cost=cost,
        metadata=VoiceMetadata(
            words_count=count,
            speaking_rate=round(60 * count / seconds, 1),
            model_version=payee,
            sample_rate=wanted.sample_rate,
            integrated_lufs=_finite(measured.integrated),
            true_peak_dbtp=_finite(measured.true_peak),
        ),
        reasons={"quality_score": _QUALITY, **dict(_not_used(wanted))},
    )


def _speech(task: Task, provider: VoiceProvider, lines: Sequence[Line]) -> tuple[Path, str, float]:
    """The finished sound of lines, who spoke it, and what that cost now in dollars."""
    said = json.dumps([provider.payee, _PAUSE_S, code_version(), [astuple(line) for line in lines]])
    key = f"speech/{hashlib.sha256(said.encode()).hexdigest()}.wav"
    track = task.work / "spoken.wav"
    try:
        task.store.get_file(key, track)
    except FileNotFoundError:
        pass
    else:
        return track, provider.payee, 0.0
    task.report("speaking", 0.1)
    ledger = ledger_of(
        task.settings, video_id=f"job-{task.job_id}", stage="voice",
        budget=Budget.of_voices(task.settings),
    )  # fmt: skip
    spoken = speak_within_budget(provider, lines, task.work, _SPEECH_S, ledger)
    task.report("mastering", 0.7)
    raw = task.work / "raw.wav"
    write_wav(raw, _joined(spoken.takes), spoken.takes[0].rate)
    enhance(raw, track, _TIMEOUT_S)
    task.store.put_file(key, track)
    return track, spoken.provider, spoken.cost_usd


def _provider(wanted: VoiceRequest, voice: str, task: Task) -> VoiceProvider:
    try:
        return provider_of(_PROVIDERS.get(wanted.provider, wanted.provider), voice, task.settings)
    except SourceUnavailableError as error:
        raise RequestError(
            f"the provider {wanted.provider} is not set up here; ask for local"
        ) from error


def _lines(wanted: VoiceRequest) -> list[Line]:
    if wanted.ssml_enabled:
        raise RequestError("SSML is made here, not taken; send plain text and an emotion")
    sentences = (latin(clean(part, 1000)) for part in _SENTENCE.split(wanted.text))
    emotion = _EMOTIONS.get(wanted.emotion, "neutral")
    lines = [Line(sentence, emotion) for sentence in sentences if words(sentence)]
    if not lines:
        raise RequestError("the text has no words in Latin letters; the voices speak English")
    return lines


def _joined(takes: Sequence[Take]) -> Samples:
    pause = np.zeros(int(_PAUSE_S * takes[0].rate), dtype=np.int16)
    parts = [part for take in takes for part in (take.samples, pause)]
    return np.concatenate(parts[:-1])


def _encoded(spoken: Path, wanted: VoiceRequest, work: Path) -> Path:
    final = work / f"voice.{wanted.format}"
    run_ffmpeg(
        ["-i", str(spoken), *_filters(wanted.settings), "-ar", str(wanted.sample_rate), "-ac", "1",
         *_CODECS[wanted.format], str(final)],
        timeout_s=_TIMEOUT_S,
    )  # fmt: skip
    return final


def _filters(settings: VoiceSettings) -> list[str]:
    chain = []
    if settings.speed != 1 or settings.pitch != 1:
        chain.append(f"rubberband=tempo={settings.speed}:pitch={settings.pitch}")
    if settings.volume != 1:
        chain.append(f"volume={settings.volume}")
    return ["-af", ",".join(chain)] if chain else []


def _not_used(wanted: VoiceRequest) -> Iterator[tuple[str, str]]:
    if wanted.voice_profile is not None:
        yield "voice_profile", "each provider has the one voice of the settings"
    if wanted.emotion not in ("neutral", *_EMOTIONS):
        yield "emotion", f"no voice here sounds {wanted.emotion}"
    plain = VoiceSettings()
    for name in ("stability", "similarity_boost", "style"):
        if getattr(wanted.settings, name) != getattr(plain, name):
            yield f"settings.{name}", "no setting of the voices here"


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
