"""Runs the API: worker processes, and a folder in which they add up their metrics."""

from __future__ import annotations

import logging
import os
import socket
import tempfile

from ml.exceptions import ServiceUnavailableError
from ml.settings import get_settings

log = logging.getLogger(__name__)

# What is being answered at SIGTERM may take this long to end.
_DRAIN_S = 10


def run(host: str, port: int, workers: int | None = None) -> None:
    """Serve until SIGTERM or SIGINT: no new connections then, open requests are answered.

    Args:
        host: address to listen on.
        port: port to listen on.
        workers: processes; by default those of the settings.

    Raises:
        ConfigurationError: if a setting is missing or unusable.
    """
    import uvicorn
    from uvicorn.supervisors import Multiprocess

    from ml.serving.security.keys import ensure_configured_key

    settings = get_settings()
    settings.require("redis_url")
    try:
        ensure_configured_key(settings)
    except ServiceUnavailableError as error:
        log.warning("the key of the settings is not checked: %s", error)
    with tempfile.TemporaryDirectory(prefix="ytempire-metrics-") as shared:
        # prometheus_client reads it from the environment when the workers import it.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = shared
        # The registry is looked at again soon anyway, and the last good models serve meanwhile.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        config = uvicorn.Config(
            "ml.serving.app:create_app",
            factory=True,
            host=host,
            port=port,
            # uvloop 0.23: under a burst the drain of a write to Redis never returned.
            loop="asyncio",
            workers=workers or settings.api_workers,
            access_log=False,
            # A worker that imports or loads a model is busy, not dead.
            timeout_worker_healthcheck=120,
            server_header=False,
            timeout_graceful_shutdown=_DRAIN_S,
        )
        listener = config.bind_socket()
        # Connections inherit it. asyncio sets it on none of a socket that it did not bind itself,
        # and the body of an answer then waits up to 40 ms for the delayed ACK of its head.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if config.workers > 1:
            Multiprocess(config, sockets=[listener]).run()
            return
        server = uvicorn.Server(config)
        server.run(sockets=[listener])
        if not server.started:
            raise SystemExit(uvicorn.config.STARTUP_FAILURE)
