"""Hosted voices: ElevenLabs, Azure and Google, over their REST interfaces.

* ElevenLabs: https://elevenlabs.io/docs/api-reference/text-to-speech/convert-with-timestamps
* Azure: https://learn.microsoft.com/azure/ai-services/speech-service/rest-text-to-speech
* Google: https://cloud.google.com/text-to-speech/docs/reference/rest/v1/text/synthesize

(all read 2026-11). Each line is one request. A failed one is repeated as `llm.retry` says; a line
that was answered is not asked again within a run.
"""

from __future__ import annotations

import base64
import binascii
import io
import time
import wave
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ml.exceptions import ProviderError, SourceUnavailableError
from ml.generation import hosted
from ml.generation.llm.retry import retrying
from ml.generation.llm.wire import Address, address
from ml.generation.voice_interface import PROSODY, Line, Spoken, Take, ssml
from ml.settings import Settings

if TYPE_CHECKING:
    import httpx

_RATE = 22050  # of ElevenLabs' PCM


class _HostedVoice(ABC):
    """What the three have in common: one request a line, and what its failures mean."""

    name = ""
    price_usd_per_million = 0.0

    def __init__(self, address_: Address, voice: str, settings: Settings) -> None:
        self._address, self._voice, self._settings = address_, voice, settings
        self.payee, self.charged = f"{self.name}/{voice}", 0
        self.sleep: Callable[[float], None] = time.sleep

    def speak(self, lines: Sequence[Line], work: Path, timeout_s: float) -> Spoken:  # noqa: ARG002
        """Speak every line, within `timeout_s` altogether."""
        deadline = time.monotonic() + timeout_s
        with hosted.client(self._address, self._settings) as client:
            takes = [self._take(client, line, deadline) for line in lines]
        cost = self.charged * self.price_usd_per_million / 1e6
        return Spoken(self.payee, takes, round(cost, 6))

    def _take(self, client: httpx.Client, line: Line, deadline: float) -> Take:
        def once() -> Take:
            if time.monotonic() > deadline:
                raise SourceUnavailableError(f"{self.name} takes too long; another voice is asked")
            return self._read(self._send(client, line), line)

        return retrying(self.sleep)(once)

    def _send(self, client: httpx.Client, line: Line) -> httpx.Response:
        import httpx

        try:
            answer = self._ask(client, line)
        except httpx.TimeoutException:
            self.charged += len(line.text)  # it may have spoken all the same
            raise ProviderError(f"{self.name}: no answer in time") from None
        except httpx.HTTPError as error:
            raise ProviderError(f"{self.name}: {type(error).__name__}; retry later") from None
        if answer.status_code != 200:
            fix = f"check {self._address.variable} and the voice's name"
            raise hosted.refusal(self.name, answer, fix)
        self.charged += len(line.text)
        return answer

    @abstractmethod
    def _ask(self, client: httpx.Client, line: Line) -> httpx.Response:
        """Send one line to the provider."""

    @abstractmethod
    def _read(self, answer: httpx.Response, line: Line) -> Take:
        """The take in its answer."""


class ElevenLabsVoice(_HostedVoice):
    """ElevenLabs; its answers carry the time of every character."""

    name = "elevenlabs"
    price_usd_per_million = 100.0  # API price of the multilingual model, read 2026-11

    def _ask(self, client: httpx.Client, line: Line) -> httpx.Response:
        prosody = PROSODY[line.emotion]
        return client.post(
            f"{self._address.url}/{self._voice}/with-timestamps",
            params={"output_format": f"pcm_{_RATE}"},
            headers={"xi-api-key": self._address.key},
            json={
                "text": line.text,
                "model_id": self._settings.elevenlabs_model,
                "voice_settings": {
                    "stability": round(1.0 - prosody.energy / 2, 2),
                    "similarity_boost": 0.85,
                    "style": prosody.energy,
                    "speed": min(1.2, max(0.7, prosody.rate)),
                },
            },
        )

    def _read(self, answer: httpx.Response, line: Line) -> Take:
        body = _json(answer, self.name)
        times = (body.get("alignment") or {}).get("character_end_times_seconds")
        samples = np.frombuffer(_audio(body, "audio_base64", self.name), dtype="<i2")
        return Take(samples.astype(np.int16), _RATE, word_ends(line.text, times))


