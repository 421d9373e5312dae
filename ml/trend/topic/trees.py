"""One forest for all series: quantiles of the next 7 days, and whether a series rises."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from ml.trend.topic.plain import Arrays, Smoothing
from ml.trend.topic.series import WEEK, Array, Windows

QUANTILES = (0.1, 0.5, 0.9)
_WEEKS = 8
_MEANS = (1, 2, 3, 7, 14, 28, 56)
_SMOOTHING = (0.1, 0.3, 0.6)


def level(windows: Windows) -> Array:
    """What a series' volumes are divided by: their mean over 28 days, and a half."""
    return np.asarray(windows.recent(28).mean(axis=1) + 0.5)


def series_features(windows: Windows) -> Array:
    """What is said of a window whatever the step, shape (windows, features), scale-free."""
    day, own = windows.steps_per_day, level(windows)
    past = windows.recent(_WEEKS * WEEK)
    daily = past.reshape(len(past), -1, day).sum(axis=2) / day
    scaled = past / own[:, None]
    columns = [scaled[:, -days * day :].mean(axis=1) for days in _MEANS]
    columns += [scaled[:, -lag] for lag in (1, 2, 3)]
    for alpha in _SMOOTHING:
        weights = alpha * (1 - alpha) ** np.arange(daily.shape[1])[::-1]
        columns.append((daily / own[:, None]) @ weights / weights.sum())
    month = daily[:, -28:]
    columns += [
        month.std(axis=1) / own,
        month.max(axis=1) / own,
        (month == 0).mean(axis=1),
        (month[:, -1:] >= month).mean(axis=1),
        (daily[:, -7:].mean(axis=1) - daily[:, -14:-7].mean(axis=1)) / own,
        np.minimum(np.argmax(past[:, ::-1] > 0, axis=1) / day, 28),
        np.log(own),
    ]
    return np.column_stack(columns)


def step_features(windows: Windows, steps: Any) -> Array:
    """What is said of each step ahead, shape (windows, steps, features).

    Args:
        windows: what is known.
        steps: which steps ahead, 1 is the next.
    """
    day, week, own = windows.steps_per_day, windows.horizon, level(windows)
    ahead = np.asarray(steps)
    past = windows.history[:, -_WEEKS * week :] / own[:, None]
    weeks = past.reshape(len(past), _WEEKS, week)[:, :, (ahead - 1) % week]
    with warnings.catch_warnings():
        # A slice of which nothing is known stays unknown; the trees can take it.
        warnings.simplefilter("ignore", RuntimeWarning)
        same_phase = [weeks[:, -k] for k in (1, 2, 3, 4)]
        same_phase += [np.nanmean(weeks, axis=1), np.nanmedian(weeks, axis=1)]
        hours = past[:, -week:].reshape(len(past), WEEK, day)[:, :, (ahead - 1) % day]
        same_hour = np.nanmean(hours, axis=1)
    moment = windows.origin[:, None] + ahead[None, :]
    calendar = [(moment // day + 3) % WEEK, moment % day, np.broadcast_to(ahead, moment.shape)]
    return np.stack([*same_phase, same_hour, *calendar], axis=2)


def design(windows: Windows, steps: Any) -> Array:
    """Both kinds of features, shape (windows * steps, features), by window, then step."""
    per_step = step_features(windows, steps)
    shape = (*per_step.shape[:2], -1)
    per_series = np.broadcast_to(series_features(windows)[:, None, :], (*shape[:2], _count()))
    base = smoothed(windows)[:, np.asarray(steps) - 1, None] / level(windows)[:, None, None]
    return np.concatenate([per_step, base, per_series], axis=2).reshape(shape[0] * shape[1], -1)


def smoothed(windows: Windows) -> Array:
    """What exponential smoothing says: the learned methods say how far it is off."""
    return Smoothing().forecast({}, windows)


def spread(windows: Windows) -> Array:
    """The size of a usual error: the square root of the level, for volumes are counts."""
    return np.asarray(np.sqrt(level(windows)))


def _count() -> int:
    return len(_MEANS) + 3 + len(_SMOOTHING) + 7


@dataclass(frozen=True)
class Trees:
    """XGBoost on the quantiles of how far smoothing is off; the median is the forecast.

    Attributes:
        rounds: trees per quantile.
        rate: learning rate.
        depth: of a tree.
        max_rows: rows to learn from; more are thinned evenly.
        seed: of row sampling.
    """

    rounds: int = 120
    rate: float = 0.05
    depth: int = 4
    max_rows: int = 40_000
    seed: int = 42

    def fit(self, windows: Windows) -> Arrays:
        """Learn from windows whose future is known."""
        import xgboost

        steps = self._steps(windows)
        off = windows.outcome()[:, steps - 1] - smoothed(windows)[:, steps - 1]
        target = (off / spread(windows)[:, None]).ravel()
        use = np.flatnonzero(~np.isnan(target))
        use = use[:: max(1, -(-len(use) // self.max_rows))]
        data = xgboost.QuantileDMatrix(design(windows, steps)[use], label=target[use])
        settings = {
            "objective": "reg:quantileerror",
            "quantile_alpha": np.array(QUANTILES),
            **forest_settings(depth=self.depth, rate=self.rate, seed=self.seed),
        }
        return {"trees": packed(xgboost.train(settings, data, self.rounds, verbose_eval=False))}

    def forecast(self, arrays: Arrays, windows: Windows) -> Array:
        """Medians, shape (windows, horizon)."""
        return self.quantiles(arrays, windows)[:, :, 1]

    def quantiles(self, arrays: Arrays, windows: Windows) -> Array:
        """10 %, 50 % and 90 %, shape (windows, horizon, 3)."""
        steps = np.arange(1, windows.horizon + 1)
        said = unpacked(arrays["trees"]).inplace_predict(design(windows, steps))
        said = np.sort(said.reshape(len(windows), len(steps), len(QUANTILES)), axis=2)
        off = said.astype(np.float64) * spread(windows)[:, None, None]
        return np.asarray(np.maximum(smoothed(windows)[:, :, None] + off, 0))

    def _steps(self, windows: Windows) -> Any:
        """All days of a week; of hours about two a day, so that every hour of the day is met."""
        return np.arange(1, windows.horizon + 1, 1 if windows.steps_per_day == 1 else 11)


def forest_settings(*, depth: int, rate: float, seed: int) -> dict[str, Any]:
    """Options of XGBoost; sampling of rows and columns holds small panels in check."""
    return {
        "tree_method": "hist",
        "max_depth": depth,
        "learning_rate": rate,
        "min_child_weight": 20,
        "subsample": 0.7,
        "colsample_bytree": 0.5,
        "seed": seed,
        "nthread": 1,
    }


def packed(booster: Any) -> Any:
    """XGBoost's own JSON as plain bytes: reading it runs no code."""
    return np.frombuffer(bytes(booster.save_raw("json")), dtype=np.uint8)


def unpacked(data: Any) -> Any:
    """The forest that `packed` made bytes of; read once, for that takes longer than an answer."""
    return _read(data.tobytes())


@lru_cache(maxsize=8)
def _read(raw: bytes) -> Any:
    import xgboost

    booster = xgboost.Booster()
    booster.load_model(bytearray(raw))
    booster.set_param({"nthread": 1})
    return booster
