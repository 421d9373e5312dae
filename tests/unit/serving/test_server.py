"""How the API listens."""

from __future__ import annotations

import socket

import pytest
import uvicorn

from ml.serving import server
from ml.serving.security import keys
from ml.settings import Settings

_SET_BY_IT = (
    "PROMETHEUS_MULTIPROC_DIR", "MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT"
)  # fmt: skip


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """Neither Redis nor Postgres; what is set in the environment is taken back."""
    settings = Settings(redis_url="redis://127.0.0.1:9/0")
    monkeypatch.setattr(server, "get_settings", lambda: settings)
    monkeypatch.setattr(keys, "ensure_configured_key", lambda settings: None)
    for name in _SET_BY_IT:
        monkeypatch.setenv(name, "1")


def test_no_answer_waits_for_a_delayed_ack(monkeypatch):
    found = []

    def run(self, sockets):
        [listener] = sockets
        listener.listen()
        with socket.create_connection(listener.getsockname()), listener.accept()[0] as accepted:
            found.append(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        self.started = True

    monkeypatch.setattr(uvicorn.Server, "run", run)
    server.run("127.0.0.1", 0, workers=1)
    assert found == [1]


def test_a_server_that_does_not_start_ends_with_an_error(monkeypatch):
    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: None)
    with pytest.raises(SystemExit):
        server.run("127.0.0.1", 0, workers=1)
