"""Train `trend_video`, measure it against the plain methods and register it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from ml.evidence import curves_picture
from ml.registry import training
from ml.registry.checkpoints import Arrays, Checkpoints, array_booster, booster_array
from ml.registry.releases import Candidate, Release
from ml.settings import Settings, get_settings
from ml.trend.calibration import fit_calibrator
from ml.trend.video.baselines import Baselines
from ml.trend.video.candidate import Trained, as_candidate, check_rows, code_digest, measure_call
from ml.trend.video.dataset import Split, TrendDataset, build_dataset, load_params, split_in_time
from ml.trend.video.heads import BESIDE, fit_heads, quantiles
from ml.trend.video.matrix import design_matrix, known_languages
from ml.trend.video.model import Specification, TrendModel, raw_probability

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

NAME = "trend_video"
# Columns of a dataset that are no features of the service.
_ENTITY = frozenset(
    {
        "video_id", "event_timestamp", "entity_day", "label_known_at", "growth_48h", "day_number",
        "growth_7d", "listed", "standing_day",
    }
)  # fmt: skip


def train_video(
    as_of: datetime, settings: Settings | None = None, params: dict[str, Any] | None = None
) -> Release:
    """Train, measure and register `trend_video` on what was known at `as_of`.

    The same data, parameters and code give the version that exists already.

    Args:
        as_of: "now"; no later row is used.
        settings: those of the process by default.
        params: those kept in the repository by default.

    Raises:
        TooFewRowsError: if there are too few labelled videos.
        GateError: if the features or the training rows are not fit for use.
        MissingFeatureError: if a row lacks a required feature.
    """
    settings = settings or get_settings()
    params = params or load_params()
    dataset = build_dataset(as_of, params, settings)
    key = training.fingerprint(dataset.digest, params, code_digest())
    return training.train_once(
        NAME,
        key,
        lambda job: _train(dataset, params, key, job, settings),
        method="xgboost",
        data_digest=dataset.digest,
        params=params,
        settings=settings,
    )


def fit(
    split: Split,
    params: dict[str, Any],
    required: list[str],
    losses: dict[str, Any] | None = None,
    checkpoints: Checkpoints | None = None,
) -> TrendModel:
    """Fit trees with early stopping on the validation part, calibrate, refit on both parts.

    The calibrator is fitted on validation forecasts of trees that have not seen those rows.

    Args:
        split: parts in time.
        params: of the model.
        required: features that may not be missing.
        losses: is filled with the log loss of each round, by part.
        checkpoints: of this training.
    """
    import pandas as pd
    import xgboost

    columns = feature_columns(split.train)
    languages = known_languages(split.train)

    def matrix(part: pd.DataFrame) -> Any:
        return design_matrix(part, languages, columns)

    def trees(part: pd.DataFrame, rounds: int, **options: Any) -> Any:
        data = xgboost.DMatrix(matrix(part), label=split.rising(part))
        if "evals" in options:
            options["evals"] = [(data, "training"), *options["evals"]]
        return xgboost.train(call_settings(params), data, rounds, verbose_eval=False, **options)

    outcome = split.rising(split.validation)

    def boosted() -> Arrays:
        history: dict[str, Any] = {}
        first = trees(
            split.train,
            params["max_rounds"],
            evals=[(xgboost.DMatrix(matrix(split.validation), label=outcome), "validation")],
            early_stopping_rounds=params["early_stopping_rounds"],
            evals_result=history,
        )
        best = first[: first.best_iteration + 1]
        rounds = max(1, round((first.best_iteration + 1) * params["refit_rounds_factor"]))
        final = trees(pd.concat([split.train, split.validation]), rounds)
        return {
            "best": booster_array(best),
            "final": booster_array(final),
            **{part: np.array(values["logloss"]) for part, values in history.items()},
        }

    kept = (checkpoints or Checkpoints()).arrays("rising", boosted)
    best, final = array_booster(kept["best"]), array_booster(kept["final"])
    if losses is not None:
        losses.update({part: kept[part].tolist() for part in ("training", "validation")})
    unseen = raw_probability(best, matrix(split.validation))
    calibrator = fit_calibrator(unseen, outcome, params["seed"])
    log.info("fitted %s trees, calibration: %s", final.num_boosted_rounds(), calibrator.kind)
    specification = Specification(
        feature_service=params["feature_service"],
        columns=columns,
        required=tuple(name for name in required if name in columns),
        languages=languages,
        growth_threshold=split.growth_threshold,
        decision_threshold=0.5,
        calibrator=calibrator,
    )
    model = TrendModel(final, specification)
    model.unseen = unseen
    return model


def feature_columns(frame: pd.DataFrame) -> tuple[str, ...]:
    """Columns of a dataset that are features of the service, in order."""
    return tuple(name for name in frame.columns if name not in _ENTITY)


def call_settings(params: dict[str, Any]) -> dict[str, Any]:
    """What XGBoost is told for the rising call."""
    return {
        "objective": "binary:logistic",
        "eval_metric": "logloss",
        "tree_method": "hist",
        "seed": params["seed"],
        **params["xgboost"],
    }


def with_heads(
    model: TrendModel,
    everything: pd.DataFrame,
    split: Split,
    params: dict[str, Any],
    checkpoints: Checkpoints | None = None,
) -> TrendModel:
    """The model with its further heads, learned before the same moments as the call.

    The call's calibrator may use what the 48 h growth head says, if that serves it on validation.
    """
    forests, facts, unseen = fit_heads(
        everything, (split.validation_start, split.test_start), model.matrix, params, checkpoints
    )
    for name, head in facts.items():
        if head.reason:
            log.warning("no %s: %s", name, head.reason)
    spec = replace(model.specification, heads=facts)
    beside = quantiles(unseen, BESIDE["rising"], model.matrix(split.validation))
    if model.unseen is not None and beside is not None:
        outcome = split.rising(split.validation)
        spec = replace(
            spec, calibrator=fit_calibrator(model.unseen, outcome, params["seed"], beside)
        )
        log.info("calibration with the heads: %s", spec.calibrator.kind)
    return TrendModel(model.booster, spec, forests)


def with_baselines(
    model: TrendModel, everything: pd.DataFrame, split: Split, params: dict[str, Any]
) -> TrendModel:
    """The model with the plain methods beside it, fitted on the training part."""
    spec = model.specification
    fitted = Baselines.fit(split, everything, spec.heads, spec.columns, params["seed"])
    return TrendModel(model.booster, spec, model.forests, fitted)


@contextmanager
def _train(
    dataset: TrendDataset, params: dict[str, Any], key: str, job: training.Job, settings: Settings
) -> Iterator[Candidate]:
    """Check, fit and measure; the candidate's folder exists inside the context."""
    check_rows(dataset, job.id, settings)
    split = split_in_time(dataset.frame, params)
    losses: dict[str, Any] = {}
    model = fit(split, params, dataset.required, losses, job.checkpoints)
    model = with_heads(model, dataset.everything, split, params, job.checkpoints)
    model = with_baselines(model, dataset.everything, split, params)
    incumbent, rivals = training.measure_champion(
        NAME, lambda champion, _: measure_call(champion, split), settings
    )
    picture = curves_picture(losses, "trees", "log loss of the rising call")
    trained = Trained(
        NAME, model, dataset, split, params, rivals, incumbent,
        artifacts={"learning_curve.svg": picture},
    )  # fmt: skip
    with as_candidate(trained, key, settings) as candidate:
        yield candidate
