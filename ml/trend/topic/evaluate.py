"""Measures of forecasts, by horizon, and which method may be registered."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ml.trend.topic.series import Array, Windows

HORIZON_DAYS = {"48h": 2, "7d": 7}
GATE_METRIC = "gain"
BEST = "best_baseline"
Figures = dict[str, float]
Table = dict[str, Figures]


def measure(windows: Windows, forecast: Array, rise_score: Array) -> Figures:
    """SMAPE, MASE by horizon and the AUC of rises.

    SMAPE is the mean of 2|f - a| / (|f| + |a|), 0 where both are 0; MASE the mean absolute error
    over the mean absolute change from a week before (Hyndman and Koehler 2006). Both count every
    step up to the horizon. A window whose series never changed has no MASE and is left out of it.

    Args:
        windows: with their futures.
        forecast: shape (windows, horizon), whole items.
        rise_score: larger where a rise is thought more likely.
    """
    scale = windows.scale()
    figures: Figures = {}
    for name, days in HORIZON_DAYS.items():
        steps = days * windows.steps_per_day
        actual, said = windows.outcome()[:, :steps], forecast[:, :steps]
        error = np.abs(said - actual)
        whole = np.abs(said) + np.abs(actual)
        figures[f"smape_{name}"] = float(
            np.nanmean(np.where(whole > 0, 2 * error / np.where(whole > 0, whole, 1), 0 * actual))
        )
        with np.errstate(invalid="ignore"):
            scaled = error[scale > 0] / scale[scale > 0, None]
        figures[f"mase_{name}"] = float(np.nanmean(scaled))
    figures["auc_rises"] = auc(windows.rises(), rise_score)
    return figures


def auc(outcome: Array, score: Array) -> float:
    """Area under the ROC curve of the rows whose outcome is known; 0.5 without both outcomes."""
    from sklearn.metrics import roc_auc_score

    known = ~np.isnan(outcome)
    if len(np.unique(outcome[known])) < 2:
        return 0.5
    return float(roc_auc_score(outcome[known], score[known]))


def with_gains(table: Mapping[str, Figures], baselines: list[str]) -> Table:
    """Add to each row how much it gains on the best baseline, at the measure where it gains least.

    A gain is the share of the best baseline's error that is saved, of an AUC the share of what it
    lacks to 1. So 0 is what somebody would have who knew the best plain method for each measure,
    the row `best_baseline`; above 0 means better than every baseline at every horizon.

    Args:
        table: figures by competitor.
        baselines: names of those rows that are baselines.
    """
    rivals = [table[name] for name in baselines if name in table]
    best = {
        name: (max if name.startswith("auc") else min)(figures[name] for figures in rivals)
        for name in _measures(rivals[0])
    }
    rows = {**table, BEST: best}
    return {
        name: {**figures, GATE_METRIC: min(gains(figures, best).values())}
        for name, figures in rows.items()
    }


def gains(figures: Figures, best: Figures) -> Figures:
    """Share of the best baseline's error that is saved, by measure."""
    return {name: _gain(name, figures[name], best[name]) for name in _measures(best)}


def _measures(figures: Figures) -> list[str]:
    return [name for name in figures if name.startswith(("smape", "mase", "auc"))]


def _gain(name: str, own: float, best: float) -> float:
    error, least = (1 - own, 1 - best) if name.startswith("auc") else (own, best)
    # A baseline without any error cannot be beaten.
    return 1 - error / least if least > 0 else min(0.0, -error)


def lost_to(figures: Figures, rivals: Mapping[str, Figures]) -> str:
    """At which horizon a method does not beat the best rival's volumes; empty if at none."""
    for measure_name in (m for m in _measures(figures) if not m.startswith("auc")):
        rival = min(rivals, key=lambda name: rivals[name][measure_name])
        if figures[measure_name] >= rivals[rival][measure_name]:
            return (
                f"{measure_name} {figures[measure_name]:.4f} against"
                f" {rivals[rival][measure_name]:.4f} of {rival}"
            )
    return ""
