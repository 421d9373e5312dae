"""Health checks: each raises when its service does not answer and returns a short detail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx

from ml.exceptions import ServiceUnavailableError
from ml.settings import Settings
from ml.storage.objects import ObjectStore
from ml.storage.postgres import connect, transaction

_TIMEOUT_S = 5.0
# A stream looks every few seconds and pushes at once what it finds; longer is an outage.
_STREAM_WITHIN_S = 60.0
_STREAM = """
select
    extract(epoch from now() - looked.updated_at),
    extract(epoch from now() - pushed.updated_at),
    looked.cursor ->> 'through' <> pushed.cursor ->> 'through',
    looked.cursor -> 'rows',
    case
        when waiting.updated_at > coalesce(looked.updated_at, '-infinity')
            then waiting.cursor ->> 'reason'
    end
from (select %s as source) as asked
left join ops.cursors as looked on looked.source = asked.source and looked.stream = 'updates'
left join ops.cursors as pushed on pushed.source = asked.source and pushed.stream = 'pushed'
left join ops.cursors as waiting on waiting.source = asked.source and waiting.stream = 'waiting'
"""


class ProviderAwaitedError(ServiceUnavailableError):
    """A service is well, and waits for somebody else's."""


def postgres(settings: Settings) -> str:
    """Log in and read the version."""
    with connect(settings.require("database_url")) as connection:
        row = connection.execute("show server_version").fetchone()
    return f"PostgreSQL {row[0]}" if row else "PostgreSQL"


def redis(settings: Settings) -> str:
    """Log in and ping."""
    import redis as client_library

    try:
        with client_library.Redis.from_url(
            settings.require("redis_url"), socket_timeout=_TIMEOUT_S
        ) as client:
            client.ping()
            info: dict[str, Any] = client.info("memory")
    except client_library.RedisError as error:
        raise ServiceUnavailableError(f"Redis: {error}") from error
    return f"{info['used_memory_human']} used"


def objects(settings: Settings) -> str:
    """Read a key that is not there, which needs a login and a working store."""
    ObjectStore(settings).exists(settings.bucket("bronze"), "health")
    return "S3 answers"


def world(settings: Settings) -> str:
    """Ask the simulated world for its health."""
    _get(f"{settings.require('world_url')}/health")
    return "synthetic data"


def mlflow(settings: Settings) -> str:
    """Ask the tracking server for its health and check the login."""
    uri = settings.require("mlflow_tracking_uri")
    _get(f"{uri}/health")
    login = None
    if settings.mlflow_password:
        login = (settings.require("mlflow_username"), settings.require("mlflow_password"))
    _get(f"{uri}/api/2.0/mlflow/experiments/search?max_results=1", auth=login)
    return "login works"


def airflow(part: str) -> Callable[[Settings], str]:
    """Check of one Airflow component, by the heartbeat it writes."""

    def check(settings: Settings) -> str:
        status = _get(f"{settings.require('airflow_url')}/api/v2/monitor/health").json()
        component = "metadatabase" if part == "api-server" else part.replace("-", "_")
        status = status[component]
        if status["status"] != "healthy":
            raise ServiceUnavailableError(f"airflow {part} is {status['status'] or 'not running'}")
        return "healthy"

    return check


def api(url: str) -> Callable[[Settings], str]:
    """Check of the HTTP API: it answers; whether it has models is only told."""

    def check(_settings: Settings) -> str:
        _get(f"{url}/health")
        try:
            state = httpx.get(f"{url}/ready", timeout=_TIMEOUT_S).json()
        except (httpx.HTTPError, ValueError):
            return "answers"
        serving = [each["model_id"] for each in state["models"] if each["model_id"]]
        if state["ready"]:
            return f"serves {', '.join(serving)}"
        return f"answers; {'; '.join(state['problems'].values()) or 'still loading'}"[:200]

    return check


def stream(source: str) -> Callable[[Settings], str]:
    """Check of the consumer of a stream, by the offsets that it moves."""

    def check(settings: Settings) -> str:
        with transaction(settings.require("database_url")) as conn:
            row = conn.execute(_STREAM, (source,)).fetchone()
        looked, pushed, is_behind, rows, reason = row or (None, None, None, None, None)
        if reason and (looked is None or looked > _STREAM_WITHIN_S):
            raise ProviderAwaitedError(f"waiting for provider: {reason}")
        if looked is None:
            raise ServiceUnavailableError(f"the stream of {source} has not brought anything yet")
        if looked > _STREAM_WITHIN_S:
            raise ServiceUnavailableError(f"{source} has not answered for {looked:.0f} s")
        if is_behind and pushed > _STREAM_WITHIN_S:
            raise ServiceUnavailableError(f"nothing has been pushed online for {pushed:.0f} s")
        if pushed is None:
            return "listens, nothing has come yet"
        return f"pushed {pushed:.0f} s ago, {rows} rows so far"

    return check


def _get(url: str, auth: tuple[str, str] | None = None) -> httpx.Response:
    try:
        response = httpx.get(url, timeout=_TIMEOUT_S, auth=auth)
        response.raise_for_status()
    except httpx.HTTPError as error:
        raise ServiceUnavailableError(f"{httpx.URL(url).host}: {error}") from error
    return response
