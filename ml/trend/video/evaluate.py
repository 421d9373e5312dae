"""Measures of a probability forecast, and the plain methods it has to beat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ml.trend.video.heads import mean_relative_squared_error
from ml.trend.video.model import design_matrix, linear_growth

if TYPE_CHECKING:
    import pandas as pd

    from ml.trend.video.dataset import Split

Array = npt.NDArray[np.float64]


def expected_calibration_error(
    outcome: npt.NDArray[Any], probability: Array, bins: int = 10
) -> float:
    """Mean gap between forecast and frequency over equal-width bins (Naeini et al. 2015)."""
    bin_of = np.clip((probability * bins).astype(int), 0, bins - 1)
    gaps = 0.0
    for index in np.unique(bin_of):
        inside = bin_of == index
        gaps += inside.mean() * abs(outcome[inside].mean() - probability[inside].mean())
    return float(gaps)


def measure(
    outcome: npt.NDArray[Any], probability: Array, decision: npt.NDArray[np.bool_]
) -> dict[str, float]:
    """Accuracy, F1, precision, recall of the decision; AUC, Brier score and calibration error."""
    from sklearn.metrics import (
        accuracy_score,
        brier_score_loss,
        precision_recall_fscore_support,
        roc_auc_score,
    )

    precision, recall, f1, _ = precision_recall_fscore_support(
        outcome, decision, average="binary", zero_division=0
    )
    return {
        "accuracy": float(accuracy_score(outcome, decision)),
        "auc": float(roc_auc_score(outcome, probability)),
        "brier": float(brier_score_loss(outcome, probability)),
        "ece": expected_calibration_error(outcome, probability),
        "precision": float(precision),
        "recall": float(recall),
        "f1": float(f1),
        "rows": float(len(outcome)),
    }


def baselines(split: Split, columns: tuple[str, ...], seed: int) -> dict[str, dict[str, float]]:
    """Measure five plain methods on the test part.

    Always-up; linear extrapolation; a constant factor (Szabo and Huberman 2010), which says the
    same of every video; a log-linear forecast from views and growth; logistic regression. The two
    forecasts have `growth_48h_mrse` as well; the constant is the one that minimises it.

    All are fitted on the training part, on the first prediction of each video where one number is
    fitted.
    """
    train = split.train[split.train["entity_day"] == 1]
    outcome = split.rising(split.test)
    share = float(split.rising(train).mean())
    always = np.full(len(outcome), share)
    logistic = _logistic(split, columns, seed)
    return {
        "always_up": measure(outcome, always, np.ones(len(outcome), dtype=bool)),
        "linear_extrapolation": _linear(split, train, outcome),
        **_forecasts(split, train, outcome),
        "logistic_regression": measure(outcome, logistic, logistic >= 0.5),
    }


def _linear(split: Split, train: pd.DataFrame, outcome: npt.NDArray[Any]) -> dict[str, float]:
    """The views gained in the last day continue; from where that means rising is fitted."""
    from sklearn.linear_model import LogisticRegression

    fitted = _extrapolated(train)
    threshold = best_threshold(fitted, split.rising(train))
    curve = LogisticRegression(C=1e6, random_state=0).fit(
        fitted.reshape(-1, 1), split.rising(train)
    )
    extrapolated = _extrapolated(split.test)
    probability = curve.predict_proba(extrapolated.reshape(-1, 1))[:, 1]
    return measure(outcome, probability, extrapolated >= threshold)


def _forecasts(
    split: Split, train: pd.DataFrame, outcome: npt.NDArray[Any]
) -> dict[str, dict[str, float]]:
    """The constant factor and the log-linear forecast of the growth, and the calls they make."""
    from sklearn.linear_model import LinearRegression, LogisticRegression

    grown, actual = train["growth_48h"].to_numpy(), split.test["growth_48h"].to_numpy()

    def inputs(part: pd.DataFrame) -> Array:
        known = part[["log_views", "log_growth_1d"]]
        return np.asarray(known.fillna(train[list(known)].median()), dtype=np.float64)

    line = LinearRegression().fit(inputs(train), grown)
    fitted, predicted = line.predict(inputs(train)), line.predict(inputs(split.test))
    curve = LogisticRegression(C=1e6).fit(fitted.reshape(-1, 1), split.rising(train))
    factor = np.log(np.mean(np.exp(-grown)) / np.mean(np.exp(-2 * grown)))
    constant = np.full(len(outcome), factor)
    share = np.full(len(outcome), float(split.rising(train).mean()))
    calls = {
        "szabo_huberman": (constant, share),
        "log_linear": (predicted, curve.predict_proba(predicted.reshape(-1, 1))[:, 1]),
    }
    return {
        name: {
            **measure(outcome, probability, growth > split.growth_threshold),
            "growth_48h_mrse": mean_relative_squared_error(growth, actual),
        }
        for name, (growth, probability) in calls.items()
    }


def _extrapolated(frame: pd.DataFrame) -> Array:
    growth = linear_growth(frame["log_growth_1d"], frame["hours_since_previous"])
    # Nothing is known about a video without a growth: it gets the middle of the others.
    return np.asarray(growth.fillna(growth.median()), dtype=np.float64)


def best_threshold(score: Array, outcome: npt.NDArray[Any]) -> float:
    """The score from which calling 1 is right most often on these rows."""
    order = np.argsort(score, kind="stable")
    ranked, hits = score[order], outcome[order]
    # Calling 1 from position i on is right for the ones after it and the zeros before it.
    right = (
        np.concatenate(([0], np.cumsum(1 - hits)))
        + hits.sum()
        - np.concatenate(([0], np.cumsum(hits)))
    )
    best = int(np.argmax(right))
    return float(ranked[best]) if best < len(ranked) else float(ranked[-1]) + 1.0


def _logistic(split: Split, columns: tuple[str, ...], seed: int) -> Array:
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    pipeline = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
        StandardScaler(),
        LogisticRegression(max_iter=500, random_state=seed),
    )

    # Codes are no quantities: a linear model must not see them as such.
    def matrix(part: pd.DataFrame) -> pd.DataFrame:
        return design_matrix(part, {}, columns).drop(columns=["language_code", "category_id"])

    pipeline.fit(matrix(split.train), split.rising(split.train))
    return np.asarray(pipeline.predict_proba(matrix(split.test))[:, 1], dtype=np.float64)


def calibration_table(
    outcome: npt.NDArray[Any], probability: Array, bins: int = 10
) -> list[tuple[float, float, int]]:
    """Per equal-width bin that holds rows: mean forecast, observed share, number of rows."""
    bin_of = np.clip((probability * bins).astype(int), 0, bins - 1)
    masks = [bin_of == index for index in np.unique(bin_of)]
    return [
        (float(probability[mask].mean()), float(outcome[mask].mean()), int(mask.sum()))
        for mask in masks
    ]
