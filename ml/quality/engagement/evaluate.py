"""How well scores order videos by their engagement relative to their channel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ml.evidence import svg
from ml.quality.engagement.label import channel_size

if TYPE_CHECKING:
    import pandas as pd

Array = npt.NDArray[np.float64]

GATE_METRIC = "spearman"
_MIN_SLICE = 100
_LARGEST = 8


def measure(label: Array, scores: Array) -> dict[str, float]:
    """Spearman's correlation, R2, and AUC of the upper third against the lower third.

    A constant score orders nothing: correlation 0, AUC 0.5.
    """
    import pandas as pd
    from sklearn.metrics import r2_score, roc_auc_score

    flat = bool(np.ptp(scores) == 0)
    lower, upper = thirds(label)
    ends = lower | upper
    return {
        "spearman": 0.0
        if flat
        else float(np.corrcoef(pd.Series(label).rank(), pd.Series(scores).rank())[0, 1]),
        "r2": float(r2_score(label, scores)),
        "auc_thirds": float(roc_auc_score(upper[ends], scores[ends])),
    }


def thirds(label: Array) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which rows are in the lower, and which in the upper third."""
    low, high = np.quantile(label, [1 / 3, 2 / 3])
    return label <= low, label >= high


def coverage(label: Array, reference: Any, scores: Array) -> float:
    """Share of labels inside the interval."""
    inside = (label >= scores + reference.below) & (label <= scores + reference.above)
    return float(inside.mean())


def slices(rows: pd.DataFrame, scores: Array) -> dict[str, dict[str, dict[str, float]]]:
    """Measures by language, category, channel size and, where rows have one, country.

    Of the largest groups with at least 100 rows.
    """
    import pandas as pd

    sizes = pd.qcut(channel_size(rows), 3, labels=["small", "middle", "large"], duplicates="drop")
    groups = {
        "language": rows["language"],
        "category": rows["category_id"].map(lambda c: "unknown" if np.isnan(c) else str(int(c))),
        "channel_size": pd.Series(sizes).astype(str),
    }
    if "country" in rows:
        groups["country"] = rows["country"].fillna("unknown")
    label, found = rows["label"].to_numpy(), {}
    for name, values in groups.items():
        counts = values.value_counts()
        kept = counts[counts >= _MIN_SLICE].index[:_LARGEST]
        masks = {str(value): (values == value).to_numpy() for value in kept}
        found[name] = {
            value: {**measure(label[mask], scores[mask]), "rows": float(mask.sum())}
            for value, mask in masks.items()
        }
    return found


def calibration(label: Array, scores: Array, bins: int = 10) -> list[tuple[float, float, int]]:
    """Mean score, mean label and rows of bins with equally many rows."""
    order = np.array_split(np.argsort(scores, kind="stable"), min(bins, len(scores)))
    return [(float(scores[b].mean()), float(label[b].mean()), len(b)) for b in order if len(b)]


def pictures(label: Array, scores: Array, curve: list[tuple[int, float]]) -> dict[str, str]:
    """Calibration, errors and the learning curve as SVG, by file name."""

    def calibrated(axes: Any) -> None:
        expected, observed, _ = zip(*calibration(label, scores), strict=True)
        axes.plot(expected, observed, "o-")
        axes.axline((0, 0), slope=1, color="grey", linewidth=0.8)
        axes.set(xlabel="mean expected", ylabel="mean label", title="Calibration by tenths")

    def errors(axes: Any) -> None:
        axes.hist(label - scores, bins=50)
        axes.set(xlabel="label minus expected", ylabel="videos", title="Errors on the test part")

    def learning(axes: Any) -> None:
        rows, values = zip(*curve, strict=True)
        axes.plot(rows, values, "o-")
        axes.set(xlabel="training videos", ylabel="Spearman, test part", title="Learning curve")

    return {
        "calibration.svg": svg(calibrated),
        "errors.svg": svg(errors),
        "learning_curve.svg": svg(learning),
    }
