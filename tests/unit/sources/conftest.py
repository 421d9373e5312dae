"""A real world server on loopback; the connectors talk to it as they would to the provider."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pybreaker
import pytest
import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr

from ml.settings import Settings
from ml.sources.access import Access, new_breaker
from ml.sources.base import Interval, Page, Source
from ml.sources.quota import FULL, Level
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
        "world_key": SecretStr(KEY),
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
        config = uvicorn.Config(app, log_level="critical", access_log=False, date_header=False)
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


def fetch(
    source: Source, interval: Interval, cursor: Mapping[str, Any] | None = None, level: Level = FULL
) -> list[Page]:
    """All pages of an interval, from a world that is asked about its end."""
    access = Access(source.settings, level=level, at=interval.end, breaker=own_breaker())
    return list(source.fetch(interval, cursor, access))


def own_breaker() -> Callable[[str], pybreaker.CircuitBreaker]:
    """Breakers of one fetch: a test that provokes failures does not trip those of the next."""
    storages: dict[str, pybreaker.CircuitMemoryStorage] = {}

    def breaker(host: str) -> pybreaker.CircuitBreaker:
        closed = pybreaker.STATE_CLOSED
        return new_breaker(host, storages.setdefault(host, pybreaker.CircuitMemoryStorage(closed)))

    return breaker


@pytest.fixture
def day() -> Interval:
    start = datetime(2026, 1, 10, tzinfo=UTC)
    return Interval(start, start + timedelta(days=1))
