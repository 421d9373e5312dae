"""What every voice provider is asked and what it answers, and how emotions are spoken.

The mapping from emotion to pitch, rate and energy is that of the system design.
"""

from __future__ import annotations

import re
import wave
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol
from xml.sax.saxutils import escape, quoteattr

import numpy as np
from numpy.typing import NDArray

from ml.exceptions import GenerationError
from ml.generation.script import Scene, Storyboard

Emotion = Literal["neutral", "excited", "serious", "friendly", "mysterious"]
Samples = NDArray[np.int16]


@dataclass(frozen=True)
class Prosody:
    """Factors of pitch and rate, and energy from 0 to 1 with 0.5 as it is."""

    pitch: float
    rate: float
    energy: float


PROSODY: dict[Emotion, Prosody] = {
    "neutral": Prosody(1.0, 1.0, 0.5),
    "excited": Prosody(1.1, 1.15, 0.8),
    "serious": Prosody(0.95, 0.9, 0.4),
    "friendly": Prosody(1.05, 1.05, 0.6),
    "mysterious": Prosody(0.9, 0.85, 0.3),
}
# How a scene is spoken. A tone that is calm or serious makes nothing of the opening.
_BY_SCENE: dict[str, Emotion] = {
    "title": "excited", "chart": "serious", "fact": "neutral", "why": "friendly",
    "outro": "friendly",
}  # fmt: skip
_QUIET_TONES = ("calm", "serious", "neutral", "factual", "sober")


@dataclass(frozen=True)
class Line:
    """One sentence with how it is to be spoken.

    Attributes:
        emphasis: pieces of the text that are stressed.
    """

    text: str
    emotion: Emotion = "neutral"
    emphasis: tuple[str, ...] = ()


@dataclass(frozen=True)
class Take:
    """A spoken line.

    Attributes:
        word_ends: end of every word in seconds from the start of the samples, where the provider
            has aligned them.
    """

    samples: Samples
    rate: int
    word_ends: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Spoken:
    """All lines, by whom, and what that has cost."""

    provider: str
    takes: list[Take]
    cost_usd: float = 0.0
    notes: dict[str, object] = field(default_factory=dict)


class VoiceProvider(Protocol):
    """Speaks lines.

    Attributes:
        payee: provider and voice, as recorded with the video and in the ledger.
        price_usd_per_million: of characters.
        charged: characters that it may charge for so far, whatever became of their lines.
    """

    payee: str
    price_usd_per_million: float
    charged: int

    def speak(self, lines: Sequence[Line], work: Path, timeout_s: float) -> Spoken:
        """Speak every line into a take of its own.

        Raises:
            GenerationError: if it can speak nothing usable.
            ProviderError: if it does not answer and may later.
            SourceUnavailableError: if it lacks a key; the message names the variable.
        """
        ...


def lines_of(board: Storyboard, tone: str) -> list[Line]:
    """The sentences of a storyboard in order, each with an emotion."""
    return [
        Line(sentence.text, emotion_of(scene, tone), _stressed(scene, sentence.text))
        for scene in board.scenes
        for sentence in scene.sentences
    ]


def emotion_of(scene: Scene, tone: str) -> Emotion:
    """How a scene is spoken on a channel of that tone."""
    if any(word in tone.lower() for word in _QUIET_TONES):
        return "serious" if scene.kind == "chart" else "neutral"
    if "myster" in tone.lower() and scene.kind == "title":
        return "mysterious"
    return _BY_SCENE[scene.kind]


def _stressed(scene: Scene, text: str) -> tuple[str, ...]:
    from ml.generation.metadata import emphasis

    found = [*scene.emphasis, *emphasis(text)]
    return tuple(dict.fromkeys(piece for piece in found if piece in text))


def ssml(line: Line, *, voice: str = "", style: bool = False) -> str:
    """A line as SSML 1.1 (https://www.w3.org/TR/speech-synthesis11/).

    Args:
        line: to be spoken.
        voice: name of the voice, where it belongs into the document.
        style: add Azure's `mstts:express-as`, for the emotions that it has a style for.
    """
    body = _emphasised(line)
    prosody = PROSODY[line.emotion]
    if line.emotion != "neutral":
        body = (
            f'<prosody rate="{100 * prosody.rate:.0f}%" pitch="{100 * (prosody.pitch - 1):+.0f}%"'
            f' volume="{_decibels(prosody.energy):+.1f}dB">{body}</prosody>'
        )
    azure = {"excited": "excited", "serious": "serious", "friendly": "friendly"}
    if style and line.emotion in azure:
        body = f'<mstts:express-as style="{azure[line.emotion]}">{body}</mstts:express-as>'
    if voice:
        body = f"<voice name={quoteattr(voice)}>{body}</voice>"
    spaces = ' xmlns:mstts="https://www.w3.org/2001/mstts"' if style else ""
    return (
        f'<speak version="1.0" xmlns="http://www.w3.org/2001/10/synthesis"{spaces}'
        f' xml:lang="en-US">{body}</speak>'
    )


def _emphasised(line: Line) -> str:
    """The text with each piece marked once; in one pass, so that no tag is taken for text."""
    text, left = escape(line.text), {escape(piece) for piece in line.emphasis if piece}
    if not left:
        return text

    def mark(found: re.Match[str]) -> str:
        if found[0] not in left:
            return found[0]
        left.remove(found[0])
        return f'<emphasis level="moderate">{found[0]}</emphasis>'

    # The longest first: one piece may begin another.
    return re.sub("|".join(map(re.escape, sorted(left, key=len, reverse=True))), mark, text)


def _decibels(energy: float) -> float:
    """The design multiplies samples by 0.5 + energy."""
    return float(20 * np.log10(0.5 + energy))


def gain(energy: float) -> float:
    """Factor for samples."""
    return 0.5 + energy


def read_wav(path: Path) -> tuple[Samples, int]:
    """Samples and rate of a mono file of 16 bits.

    Raises:
        GenerationError: if it is none.
    """
    try:
        with wave.open(str(path), "rb") as file:
            if file.getnchannels() != 1 or file.getsampwidth() != 2:
                raise GenerationError(f"{path.name} is no mono sound of 16 bits")
            frames = file.readframes(file.getnframes())
            return np.frombuffer(frames, dtype=np.int16), file.getframerate()
    except (wave.Error, EOFError) as error:
        raise GenerationError(f"{path.name} is no WAV file: {error}") from error


def write_wav(path: Path, samples: Samples, rate: int) -> None:
    """Write a mono file of 16 bits."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
