"""The voices of the world: ElevenLabs, Azure and Google, with a hum in the place of speech.

Addresses, headers, bodies and errors are those of the providers' documentation (see
`ml.generation.voice_hosted`, read 2026-11). What is said is a hum, one syllable after another,
as long as the words would take: it has onsets and pauses to be measured, and is nobody's voice.

Faults beside those of every provider: `malformed` leaves the sound out of a JSON answer, or sends
half of a WAV file's header.
"""

from __future__ import annotations

import base64
import hmac
import io
import json
import re
import wave
from typing import Any
from xml.etree import ElementTree

import numpy as np
from fastapi import APIRouter, Request, Response
from numpy.typing import NDArray

from ml.world.answers import Call, World, answer, encode, read_call

_LETTER_S, _SPACE_S = 0.055, 0.11
_PCM_RATE, _WAV_RATE = 22050, 24000
_SPEAK = "{http://www.w3.org/2001/10/synthesis}"


def router(world: World) -> APIRouter:
    """The routes of the three."""
    routes = APIRouter()
    _add_elevenlabs(routes, world)
    _add_azure(routes, world)
    _add_google(routes, world)
    return routes


def _add_elevenlabs(routes: APIRouter, world: World) -> None:
    @routes.post("/api.elevenlabs.io/v1/text-to-speech/{voice}/with-timestamps")
    async def elevenlabs(request: Request, voice: str) -> Response:  # noqa: ARG001
        call = read_call(request, world)
        refused = _refusal(call, request.headers.get("xi-api-key"), world)
        if refused:
            status, headers = refused
            told = {"detail": {"status": "error", "message": "The request is refused."}}
            return await answer(call, lambda: encode(told), status, headers)
        text = _posted(request).get("text")
        if not isinstance(text, str) or not text.strip():
            missing = {"detail": [{"loc": ["body", "text"], "msg": "Field required"}]}
            return await answer(call, lambda: encode(missing), 422)
        sound, ends = hum(text, _PCM_RATE)
        body: dict[str, Any] = {
            "audio_base64": base64.b64encode(sound.tobytes()).decode(),
            "alignment": {
                "characters": list(text),
                "character_start_times_seconds": [0.0, *ends[:-1]],
                "character_end_times_seconds": ends,
            },
            "normalized_alignment": None,
        }
        if "malformed" in call.faults:
            body.pop("audio_base64")
        return await answer(call, lambda: encode(body))


def _add_azure(routes: APIRouter, world: World) -> None:
    @routes.post("/{region}.tts.speech.microsoft.com/cognitiveservices/v1")
    async def azure(request: Request, region: str) -> Response:  # noqa: ARG001
        call = read_call(request, world)
        refused = _refusal(call, request.headers.get("Ocp-Apim-Subscription-Key"), world)
        if refused:
            return await answer(call, lambda: b"", refused[0], refused[1])
        text, named = spoken(request.state.posted.decode())
        if text is None or not named:
            return await answer(call, lambda: b"", 400)
        wav = _wav(text)
        content = wav[:20] if "malformed" in call.faults else wav
        return await answer(call, lambda: content, 200, {"Content-Type": "audio/x-wav"})


def _add_google(routes: APIRouter, world: World) -> None:
    @routes.post("/texttospeech.googleapis.com/v1/text:synthesize")
    async def google(request: Request) -> Response:
        call = read_call(request, world)
        refused = _refusal(call, request.headers.get("X-Goog-Api-Key"), world)
        if refused:
            return await _google_error(call, refused[0], refused[1])
        body = _posted(request)
        text, _ = spoken(str(body.get("input", {}).get("ssml", "")))
        if text is None or not body.get("voice", {}).get("languageCode"):
            return await _google_error(call, 400, {})
        content = base64.b64encode(_wav(text)).decode()
        told = {} if "malformed" in call.faults else {"audioContent": content}
        return await answer(call, lambda: encode(told))


def _refusal(call: Call, key: str | None, world: World) -> tuple[int, dict[str, str]] | None:
    if fault := call.status_fault():
        return fault
    known = hmac.compare_digest((key or "").encode(), world.api_key.encode())
    return None if known else (401, {})


async def _google_error(call: Call, status: int, headers: dict[str, str]) -> Response:
    names = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 429: "RESOURCE_EXHAUSTED"}
    error = {"code": status, "message": "refused", "status": names.get(status, "INTERNAL")}
    return await answer(call, lambda: encode({"error": error}), status, headers)


def _posted(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(request.state.posted)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def spoken(document: str) -> tuple[str | None, bool]:
    """The text of an SSML document, None if it is none, and whether it names a voice."""
    try:
        root = ElementTree.fromstring(document)  # noqa: S314 - loopback, and keys come first
    except ElementTree.ParseError:
        return None, False
    if root.tag != f"{_SPEAK}speak":
        return None, False
    text = re.sub(r"\s+", " ", "".join(root.itertext())).strip()
    return text or None, root.find(f".//{_SPEAK}voice") is not None


def hum(text: str, rate: int) -> tuple[NDArray[np.int16], list[float]]:
    """A hum for every letter and a pause for every space, and the end of each in seconds."""
    parts, ends, at = [], [], 0
    for n, letter in enumerate(text):
        length = int((_SPACE_S if letter.isspace() else _LETTER_S) * rate)
        time = np.arange(at, at + length) / rate
        pitch = 110 + 5 * (ord(letter) % 16)
        tone = np.sin(2 * np.pi * pitch * time) * (0.6 + 0.4 * np.sin(2 * np.pi * 6 * time))
        parts.append(np.zeros(length) if letter.isspace() else tone * (9000 + 100 * (n % 7)))
        at += length
        ends.append(round(at / rate, 4))
    return np.concatenate(parts).astype(np.int16), ends


def _wav(text: str) -> bytes:
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_WAV_RATE)
        file.writeframes(hum(text, _WAV_RATE)[0].tobytes())
    return target.getvalue()
