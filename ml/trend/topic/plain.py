"""Methods that look at one series alone: the baselines, AutoETS and Prophet."""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ml.trend.topic.series import Array, Windows

# What a fitted method keeps: arrays by name.
Arrays = dict[str, npt.NDArray[Any]]


class Forecaster(Protocol):
    """One way to forecast; what it learns is arrays, so that a saved one is plain data."""

    def fit(self, windows: Windows) -> Arrays:
        """Learn from windows whose future is known."""
        ...

    def forecast(self, arrays: Arrays, windows: Windows) -> Array:
        """Volumes of the next 7 days, shape (windows, horizon)."""
        ...


@dataclass(frozen=True)
class SeasonalNaive:
    """The next week is the last one."""

    def fit(self, windows: Windows) -> Arrays:  # noqa: ARG002 - learns nothing
        """Nothing to learn."""
        return {}

    def forecast(self, arrays: Arrays, windows: Windows) -> Array:  # noqa: ARG002
        """The volumes of the last 7 days."""
        return windows.recent(7)


@dataclass(frozen=True)
class SevenWeekMedian:
    """The median of the same weekday and hour in the last 7 weeks."""

    def fit(self, windows: Windows) -> Arrays:  # noqa: ARG002 - learns nothing
        """Nothing to learn."""
        return {}

    def forecast(self, arrays: Arrays, windows: Windows) -> Array:  # noqa: ARG002
        """Medians over what is known of 7 weeks."""
        weeks = windows.history[:, -7 * windows.horizon :].reshape(len(windows), 7, -1)
        unknown = np.asarray(np.isnan(weeks).all(axis=1))
        filled = np.where(unknown[:, None, :], windows.recent(7)[:, None, :], weeks)
        return np.asarray(np.nanmedian(filled, axis=1))


