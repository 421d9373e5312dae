"""What the manifest says of where a video came from."""

from __future__ import annotations

from types import SimpleNamespace

from ml.generation.llm.catalog import BUNDLED
from ml.generation.publish import licences


def upstream(*models: str, voice: str, photos: list[dict[str, str]] = [], **video: object):  # noqa: B006
    calls = [{"model": model, "outcome": "answered"} for model in models]
    calls.append({"model": "openai/gpt", "outcome": "ProviderError"})
    return {
        "script": SimpleNamespace(metrics={"llm_calls": calls}),
        "voice": SimpleNamespace(provider=voice),
        "thumbnail": SimpleNamespace(provider="composer/pillow"),
        "video": SimpleNamespace(metrics={"stock": {"photos": photos}, **video}),
    }


def test_licences_are_of_what_the_video_was_made_with_and_of_nothing_else():
    ours = licences(upstream(f"local/{BUNDLED}", voice="piper/en_US-joe-medium"))
    assert ours["SmolLM2-135M-Instruct"] == "Apache-2.0"
    assert ours["voice en_US-joe-medium"] == "CC0"
    assert "openai/gpt" not in ours
    song = {"file": "song.ogg", "licence": "CC BY 4.0"}
    photo = {"page": "https://www.pexels.com/photo/1/", "licence": "Pexels License"}
    theirs = licences(upstream("anthropic/claude", voice="azure/x", photos=[photo], music=song))
    assert theirs["photo https://www.pexels.com/photo/1/"] == "Pexels License"
    assert theirs["music song.ogg"] == "CC BY 4.0"
    assert theirs["anthropic/claude"] == theirs["azure/x"] == "terms of its owner"
    assert not [name for name in theirs if "SmolLM2" in name or "piper" in name]
