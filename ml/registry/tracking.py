"""The one place that opens MLflow."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ml.exceptions import ServiceUnavailableError
from ml.settings import Settings, get_settings

if TYPE_CHECKING:
    from mlflow import MlflowClient


def client(settings: Settings | None = None) -> MlflowClient:
    """Point this process at the tracking server and return a client of it.

    MLflow takes credentials from the environment only. Artifacts go through the server, so no
    object store key is needed here.

    Raises:
        ConfigurationError: if there is no tracking server.
    """
    settings = settings or get_settings()
    uri = settings.require("mlflow_tracking_uri")
    if settings.mlflow_username and settings.mlflow_password:
        os.environ["MLFLOW_TRACKING_USERNAME"] = settings.mlflow_username
        os.environ["MLFLOW_TRACKING_PASSWORD"] = settings.mlflow_password.get_secret_value()
    for name, value in (
        ("MLFLOW_DISABLE_TELEMETRY", "true"),
        ("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false"),
        ("GIT_PYTHON_REFRESH", "quiet"),
        # The default waits minutes for a server that is gone; the task's own retries do that.
        ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3"),
        ("MLFLOW_HTTP_REQUEST_TIMEOUT", "60"),
    ):
        os.environ.setdefault(name, value)
    import mlflow

    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    return mlflow.MlflowClient(uri)


@contextmanager
def reachable() -> Iterator[None]:
    """Turn MLflow's connection errors into a retriable one."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        text = str(error)
        if "API request to" in text or error.error_code == "TEMPORARILY_UNAVAILABLE":
            raise ServiceUnavailableError(f"MLflow does not answer: {text[:200]}") from error
        raise
