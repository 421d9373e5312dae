"""The providers of generation, played by a world on loopback."""

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


@pytest.fixture(scope="session")
def world_key() -> SecretStr:
    """What opens the world."""
    return SecretStr("wire-key-of-the-world")


@pytest.fixture(scope="session")
def world_url(world_key: SecretStr, tmp_path_factory) -> Iterator[str]:
    settings = Settings(
        world_key=world_key, state_dir=tmp_path_factory.mktemp("world"), world_faults=""
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
def faults(world_url: str, world_key: SecretStr) -> Iterator[Callable[[str], None]]:
    """Sets the world's fault plan; it ends with the test."""

    def plan(text: str) -> None:
        answer = httpx.put(
            f"{world_url}/admin/faults", content=text, trust_env=False,
            headers={"Authorization": f"Bearer {world_key.get_secret_value()}"},
        )  # fmt: skip
        answer.raise_for_status()

    yield plan
    plan("")
