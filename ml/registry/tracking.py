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

_FILES = "/mlflow-artifacts/"


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
    # With its first request MLflow imports Feast's plugin, from the inside out. A thread that
    # imports Feast from the outside at that moment gets half a module, and so does MLflow: here it
    # is imported whole, before there is a request.
    import feast  # noqa: F401
    import mlflow

    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    return mlflow.MlflowClient(uri)


@contextmanager
def reachable() -> Iterator[None]:
    """Turn MLflow's connection errors, and those of the store behind it, into a retriable one."""
    from mlflow.exceptions import MlflowException
    from requests.exceptions import HTTPError

    try:
        yield
    except (MlflowException, HTTPError) as error:
        if not _is_outage(error):
            raise
        text = " ".join(str(error).split())
        # Files go through the server: where it answers, what fails is behind it.
        is_store = _FILES in text and "Connection refused" not in text
        what = "the object store behind MLflow" if is_store else "MLflow"
        raise ServiceUnavailableError(f"{what} does not answer: {text[:200]}") from error


def _is_outage(error: Exception) -> bool:
    from requests.exceptions import HTTPError

    if isinstance(error, HTTPError):
        return error.response is not None and error.response.status_code >= 500
    code = getattr(error, "error_code", "")
    return "API request to" in str(error) or code == "TEMPORARILY_UNAVAILABLE"
