"""A world on loopback, for clients that cannot be handed an app."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr

from ml.settings import Settings
from ml.world.server import create_app

KEY = "wire-key"


@contextmanager
def serve(app: FastAPI) -> Iterator[str]:
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


@pytest.fixture
def live_world(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Starts worlds with other settings; gives their URLs."""
    with ExitStack() as running:

        def start(**changes: object) -> str:
            values = {"world_key": SecretStr(KEY), "state_dir": tmp_path, "world_faults": ""}
            return running.enter_context(serve(create_app(Settings(**(values | changes)))))

        yield start
