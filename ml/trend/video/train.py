"""Train `trend_video`, measure it against the plain methods and register it."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.evidence import calibration_picture, curves_picture, errors_picture
from ml.gates import run_gate
from ml.measures import binary_measures, calibration_table
from ml.registry import cards, training
from ml.registry.releases import Candidate, Release
from ml.settings import PROJECT_ROOT, Settings, get_settings
from ml.trend.calibration import fit_calibrator
from ml.trend.video import evaluate
from ml.trend.video.baselines import Baselines
from ml.trend.video.dataset import (
    Split,
    TrendDataset,
    build_dataset,
    load_params,
    shown_in,
    split_in_time,
)
from ml.trend.video.heads import BESIDE, fit_heads, quantiles
from ml.trend.video.matrix import design_matrix, known_languages, model_input
from ml.trend.video.model import Specification, TrendModel, raw_probability

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

NAME = "trend_video"
GATE_METRIC = "auc"
_PACKAGES = ("xgboost-cpu", "xgboost", "numpy", "pandas", "scikit-learn")
# Columns of a dataset that are no features of the service.
_ENTITY = frozenset(
    {
        "video_id", "event_timestamp", "entity_day", "label_known_at", "growth_48h", "day_number",
        "growth_7d", "listed", "standing_day",
    }
)  # fmt: skip
_LIMITS = (
    "Trained on videos that stayed on a chart for at least three days: of videos that vanish"
    " sooner it has seen nothing.",
    "Learns from days 1 to {max_day_number} of a video's life on the charts and is measured on day"
    " 1; later days are an extrapolation.",
    "Says whether views grow more than usual, not whether a topic does, and nothing about videos"
    " that no chart has shown.",
    "Charts are redefined now and then (views of Shorts, the sections of the trending page): a"
    " model from before such a date must not be used after it.",
)


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
    key = training.fingerprint(dataset.digest, params, _code_digest())
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
) -> TrendModel:
    """Fit trees with early stopping on the validation part, calibrate, refit on both parts.

    The calibrator is fitted on validation forecasts of trees that have not seen those rows.

    Args:
        split: parts in time.
        params: of the model.
        required: features that may not be missing.
        losses: is filled with the log loss of each round, by part.
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
    first = trees(
        split.train,
        params["max_rounds"],
        evals=[(xgboost.DMatrix(matrix(split.validation), label=outcome), "validation")],
        early_stopping_rounds=params["early_stopping_rounds"],
        evals_result=losses,
    )
    best = first[: first.best_iteration + 1]
    unseen = raw_probability(best, matrix(split.validation))
    calibrator = fit_calibrator(unseen, outcome, params["seed"])
    rounds = max(1, round((first.best_iteration + 1) * params["refit_rounds_factor"]))
    final = trees(pd.concat([split.train, split.validation]), rounds)
    log.info("fitted %s trees, calibration: %s", rounds, calibrator.kind)
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
    model: TrendModel, everything: pd.DataFrame, split: Split, params: dict[str, Any]
) -> TrendModel:
    """The model with its further heads, learned before the same moments as the call.

    The call's calibrator may use what the 48 h growth head says, if that serves it on validation.
    """
    forests, facts, unseen = fit_heads(
        everything, (split.validation_start, split.test_start), model.matrix, params
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


def held_out(everything: pd.DataFrame, split: Split) -> pd.DataFrame:
    """First predictions of the test period, with whichever labels they have."""
    later = everything["event_timestamp"] >= split.test_start
    return everything[later & (everything["entity_day"] == 1)]


@contextmanager
def _train(
    dataset: TrendDataset, params: dict[str, Any], key: str, job: str, settings: Settings
) -> Iterator[Candidate]:
    """Check, fit and measure; the candidate's folder exists inside the context."""
    for suite in ("features_video_momentum", "features_video_standing"):
        run_gate(suite, run_id=job, as_of=dataset.as_of, settings=settings)
    run_gate(
        "training_trend_video",
        run_id=job,
        as_of=dataset.as_of,
        frame=dataset.frame,
        settings=settings,
    )
    split = split_in_time(dataset.frame, params)
    losses: dict[str, Any] = {}
    model = fit(split, params, dataset.required, losses)
    model = with_heads(model, dataset.everything, split, params)
    model = with_baselines(model, dataset.everything, split, params)
    measured = evaluate.flat(evaluate.measure(model, held_out(dataset.everything, split)))
    # Persistence forecasts growth and makes no call, which is what the gate compares.
    metrics = {method: each for method, each in measured.items() if GATE_METRIC in each}
    incumbent, figures = training.measure_champion(
        NAME, lambda champion, _: _measure(champion, split), settings
    )
    metrics |= figures
    facts = _facts(dataset, split, model)
    calibration = calibration_table(split.rising(split.test), model.predict_proba(split.test))
    groups = evaluate.by_group(model, split.test, shown_in(settings))
    example = model_input(split.test.head(5), model.specification.columns)
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "trend_video")
        yield Candidate(
            name=NAME,
            model_type="xgboost",
            fingerprint=key,
            folder=Path(folder) / "trend_video",
            loader_module="ml.trend.video.loader",
            gate_metric=GATE_METRIC,
            metrics=metrics,
            params=params,
            tags={**facts, "model_type": "xgboost", "params": json.dumps(params)},
            card=_card(dataset, facts, metrics, params, calibration) + _groups(groups),
            dataset=_logged(split, model.specification.columns),
            dataset_source=f"feast:{params['feature_service']}",
            target="rising",
            example=example,
            prediction=model.predict(split.test.head(5)),
            pip_requirements=training.installed(_PACKAGES),
            incumbent=incumbent,
            artifacts={
                "dataset.sql": dataset.query,
                "slices.json": json.dumps(groups, indent=1),
                **_pictures(model, split, calibration, losses),
            },
        )


