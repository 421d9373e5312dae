"""Named bundles of task arguments, so that retries say why they happen."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule

_STOP_ON_FATAL = RetryRule(
    exception="ml.exceptions.FatalError",
    action=RetryAction.FAIL,
    reason="a person has to change something; the message says what",
)

OWNER = "ytempire"
# A killed database or object store is back within seconds; five tries bridge about a minute.
DEFAULT_ARGS: dict[str, Any] = {
    "owner": OWNER,
    "retries": 5,
    "retry_delay": timedelta(seconds=3),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=2),
    "retry_policy": ExceptionRetryPolicy(rules=[_STOP_ON_FATAL]),
}
# A gate that failed once fails again: its verdict is about the data, not about the moment.
GATE_ARGS: dict[str, Any] = {"execution_timeout": timedelta(minutes=20)}
TRAINING_ARGS: dict[str, Any] = {
    "execution_timeout": timedelta(hours=2),
    "retries": 2,
}
# `os.nice` of work that no video waits for: what one waits for gets most of a core that both want.
GIVES_WAY = 10


def gpu_args() -> dict[str, Any]:
    """Where a stage of generation runs: pool and queue `gpu`, and under Kubernetes its pod.

    Raises:
        ConfigurationError: if the file of the pod is not readable or describes none.
    """
    from ml.settings import get_settings

    args: dict[str, Any] = {"pool": "gpu", "queue": "gpu"}
    if (path := get_settings().gpu_pod_file) is not None:
        args["executor_config"] = {"pod_override": _pod(path)}
    return args


def _pod(path: Path) -> Any:
    from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator

    from ml.exceptions import ConfigurationError

    try:
        described = yaml.safe_load(path.read_text())
        pod = PodGenerator.deserialize_model_dict(described)
        containers = [container.name for container in pod.spec.containers]
    except (OSError, yaml.YAMLError, ValueError, TypeError, AttributeError) as error:
        raise ConfigurationError(f"YTEMPIRE_GPU_POD_FILE {path} is no pod: {error}") from error
    # Airflow merges containers by their place and runs the task in the first.
    if containers[:1] != ["base"]:
        raise ConfigurationError(
            f"YTEMPIRE_GPU_POD_FILE {path}: its first container must be named base, as Airflow's is"
        )
    return pod