class AzureVoice(_HostedVoice):
    """Azure's neural voices, by SSML with styles."""

    name = "azure"
    price_usd_per_million = 16.0

    def _ask(self, client: httpx.Client, line: Line) -> httpx.Response:
        return client.post(
            self._address.url,
            headers={
                "Ocp-Apim-Subscription-Key": self._address.key,
                "Content-Type": "application/ssml+xml",
                "X-Microsoft-OutputFormat": "riff-24khz-16bit-mono-pcm",
                "User-Agent": "ytempire",
            },
            content=ssml(line, voice=self._voice, style=True).encode(),
        )

    def _read(self, answer: httpx.Response, line: Line) -> Take:  # noqa: ARG002
        return _riff(answer.content, self.name)


class GoogleVoice(_HostedVoice):
    """Google's voices, by SSML."""

    name = "google"
    price_usd_per_million = 16.0

    def _ask(self, client: httpx.Client, line: Line) -> httpx.Response:
        return client.post(
            self._address.url,
            headers={"X-Goog-Api-Key": self._address.key},
            json={
                "input": {"ssml": ssml(line)},
                "voice": {"languageCode": self._voice[:5], "name": self._voice},
                "audioConfig": {"audioEncoding": "LINEAR16", "sampleRateHertz": 24000},
            },
        )

    def _read(self, answer: httpx.Response, line: Line) -> Take:  # noqa: ARG002
        body = _json(answer, self.name)
        return _riff(_audio(body, "audioContent", self.name), self.name)


def elevenlabs(settings: Settings) -> ElevenLabsVoice:
    """ElevenLabs, if there is a key."""
    url = "https://api.elevenlabs.io/v1/text-to-speech"
    where = address(settings, url, "elevenlabs_api_key")
    return ElevenLabsVoice(where, settings.elevenlabs_voice, settings)


def azure(settings: Settings) -> AzureVoice:
    """Azure, if there is a key."""
    host = f"{settings.azure_speech_region}.tts.speech.microsoft.com"
    where = address(settings, f"https://{host}/cognitiveservices/v1", "azure_speech_key")
    return AzureVoice(where, settings.azure_voice, settings)


def google(settings: Settings) -> GoogleVoice:
    """Google, if there is a key."""
    url = "https://texttospeech.googleapis.com/v1/text:synthesize"
    return GoogleVoice(
        address(settings, url, "google_tts_api_key"), settings.google_voice, settings
    )


HOSTED: dict[str, Callable[[Settings], _HostedVoice]] = {
    "elevenlabs": elevenlabs,
    "azure": azure,
    "google": google,
}


def word_ends(text: str, times: Sequence[float] | None) -> tuple[float, ...] | None:
    """Ends of words from the ends of their characters; None unless there is one a character."""
    if times is None or len(times) != len(text):
        return None
    last = [
        n for n, c in enumerate(text) if not c.isspace() and (text[n + 1 : n + 2] or " ").isspace()
    ]
    return tuple(float(times[n]) for n in last)


def _json(answer: httpx.Response, name: str) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise ProviderError(f"{name}: a broken answer; retry later")
    return body


def _audio(body: dict[str, Any], field: str, name: str) -> bytes:
    try:
        sound = base64.b64decode(body[field], validate=True)
    except (KeyError, TypeError, binascii.Error):
        sound = b""
    if len(sound) < 2:
        raise ProviderError(f"{name}: an answer without sound; retry later")
    return sound[: len(sound) // 2 * 2]


def _riff(content: bytes, name: str) -> Take:
    try:
        with wave.open(io.BytesIO(content)) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
            return Take(samples.astype(np.int16), file.getframerate())
    except (wave.Error, EOFError, ValueError):
        raise ProviderError(f"{name}: a broken answer; retry later") from None
