"""Named bundles of task arguments, so that retries say why they happen."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

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
GPU_ARGS: dict[str, Any] = {"pool": "gpu", "queue": "gpu"}
