"""Searches the parameters of the rising call: an Optuna study that is pruned and resumable.

Trials are compared on the validation part of training; the test part is not looked at. The study
lies in the database `optuna`, so a search that was killed goes on where it was, and several
machines may search at once.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy.engine import make_url

from ml.settings import Settings, get_settings
from ml.trend.video.dataset import Split, build_dataset, load_params, split_in_time
from ml.trend.video.matrix import design_matrix, known_languages
from ml.trend.video.train import call_settings, feature_columns

log = logging.getLogger(__name__)

Progress = Callable[[str], None]

_REPORT_EVERY = 20  # trees
_HEARTBEAT_S = 30
_SEARCHED = (
    "max_depth", "learning_rate", "subsample", "colsample_bytree", "min_child_weight", "reg_lambda",
)  # fmt: skip


@dataclass(frozen=True)
class Found:
    """What a search came to.

    Attributes:
        study: its name in the database.
        trials: that are over, those of earlier searches included.
        kept_loss: validation log loss of the parameters in the repository.
        loss: of the best trial.
        params: those of the repository with the best trial's.
    """

    study: str
    trials: int
    kept_loss: float
    loss: float
    params: dict[str, Any]


def search_video(
    as_of: datetime,
    seconds: float,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> Found:
    """Search on what was known at `as_of`; the same rows continue the same study.

    Args:
        as_of: "now"; no later row is used.
        seconds: after which no further trial begins.
        settings: those of the process by default.
        progress: is told each trial.

    Raises:
        TooFewRowsError: if there are too few labelled videos.
    """
    from optuna.storages import RDBStorage, RetryFailedTrialCallback

    settings, params = settings or get_settings(), load_params()
    dataset = build_dataset(as_of, params, settings)
    split = split_in_time(dataset.frame, params)
    address = make_url(settings.database("optuna")).set(drivername="postgresql+psycopg")
    storage = RDBStorage(
        address.render_as_string(hide_password=False),
        # A trial whose process was killed is tried again.
        heartbeat_interval=_HEARTBEAT_S,
        heartbeat_stale_trial_callback=RetryFailedTrialCallback(max_retry=2),
    )
    return search(split, params, dataset.digest, storage, seconds=seconds, progress=progress)


def search(
    split: Split,
    params: dict[str, Any],
    digest: str,
    storage: Any,
    *,
    seconds: float | None = None,
    trials: int | None = None,
    progress: Progress | None = None,
) -> Found:
    """Run trials until the time is over or there are enough.

    The first trial is what the repository keeps, so nothing worse on validation is ever found.

    Args:
        split: whose training and validation parts are used.
        params: those kept in the repository.
        digest: of the rows; with the parameters it names the study.
        storage: of Optuna.
        seconds: after which no further trial begins.
        trials: to run at most.
        progress: is told each trial.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    identity = json.dumps(params, sort_keys=True) + digest
    study = optuna.create_study(
        storage=storage,
        study_name=f"{params['model']}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}",
        sampler=optuna.samplers.TPESampler(seed=params["seed"]),
        pruner=optuna.pruners.MedianPruner(n_warmup_steps=2 * _REPORT_EVERY),
        direction="minimize",
        load_if_exists=True,
    )
    kept = {name: params["xgboost"][name] for name in _SEARCHED}
    study.enqueue_trial(kept, skip_if_exists=True)

    def told(study: Any, trial: Any) -> None:
        pruned = trial.state == optuna.trial.TrialState.PRUNED
        value = "pruned" if pruned else f"log loss {trial.value:.5f}"
        line = f"trial {trial.number}: {value}; best {study.best_value:.5f}"
        log.info("%s", line)
        if progress:
            progress(line)

    study.optimize(_objective(split, params), n_trials=trials, timeout=seconds, callbacks=[told])
    best = {**params["xgboost"], **study.best_params}
    first = next(t for t in study.get_trials(deepcopy=False) if t.params == kept)
    return Found(
        study=study.study_name,
        trials=sum(trial.state.is_finished() for trial in study.get_trials(deepcopy=False)),
        kept_loss=float(first.value) if first.value is not None else float("nan"),
        loss=float(study.best_value),
        params={**params, "xgboost": best},
    )


def _objective(split: Split, params: dict[str, Any]) -> Callable[[Any], float]:
    """Validation log loss of a trial's parameters; the matrices are made once."""
    import optuna
    import xgboost

    languages = known_languages(split.train)
    columns = feature_columns(split.train)
    data = [
        xgboost.DMatrix(design_matrix(part, languages, columns), label=split.rising(part))
        for part in (split.train, split.validation)
    ]

    def objective(trial: Any) -> float:
        settings = {**call_settings(params), **_suggested(trial)}
        booster = xgboost.Booster(settings, data)
        losses: list[float] = []
        for tree in range(params["max_rounds"]):
            booster.update(data[0], tree)
            losses.append(float(booster.eval(data[1]).rpartition(":")[2]))
            if tree - int(np.argmin(losses)) >= params["early_stopping_rounds"]:
                break
            if (tree + 1) % _REPORT_EVERY == 0:
                trial.report(min(losses), tree + 1)
                if trial.should_prune():
                    raise optuna.TrialPruned
        return min(losses)

    return objective


def _suggested(trial: Any) -> dict[str, Any]:
    """What is searched; all of it is under `xgboost` in the parameters."""
    return {
        "max_depth": trial.suggest_int("max_depth", 3, 10),
        "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.2, log=True),
        "subsample": trial.suggest_float("subsample", 0.4, 1.0),
        "colsample_bytree": trial.suggest_float("colsample_bytree", 0.1, 1.0),
        "min_child_weight": trial.suggest_float("min_child_weight", 1, 100, log=True),
        "reg_lambda": trial.suggest_float("reg_lambda", 0.1, 100, log=True),
    }