def _measure(model: Any, split: Split) -> dict[str, float]:
    """Measure the champion on the candidate's test part, by the candidate's labels."""
    columns = tuple(model.metadata.get_input_schema().input_names())
    forecast = model.predict(model_input(split.test, columns))
    return binary_measures(
        split.rising(split.test),
        forecast["probability"].to_numpy(),
        forecast["rising"].to_numpy(),
    )


def _facts(dataset: TrendDataset, split: Split, model: TrendModel) -> dict[str, str]:
    spec = model.specification
    both = (split.train, split.validation)
    return {
        "feature_service": spec.feature_service,
        "growth_threshold": f"{spec.growth_threshold:.6f}",
        "decision_threshold": str(spec.decision_threshold),
        "calibration": spec.calibrator.kind,
        "heads_left_out": json.dumps({n: h.reason for n, h in spec.heads.items() if h.reason}),
        "breakout_threshold": f"{spec.heads['breakout'].threshold:.6f}",
        "as_of": dataset.as_of.isoformat(),
        "train_start": min(part["event_timestamp"].min() for part in both).isoformat(),
        "train_end": max(part["event_timestamp"].max() for part in both).isoformat(),
        "test_start": split.test["event_timestamp"].min().isoformat(),
        "test_end": split.test["event_timestamp"].max().isoformat(),
        "train_rows": str(len(split.train)),
        "validation_rows": str(len(split.validation)),
        "test_rows": str(len(split.test)),
        "excluded_rows": str(dataset.excluded),
        "is_synthetic": str(dataset.is_synthetic).lower(),
        "data_digest": dataset.digest,
        "code_digest": _code_digest(),
    }


def _card(
    dataset: TrendDataset,
    facts: dict[str, str],
    metrics: dict[str, dict[str, float]],
    params: dict[str, Any],
    calibration: list[tuple[float, float, int]],
) -> str:
    shared = [
        name for name in metrics["model"] if all(name in values for values in metrics.values())
    ]
    further = {k: f"{v:.4f}" for k, v in metrics["model"].items() if k not in shared}
    population = "the simulated world" if dataset.is_synthetic else "public daily charts"
    return cards.model_card(
        NAME,
        "Probability that a video's views grow, in the 48 hours after its second daily observation,"
        f" by more than the median video's (ln ratio {facts['growth_threshold']}); how much they"
        " grow in 2 and 6 days with 80 % intervals, whether that is a breakout, and whether a chart"
        f" still shows it in 2 days. Input of the content plan. Population: {population}.",
        {**facts, **further},
        {rival: {name: values[name] for name in shared} for rival, values in metrics.items()},
        [limit.format(**params) for limit in _LIMITS],
        calibration,
    )


def _groups(groups: dict[str, dict[str, dict[str, float]]]) -> str:
    """The rising call by group, as a part of the card."""
    lines = [
        "",
        "## The rising call by group",
        "| | | accuracy | auc | ece | rows |",
        "|---" * 6 + "|",
    ]
    lines += [
        f"| {kind} | {name} | {f['accuracy']:.3f} | {f['auc']:.3f} | {f['ece']:.3f}"
        f" | {f['rows']:.0f} |"
        for kind, found in groups.items()
        for name, f in found.items()
    ]
    return "\n".join([*lines, ""])


def _pictures(
    model: TrendModel,
    split: Split,
    calibration: list[tuple[float, float, int]],
    losses: dict[str, Any],
) -> dict[str, str]:
    """Calibration, errors of the growth forecast and the learning curve as SVG, by file name."""
    curves = {part: values["logloss"] for part, values in losses.items()}
    pictures = {
        "calibration.svg": calibration_picture(calibration),
        "learning_curve.svg": curves_picture(curves, "trees", "log loss of the rising call"),
    }
    if "growth_48h" in model.forests:
        said = model.predict(split.test)["growth_48h_point"].to_numpy()
        off = said - split.test["growth_48h"].to_numpy()
        pictures["errors.svg"] = errors_picture(
            off, "forecast growth in 48 h minus actual, ln ratio"
        )
    return pictures


def _logged(split: Split, columns: tuple[str, ...]) -> pd.DataFrame:
    """The training part as it is described to MLflow."""
    return model_input(split.train, columns).assign(rising=split.rising(split.train).astype(float))


def _code_digest() -> str:
    features = PROJECT_ROOT / "feature_repo" / "features.py"
    return training.code_digest(Path(__file__).parent, features)
