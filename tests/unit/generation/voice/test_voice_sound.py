"""What ffmpeg makes of speech, measured in the samples."""

from __future__ import annotations

import numpy as np
import pytest

from ml.generation.media import loudness, run_ffmpeg
from ml.generation.script import Scene, Sentence
from ml.generation.voice_enhance import SHAPE, enhance
from ml.generation.voice_interface import emotion_of, read_wav, write_wav
from ml.generation.voice_piper import with_emotion
from ml.world.providers.voice_api import hum

RATE = 22050


def level(samples) -> float:
    return float(20 * np.log10(np.sqrt(np.mean(samples.astype(float) ** 2)) + 1e-9))


@pytest.mark.parametrize("volume", [0.05, 1.0])
def test_speech_ends_at_minus_16_lufs_whatever_it_began_at(tmp_path, volume):
    sound, _ = hum("The quick brown fox jumps over the lazy dog again and again. " * 3, RATE)
    write_wav(tmp_path / "raw.wav", (sound * volume).astype(np.int16), RATE)
    final, report = enhance(tmp_path / "raw.wav", tmp_path / "out.wav", 60)
    measured = loudness(final)
    assert measured.integrated == pytest.approx(-16, abs=0.5)
    assert measured.true_peak < -1
    assert report["normalization_type"] == "linear"


def test_steady_noise_is_reduced_in_the_pauses(tmp_path):
    sound, _ = hum("The quick brown fox jumps over the lazy dog. " * 2, RATE)
    pause = np.zeros(2 * RATE, dtype=np.int16)
    clean = np.concatenate([pause, sound, pause]).astype(float)
    noise = np.random.default_rng(0).normal(0, 60, clean.size)
    write_wav(tmp_path / "raw.wav", (clean + noise).astype(np.int16), RATE)
    distance = []
    for chain in (SHAPE, ",".join(f for f in SHAPE.split(",") if not f.startswith("afftdn"))):
        target = tmp_path / "out.wav"
        arguments = ["-i", str(tmp_path / "raw.wav"), "-af", chain, "-c:a", "pcm_s16le"]
        run_ffmpeg([*arguments, str(target)], timeout_s=60)
        made, rate = read_wav(target)
        quiet = level(made[rate // 2 : rate * 3 // 2])
        distance.append(level(made[2 * rate : -2 * rate]) - quiet)
    assert distance[0] > distance[1] + 6


@pytest.mark.parametrize(
    ("emotion", "rate", "pitch"), [("excited", 1.15, 1.1), ("serious", 0.9, 0.95)]
)
def test_an_emotion_changes_rate_pitch_and_energy(tmp_path, emotion, rate, pitch):
    time = np.arange(2 * RATE) / RATE
    tone = (6000 * np.sin(2 * np.pi * 200 * time)).astype(np.int16)
    first, second = with_emotion([tone, tone], RATE, emotion, tmp_path, 30)
    loud = np.flatnonzero(np.abs(first.astype(int)) > 500)
    assert (loud[-1] - loud[0]) / RATE == pytest.approx(2 / rate, rel=0.05)
    middle = second[RATE // 2 : RATE]
    found = np.fft.rfftfreq(middle.size, 1 / RATE)[np.abs(np.fft.rfft(middle)).argmax()]
    assert found == pytest.approx(200 * pitch, abs=5)
    louder = level(first[RATE // 2 : RATE]) - level(tone)
    assert louder == pytest.approx({"excited": 2.3, "serious": -0.9}[emotion], abs=1.0)


@pytest.mark.parametrize(
    ("kind", "tone", "emotion"),
    [
        ("title", "energetic", "excited"), ("title", "calm", "neutral"),
        ("chart", "calm", "serious"), ("title", "mysterious", "mysterious"),
        ("outro", "warm", "friendly"),
    ],
)  # fmt: skip
def test_emotions_follow_the_scene_and_the_tone_of_the_channel(kind, tone, emotion):
    scene = Scene(kind=kind, heading="x", sentences=[Sentence(text="Hello.", origin="fact")])
    assert emotion_of(scene, tone) == emotion
