"""A world of voices on loopback."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from ml.settings import Settings

HOSTS = (
    "api.elevenlabs.io",
    "eastus.tts.speech.microsoft.com",
    "texttospeech.googleapis.com",
)


@pytest.fixture(autouse=True)
def no_real_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own keys must not be found: a test would spend real money."""
    for name in ("ELEVENLABS_API_KEY", "AZURE_SPEECH_KEY", "GOOGLE_TTS_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def settings(world_url: str, world_key: SecretStr) -> Settings:
    """All hosted voices, asked in the world; no database."""
    return Settings(
        world_url=world_url,
        world_key=world_key,
        provider_urls={host: f"{world_url}/{host}" for host in HOSTS},
        llm_timeout_s=0.5,
        database_url=None,
    )
