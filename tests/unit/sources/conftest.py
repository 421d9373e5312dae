"""A real world server on loopback; the connectors talk to it as they would to the provider."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr

from ml.settings import Settings
from ml.sources.base import Interval
from ml.world.server import create_app

KEY = "test-key-1234567890"


@dataclass(frozen=True)
class LiveWorld:
    url: str
    settings: Settings

    def set_faults(self, plan: str) -> None:
        answer = httpx.put(
            f"{self.url}/admin/faults",
            content=plan,
            headers={"Authorization": f"Bearer {KEY}"},
            trust_env=False,
        )
        assert answer.status_code == 200, answer.text


def world_settings(url: str, **changes: object) -> Settings:
    values: dict[str, object] = {
        "world_url": url,
        "youtube_base_url": f"{url}/youtube/v3",
        "hackernews_base_url": f"{url}/hn/v0",
        "youtube_api_key": SecretStr(KEY),
        "youtube_regions": ("US", "IN"),
        "world_seed": 7,
        "world_faults": "",
    }
    return Settings(**(values | changes))


@contextmanager
def serve(app: FastAPI) -> Iterator[str]:
    """Run an app for the length of a `with` block; gives its URL."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_level="critical", access_log=False)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        deadline = time.monotonic() + 20
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.01)
        assert server.started
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)


@pytest.fixture(scope="session")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    state = tmp_path_factory.mktemp("state")
    settings = world_settings("http://127.0.0.1", state_dir=Path(state))
    with serve(create_app(settings)) as url:
        yield url


@pytest.fixture
def world(_server: str, tmp_path: Path) -> LiveWorld:
    live = LiveWorld(_server, world_settings(_server, state_dir=tmp_path))
    live.set_faults("")
    return live


@pytest.fixture
def day() -> Interval:
    start = datetime(2026, 1, 10, tzinfo=UTC)
    return Interval(start, start + timedelta(days=1))
