"""The probability that a series rises: its next 48 hours above its own usual ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml.trend.topic.plain import Arrays
from ml.trend.topic.series import RISE_HOURS, Array, Windows
from ml.trend.topic.trees import (
    forest_settings,
    level,
    packed,
    series_features,
    smoothed,
    spread,
    step_features,
    unpacked,
)

_ROUNDS = 120
_MAX_WINDOWS = 12_000


def distance(windows: Windows, forecast: Array) -> Array:
    """Forecast of the next 48 hours less the threshold of a rise, in usual errors."""
    steps = RISE_HOURS * windows.steps_per_day // 24
    above = forecast[:, :steps].sum(axis=1) - windows.rise_threshold()
    return np.asarray(above / (spread(windows) * np.sqrt(steps)))


@dataclass(frozen=True)
class Rises:
    """Trees on what is known of the series, blended with the distance of its forecast.

    Attributes:
        forest: what the trees learned.
        blend: weights of the trees' log odds and of the distance, and an intercept (a logistic
            curve, Platt 1999); equal weights until `blended` has fitted them.
    """

    forest: Arrays
    blend: tuple[float, float, float] = (0.5, 0.5, 0.0)

    def probability(self, windows: Windows, forecast: Array) -> Array:
        """Probability that each window rises."""
        weights, intercept = np.array(self.blend[:2]), self.blend[2]
        return np.asarray(
            1 / (1 + np.exp(-(self._inputs(windows, forecast) @ weights + intercept)))
        )

    def blended(self, windows: Windows, forecast: Array) -> Rises:
        """Fit the blend on windows that the trees have not learned from.

        Too few rises leave it as it is. Weights are never negative: either part may be ignored,
        but not turned around.
        """
        from scipy.optimize import minimize  # type: ignore[import-untyped]

        outcome = windows.rises()
        known = ~np.isnan(outcome)
        rises = int(outcome[known].sum())
        if min(rises, int(known.sum()) - rises) < 20:
            return self
        inputs, outcome = self._inputs(windows, forecast)[known], outcome[known]

        def loss(point: Array) -> float:
            odds = inputs @ point[:2] + point[2]
            # A prior of standard deviation 1 around equal weights holds few rows in check.
            prior = 0.5 * float(((point[:2] - 0.5) ** 2).sum())
            return float(np.logaddexp(0, odds).sum() - odds @ outcome) + prior

        bounds = [(0, None), (0, None), (None, None)]
        found = minimize(loss, np.array(self.blend), method="L-BFGS-B", bounds=bounds)
        return Rises(self.forest, (float(found.x[0]), float(found.x[1]), float(found.x[2])))

    def _inputs(self, windows: Windows, forecast: Array) -> Array:
        said = unpacked(self.forest["trees"]).inplace_predict(_features(windows))
        share = np.clip(said.astype(np.float64), 1e-4, 1 - 1e-4)
        return np.column_stack([np.log(share / (1 - share)), distance(windows, forecast)])


def fit_rises(windows: Windows, seed: int) -> Rises:
    """Learn from windows whose future is known."""
    import xgboost

    outcome = windows.rises()
    use = np.flatnonzero(~np.isnan(outcome))
    use = use[:: max(1, -(-len(use) // _MAX_WINDOWS))]
    data = xgboost.QuantileDMatrix(_features(windows.only(use)), label=outcome[use])
    settings = {"objective": "binary:logistic", **forest_settings(depth=3, rate=0.05, seed=seed)}
    return Rises({"trees": packed(xgboost.train(settings, data, _ROUNDS, verbose_eval=False))})


def _features(windows: Windows) -> Array:
    """Of the series, of each of the next 2 days, and how far all is from the threshold."""
    day = windows.steps_per_day
    steps = np.arange(1, 3) if day == 1 else np.arange(6, 2 * day + 1, 12)
    threshold, error = windows.rise_threshold(), spread(windows)
    last = windows.recent(2).sum(axis=1) - threshold
    return np.column_stack(
        [
            series_features(windows),
            step_features(windows, steps).reshape(len(windows), -1),
            last / error,
            distance(windows, smoothed(windows)),
            threshold / level(windows),
        ]
    )
