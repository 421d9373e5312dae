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
        kind: `identity`, `platt` (a logistic curve on the log odds, Platt 1999) or `isotonic`
            (a monotone step curve, Zadrozny and Elkan 2002).
        xs: slope and intercept of the curve for `platt`, knots for `isotonic`.
        ys: values at the knots.
    """

    kind: str
    xs: tuple[float, ...] = ()
    ys: tuple[float, ...] = ()

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Calibrator:
        """One of the values that `dataclasses.asdict` gave, lists for tuples."""
        return cls(values["kind"], tuple(values["xs"]), tuple(values["ys"]))

    def __call__(self, raw: Array) -> Array:
        """Calibrate probabilities."""
        if self.kind == "platt":
            slope, intercept = self.xs
            return np.asarray(1 / (1 + np.exp(-(slope * log_odds(raw) + intercept))))
        if self.kind == "isotonic":
            return np.asarray(np.interp(raw, self.xs, self.ys))
        return raw


def fit_calibrator(raw: Array, outcome: npt.NDArray[Any], seed: int) -> Calibrator:
    """Choose among none, Platt and isotonic by the cross-validated log loss on these rows."""
    from sklearn.metrics import log_loss
    from sklearn.model_selection import StratifiedKFold

    kinds = ["identity", "platt"]
    if len(raw) >= _MIN_ISOTONIC_ROWS:
        kinds.append("isotonic")
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    losses = dict.fromkeys(kinds, 0.0)
    for fit, check in folds.split(raw.reshape(-1, 1), outcome):
        for kind in kinds:
            calibrated = _calibrator(kind, raw[fit], outcome[fit])(raw[check])
            losses[kind] += float(log_loss(outcome[check], calibrated, labels=[0, 1]))
    return _calibrator(min(losses, key=lambda kind: losses[kind]), raw, outcome)


def _calibrator(kind: str, raw: Array, outcome: npt.NDArray[Any]) -> Calibrator:
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
