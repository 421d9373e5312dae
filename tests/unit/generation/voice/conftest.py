"""A world of voices on loopback."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import httpx
import pytest
import uvicorn
from pydantic import SecretStr

from ml.settings import Settings
from ml.world.server import create_app

KEY = "wire-key-of-the-voices"
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


@pytest.fixture(scope="package")
def world_url(tmp_path_factory) -> Iterator[str]:
    settings = Settings(
        world_key=SecretStr(KEY), state_dir=tmp_path_factory.mktemp("world"), world_faults=""
    )
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(create_app(settings), log_level="critical", access_log=False)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join(10)


@pytest.fixture
def faults(world_url: str) -> Iterator[Callable[[str], None]]:
    """Sets the world's fault plan; it ends with the test."""

    def plan(text: str) -> None:
        answer = httpx.put(
            f"{world_url}/admin/faults", content=text, trust_env=False,
            headers={"Authorization": f"Bearer {KEY}"},
        )  # fmt: skip
        answer.raise_for_status()

    yield plan
    plan("")


@pytest.fixture
def settings(world_url: str) -> Settings:
    """All hosted voices, asked in the world; no database."""
    return Settings(
        world_url=world_url,
        world_key=SecretStr(KEY),
        provider_urls={host: f"{world_url}/{host}" for host in HOSTS},
        llm_timeout_s=0.5,
        database_url=None,
    )
