"""The rising call from rolling origins: how even its figures are over time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ml.exceptions import TooFewRowsError
from ml.measures import binary_measures
from ml.trend.video.dataset import split_in_time
from ml.trend.video.train import fit

if TYPE_CHECKING:
    import pandas as pd

_MIN_FOLDS = 6


def backtest(
    frame: pd.DataFrame, params: Mapping[str, Any], folds: int = _MIN_FOLDS, share: float = 0.6
) -> dict[str, dict[str, float]]:
    """Train anew before each origin and measure the call until the next one.

    The last `share` of the rows' time is cut into folds of equally many first predictions. Each
    model learns, stops and calibrates on what was known at its origin.

    Args:
        frame: labelled rows as `build_dataset` gives them, oldest first.
        params: of the model.
        folds: number of origins, at least 6.
        share: of the first predictions that is measured on.

    Returns:
        By origin (UTC) accuracy, AUC, calibration error, Brier score and rows, oldest first.

    Raises:
        TooFewRowsError: if there are fewer folds, or a part of one has too few rows.
    """
    if folds < _MIN_FOLDS:
        raise TooFewRowsError(f"a backtest has at least {_MIN_FOLDS} folds, not {folds}")
    first = frame.loc[frame["entity_day"] == 1, "event_timestamp"]
    starts = [
        first.quantile(1 - share * (folds - fold) / folds, interpolation="nearest")
        for fold in range(folds)
    ]
    found = {}
    for start, end in zip(starts, [*starts[1:], None], strict=True):
        known = frame if end is None else frame[frame["event_timestamp"] < end]
        split = split_in_time(known, dict(params), start)
        model = fit(split, dict(params), [])
        probability = model.predict_proba(split.test)
        figures = binary_measures(split.rising(split.test), probability, probability >= 0.5)
        found[start.isoformat()] = {
            name: figures[name] for name in ("accuracy", "auc", "ece", "brier", "rows")
        }
    return found
