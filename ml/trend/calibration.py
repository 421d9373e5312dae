"""Maps raw probabilities to calibrated ones, by whichever curve fits best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_MIN_ISOTONIC_ROWS = 1000


@dataclass(frozen=True)
class Calibrator:
    """Maps a raw probability to a calibrated one.

    Attributes:
        kind: `identity`, `platt` (a logistic curve on the log odds, Platt 1999), `isotonic` (a
            monotone step curve, Zadrozny and Elkan 2002) or `stacked` (a logistic regression on
            the log odds and on other forecasts beside them, Wolpert 1992).
        xs: slope and intercept of the curve for `platt`, knots for `isotonic`; for `stacked` those
            of `platt` and then a weight for each forecast beside.
        ys: values at the knots.
    """

    kind: str
    xs: tuple[float, ...] = ()
    ys: tuple[float, ...] = ()

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Calibrator:
        """One of the values that `dataclasses.asdict` gave, lists for tuples."""
        return cls(values["kind"], tuple(values["xs"]), tuple(values["ys"]))

    def __call__(self, raw: Array, beside: Array | None = None) -> Array:
        """Calibrate probabilities.

        Args:
            raw: uncalibrated, shape (n,).
            beside: other forecasts of the same rows, shape (n, m); only `stacked` reads them.

        Raises:
            ValueError: if it is stacked and there are none.
        """
        if self.kind == "stacked":
            if beside is None:
                raise ValueError("a stacked probability needs the forecasts beside it")
            slope, intercept, *weights = self.xs
            margin = slope * log_odds(raw) + beside @ np.array(weights) + intercept
            return np.asarray(1 / (1 + np.exp(-margin)))
        if self.kind == "platt":
            slope, intercept = self.xs
            return np.asarray(1 / (1 + np.exp(-(slope * log_odds(raw) + intercept))))
        if self.kind == "isotonic":
            return np.asarray(np.interp(raw, self.xs, self.ys))
        return raw


def fit_calibrator(
    raw: Array, outcome: npt.NDArray[Any], seed: int, beside: Array | None = None
) -> Calibrator:
    """Choose among none, Platt, isotonic and stacked by cross-validated log loss on these rows.

    `best_calibrator` also says that loss.
    """
    return best_calibrator(raw, outcome, seed, beside)[0]


def best_calibrator(
    raw: Array, outcome: npt.NDArray[Any], seed: int, beside: Array | None = None
) -> tuple[Calibrator, float]:
    """The curve that `fit_calibrator` chooses, and its cross-validated log loss.

    Args:
        raw: uncalibrated probabilities, shape (n,).
        outcome: 0 or 1.
        seed: of the folds.
        beside: other forecasts, shape (n, m); without them nothing is stacked.
    """
    from sklearn.metrics import log_loss
    from sklearn.model_selection import StratifiedKFold

    kinds = ["identity", "platt"]
    if len(raw) >= _MIN_ISOTONIC_ROWS:
        kinds.append("isotonic")
    if beside is not None:
        kinds.append("stacked")
    others = np.zeros((len(raw), 0)) if beside is None else beside
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    losses = dict.fromkeys(kinds, 0.0)
    for fit, check in folds.split(raw.reshape(-1, 1), outcome):
        for kind in kinds:
            curve = _calibrator(kind, raw[fit], outcome[fit], others[fit])
            calibrated = curve(raw[check], others[check])
            losses[kind] += float(log_loss(outcome[check], calibrated, labels=[0, 1]))
    best = min(losses, key=lambda kind: losses[kind])
    return _calibrator(best, raw, outcome, others), losses[best] / folds.get_n_splits()


def _calibrator(kind: str, raw: Array, outcome: npt.NDArray[Any], beside: Array) -> Calibrator:
    if kind == "stacked":
        from sklearn.linear_model import LogisticRegression

        stacked = LogisticRegression().fit(np.column_stack([log_odds(raw), beside]), outcome)
        slope, *weights = (float(weight) for weight in stacked.coef_[0])
        return Calibrator("stacked", (slope, float(stacked.intercept_[0]), *weights))
    if kind == "platt":
        from sklearn.linear_model import LogisticRegression

        fitted = LogisticRegression(C=1e6).fit(log_odds(raw).reshape(-1, 1), outcome)
        return Calibrator("platt", (float(fitted.coef_[0, 0]), float(fitted.intercept_[0])))
    if kind == "isotonic":
        from sklearn.isotonic import IsotonicRegression

        curve = IsotonicRegression(out_of_bounds="clip", y_min=0.005, y_max=0.995)
        curve.fit(raw, outcome)
        xs, ys = curve.X_thresholds_, curve.y_thresholds_
        return Calibrator("isotonic", tuple(map(float, xs)), tuple(map(float, ys)))
    return Calibrator("identity")


def log_odds(probability: Array) -> Array:
    """ln(p / (1 - p)), with p kept away from 0 and 1."""
    clipped = np.clip(probability, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(clipped / (1 - clipped)))
