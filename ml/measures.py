"""Measures that models and checks share, and a picture of calibration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_BINS = 10


def binary_measures(
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


def ranking_measures(outcome: npt.NDArray[Any], score: Array) -> dict[str, float]:
    """How well a score orders: `auc` and `average_precision`."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    return {
        "auc": float(roc_auc_score(outcome, score)),
        "average_precision": float(average_precision_score(outcome, score)),
    }


def growth_measures(predicted: Array, actual: Array) -> dict[str, float]:
    """Of natural logarithms of ratios: `mrse`, `median_abs_log_error` and `spearman`."""
    import pandas as pd

    constant = np.ptp(predicted) == 0 or np.ptp(actual) == 0  # which orders nothing
    rank = 0.0 if constant else pd.Series(predicted).corr(pd.Series(actual), method="spearman")
    return {
        "mrse": mean_relative_squared_error(predicted, actual),
        "median_abs_log_error": float(np.median(np.abs(predicted - actual))),
        "spearman": float(rank),
    }


def mean_relative_squared_error(predicted: Array, actual: Array) -> float:
    """mean((predicted / actual - 1)^2), of natural logarithms of ratios."""
    return float(np.mean((np.exp(predicted - actual) - 1) ** 2))


def expected_calibration_error(
    outcome: npt.NDArray[Any], probability: Array, bins: int = _BINS
) -> float:
    """Mean gap between forecast and frequency over equal-width bins (Naeini et al. 2015)."""
    table = calibration_table(outcome, probability, bins)
    return sum(rows * abs(share - mean) for mean, share, rows in table) / len(outcome)


def calibration_table(
    outcome: npt.NDArray[Any], probability: Array, bins: int = _BINS
) -> list[tuple[float, float, int]]:
    """Per equal-width bin that holds rows: mean forecast, observed share, number of rows."""
    bin_of = np.clip((probability * bins).astype(int), 0, bins - 1)
    masks = [bin_of == index for index in np.unique(bin_of)]
    return [
        (float(probability[mask].mean()), float(outcome[mask].mean()), int(mask.sum()))
        for mask in masks
    ]


def draw_calibration(tables: dict[str, list[tuple[float, float, int]]], path: Path) -> None:
    """Draw observed shares over forecasts, a curve a table, into an image file.

    Args:
        tables: what `calibration_table` gives, by the name in the legend.
        path: its suffix says the format (png, svg, pdf).

    Raises:
        ValueError: if the suffix is none that can be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 6), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.7", linestyle="--", label="as often as said")
    for name, table in tables.items():
        means, shares, rows = (np.array(column) for column in zip(*table, strict=True))
        axes.plot(means, shares, linewidth=1, label=f"{name} ({rows.sum():,} rows)")
        axes.scatter(means, shares, s=8 + 150 * rows / rows.sum())
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="forecast", ylabel="happened", aspect="equal")
    axes.set_title("Calibration; a point's size is its share of the rows", fontsize=10)
    axes.legend(loc="upper left")
    figure.savefig(path, dpi=120)


def technical_score(passed: Sequence[bool]) -> float:
    """1 where every measurement is within its limit, else 0.8 less 0.1 for each further failure."""
    failures = len(passed) - sum(passed)
    return 1.0 if failures == 0 else round(max(0.0, 0.8 - 0.1 * (failures - 1)), 4)