@dataclass(frozen=True)
class LastGrowth:
    """The growth of the last 48 hours over the 48 before goes on for 48 hours, then stays.

    One is added to both volumes, so that a series that comes from nothing has a growth too.
    """

    def fit(self, windows: Windows) -> Arrays:  # noqa: ARG002 - learns nothing
        """Nothing to learn."""
        return {}

    def forecast(self, arrays: Arrays, windows: Windows) -> Array:  # noqa: ARG002
        """The last 48 hours, times their growth, again and again."""
        span = 2 * windows.steps_per_day
        last = windows.recent(2)
        before = windows.recent(4)[:, :span]
        growth = (last.sum(axis=1) + 1) / (before.sum(axis=1) + 1)
        repeated = np.tile(last, (1, windows.horizon // span + 1))[:, : windows.horizon]
        return np.asarray(repeated * growth[:, None])


@dataclass(frozen=True)
class AutoEts:
    """Exponential smoothing with the form chosen by AICc (Hyndman et al. 2002).

    Attributes:
        days: of history that it sees.
    """

    days: int = 84

    def fit(self, windows: Windows) -> Arrays:  # noqa: ARG002 - fits each series when asked
        """Nothing to learn before the series is there."""
        return {}

    def forecast(self, arrays: Arrays, windows: Windows) -> Array:  # noqa: ARG002
        """The means of the chosen model; a constant series stays constant."""
        from statsforecast.models import AutoETS

        season = 7 if windows.steps_per_day == 1 else 24
        answer = SevenWeekMedian().forecast({}, windows)
        for row, series in enumerate(_known_part(windows, self.days)):
            if len(series) < 2 * season or np.ptp(series) == 0:
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                said = AutoETS(season_length=season).forecast(series, windows.horizon)["mean"]
            if np.isfinite(said).all():
                answer[row] = said
        return answer


@dataclass(frozen=True)
class Smoothing:
    """Exponential smoothing of all series at once, each with the rates that erred least on it.

    The additive forms of the same family as AutoETS (level; level and season), over a grid of
    rates instead of an optimiser, so that a thousand series take milliseconds.

    Attributes:
        days: of history that it sees.
        rates: of the level.
        seasonal_rates: of the season; there is a form without a season as well.
        penalty: share of squared error that a season has to save.
    """

    days: int = 84
    rates: tuple[float, ...] = (0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9)
    seasonal_rates: tuple[float, ...] = (0.05, 0.15)
    penalty: float = 0.1

    def fit(self, windows: Windows) -> Arrays:  # noqa: ARG002 - fits each series when asked
        """Nothing to learn before the series is there."""
        return {}

    def forecast(self, arrays: Arrays, windows: Windows) -> Array:  # noqa: ARG002
        """The level and season of the best rates, never below 0."""
        past = windows.recent(self.days if windows.steps_per_day == 1 else self.days // 4)
        season = 7 if windows.steps_per_day == 1 else 24
        best = np.full(len(past), np.inf)
        answer = np.zeros((len(past), windows.horizon))
        for rate in self.rates:
            for seasonal_rate in (None, *self.seasonal_rates):
                error, ahead = _smooth(past, season, rate, seasonal_rate, windows.horizon)
                error = error * (1 if seasonal_rate is None else 1 + self.penalty)
                better = error < best
                best = np.where(better, error, best)
                answer[better] = ahead[better]
        return np.maximum(answer, 0)


def _smooth(
    past: Array, season: int, rate: float, seasonal_rate: float | None, horizon: int
) -> tuple[Array, Array]:
    """Sum of squared errors after two seasons, and the forecast; series are rows."""
    level = past[:, : 2 * season].mean(axis=1)
    seasons = np.zeros((len(past), season))
    if seasonal_rate is not None:
        first = past[:, : 4 * season].reshape(len(past), 4, season)
        # Half of the first four seasons' shape: it is noisy, and the rate corrects it.
        seasons = 0.5 * (first.mean(axis=1) - first.mean(axis=(1, 2))[:, None])
    error = np.zeros(len(past))
    for step in range(past.shape[1]):
        miss = past[:, step] - level - seasons[:, step % season]
        if step >= 2 * season:
            error += miss * miss
        level = level + rate * miss
        if seasonal_rate is not None:
            seasons[:, step % season] += seasonal_rate * miss
    phases = (past.shape[1] + np.arange(horizon)) % season
    return error, level[:, None] + seasons[:, phases]


@dataclass(frozen=True)
class Prophet:
    """Additive trend and seasons (Taylor and Letham 2018), for series with enough history.

    Attributes:
        min_days: least history; a shorter series gets the median of 7 weeks.
        days: of history that it sees.
    """

    min_days: int = 120
    days: int = 400

    def fit(self, windows: Windows) -> Arrays:  # noqa: ARG002 - fits each series when asked
        """Nothing to learn before the series is there."""
        return {}

    def suits(self, windows: Windows) -> npt.NDArray[np.bool_]:
        """Which windows have enough history."""
        known = (~np.isnan(windows.history)).sum(axis=1)
        return np.asarray(known >= self.min_days * windows.steps_per_day)

    def forecast(self, arrays: Arrays, windows: Windows) -> Array:  # noqa: ARG002
        """The forecasts of a model of each series."""
        import pandas as pd
        from prophet import Prophet as Model

        # Two lines for each series otherwise.
        for noisy in ("cmdstanpy", "prophet"):
            logging.getLogger(noisy).setLevel(logging.ERROR)
        answer = SevenWeekMedian().forecast({}, windows)
        unit = "D" if windows.steps_per_day == 1 else "h"
        series = list(_known_part(windows, self.days))
        for row in np.flatnonzero(self.suits(windows)):
            last = pd.Timestamp(0) + pd.Timedelta(int(windows.origin[row]), unit)
            past = pd.date_range(end=last, periods=len(series[row]), freq=unit)
            model = Model(yearly_seasonality=False, uncertainty_samples=0)
            model.fit(pd.DataFrame({"ds": past, "y": series[row]}))
            ahead = pd.date_range(last, periods=windows.horizon + 1, freq=unit)[1:]
            answer[row] = model.predict(pd.DataFrame({"ds": ahead}))["yhat"].to_numpy()
        return answer


def _known_part(windows: Windows, days: int) -> list[Array]:
    """Each series from its first known value on; a gap is filled with what was a week before."""
    found = []
    for row in windows.history[:, -days * windows.steps_per_day :]:
        known = np.flatnonzero(~np.isnan(row))
        series = row[known[0] :].copy() if len(known) else row[:0]
        for place in np.flatnonzero(np.isnan(series)):
            earlier = place - windows.horizon
            series[place] = series[earlier if earlier >= 0 else place - 1]
        found.append(series)
    return found
