"""Training a model, putting it through the gates and deciding on it, as Airflow tasks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from airflow.sdk import Asset, task

from ytempire_airflow.assets import RELEASE_CANDIDATES
from ytempire_airflow.defaults import GIVES_WAY, TRAINING_ARGS


def train_and_register(
    model: Asset,
    train: str,
    now: Any,
    *,
    may_lack_data: bool = True,
    videos_wait: bool = False,
    watched_by: Asset | None = None,
) -> Any:
    """Tasks that train and register a model, validate the version, and decide on it.

    The last one tells the asset of the model what came of it. A version that needs a person or a
    canary is handed over to `roll_out_model`.

    Args:
        model: the asset of the registered model, named after it.
        train: `module:function`, imported where the task runs; given `as_of`, it returns a release.
        now: return value of the DAG's task `resolve_as_of`.
        may_lack_data: skip, with the reason, where there is too little to learn from; fail
            otherwise.
        videos_wait: no video is planned before this training has ended: it does not wait for those
            of other models, which run one at a time and leave it the processor.
        watched_by: the asset by which drift and decay ask for a training. Where they alone train
            (`YTEMPIRE_TRAIN_ON=drift`), a run that something else has started keeps the champion,
            and announces it, so that it scores and is watched on what is new.
    """
    pool = "training_first" if videos_wait else "training"

    @task(multiple_outputs=False, pool=pool, **TRAINING_ARGS)
    def train_and_register(now: str, **context: Any) -> dict[str, Any]:
        from datetime import datetime
        from importlib import import_module

        from airflow.sdk.exceptions import AirflowSkipException

        from ml.exceptions import SourceUnavailableError, TooFewRowsError
        from ml.settings import get_settings

        os.nice(0 if videos_wait else GIVES_WAY)
        module, _, function = train.partition(":")
        apart = get_settings().model_copy(update={"settle_after_training": False})
        kept = _kept_champion(model.name, watched_by, context)
        try:
            release = kept or getattr(import_module(module), function)(
                datetime.fromisoformat(now), apart
            )
        except (TooFewRowsError, SourceUnavailableError) as error:
            if not may_lack_data:
                raise
            raise AirflowSkipException(str(error)) from error
        return {"as_of": now, **release.summary()}

    @task(pool=pool)
    def validate(trained: dict[str, Any]) -> list[str]:
        """Every criterion that the version does not meet."""
        if trained["decision"]:
            return []
        from ml.registry import promotion

        return promotion.judge(trained["model"], str(trained["mlflow_version"]))

    @task(outlets=[model])
    def decide(trained: dict[str, Any], _failures: list[str], **context: Any) -> dict[str, Any]:
        decided = trained
        if not trained["decision"]:
            from ml.registry import promotion

            actor = f"{context['dag'].dag_id} {context['run_id']}"
            version = str(trained["mlflow_version"])
            release = promotion.settle(trained["model"], version, actor)
            decided = trained | release.summary() | {"reused": trained["reused"]}
        context["outlet_events"][model].extra = decided
        return decided

    @task(outlets=[RELEASE_CANDIDATES])
    def hand_over(trained: dict[str, Any], decided: dict[str, Any], **context: Any) -> None:
        from airflow.sdk.exceptions import AirflowSkipException

        # What had its decision before this run was handed over then.
        waits = decided["decision"] in ("needs_approval", "needs_rollout")
        if not waits or trained["decision"]:
            raise AirflowSkipException(f"nothing to roll out: {decided['decision']}")
        context["outlet_events"][RELEASE_CANDIDATES].extra = {
            name: decided[name] for name in ("model", "version", "decision")
        }

    trained: Any = train_and_register(now)
    failures: Any = validate(trained)
    decided: Any = decide(trained, failures)
    hand_over(trained, decided)
    return decided


def skip_without_champion(name: str) -> None:
    """Skip the task that asks, where nothing answers yet: a refused version is no fault.

    Raises:
        AirflowSkipException: if the model has no champion.
    """
    from airflow.sdk.exceptions import AirflowSkipException

    from ml.registry import releases

    if releases.champion(name) is None:
        raise AirflowSkipException(f"no version of {name} has passed its gates yet")


def _kept_champion(name: str, watched_by: Asset | None, context: Mapping[str, Any]) -> Any:
    """The champion, where only drift trains and has not asked; None where to train."""
    from dataclasses import replace

    from ml.registry import releases
    from ml.settings import get_settings

    only_drift = watched_by is not None and get_settings().train_on == "drift"
    if not only_drift or is_asked_for(watched_by, context):
        return None
    champion = releases.champion(name)
    return champion and replace(champion, reused=True)


def is_asked_for(request: Asset | None, context: Mapping[str, Any]) -> bool:
    """Whether a person, or an event of this asset, has started the run.

    Args:
        request: the asset whose events ask.
        context: of the task.
    """
    run_type = str(getattr(context["dag_run"].run_type, "value", context["dag_run"].run_type))
    return run_type != "asset_triggered" or bool(context["triggering_asset_events"].get(request))
