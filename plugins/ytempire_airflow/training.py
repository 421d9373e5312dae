"""Training a model as an Airflow task."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Asset, task

from ytempire_airflow.defaults import TRAINING_ARGS


def train_and_register(model: Asset, train: str, now: Any, *, may_lack_data: bool = True) -> Any:
    """A task that trains, measures and registers a model, and tells its asset what came of it.

    Args:
        model: the asset of the registered model.
        train: `module:function`, imported where the task runs; given `as_of`, it returns a release.
        now: return value of the DAG's task `resolve_as_of`.
        may_lack_data: skip, with the reason, where there is too little to learn from; fail
            otherwise.
    """

    @task(outlets=[model], **TRAINING_ARGS)
    def train_and_register(now: str, **context: Any) -> dict[str, Any]:
        from datetime import datetime
        from importlib import import_module

        from airflow.sdk.exceptions import AirflowSkipException

        from ml.exceptions import SourceUnavailableError, TooFewRowsError

        module, _, function = train.partition(":")
        try:
            release = getattr(import_module(module), function)(datetime.fromisoformat(now))
        except (TooFewRowsError, SourceUnavailableError) as error:
            if not may_lack_data:
                raise
            raise AirflowSkipException(str(error)) from error
        covered = {"as_of": now, **release.summary()}
        context["outlet_events"][model].extra = covered
        return covered

    return train_and_register(now)
