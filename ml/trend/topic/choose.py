"""Every candidate on the validation folds, and which of them may ship."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from ml.registry.checkpoints import Checkpoints
from ml.trend.topic.candidates import combined, forecaster, stack_weights
from ml.trend.topic.evaluate import BEST, Table, gains, lost_to, measure, with_gains
from ml.trend.topic.folds import Folds
from ml.trend.topic.plain import Arrays, Prophet
from ml.trend.topic.rises import distance
from ml.trend.topic.series import Array, Windows

log = logging.getLogger(__name__)

Progress = Callable[[str], None]


@dataclass
class Study:
    """What validation found.

    Attributes:
        windows: the validation windows.
        raw: forecasts by candidate; of a stack with weights of other folds.
        forecasts: the same in whole items.
        table: figures by candidate.
        by_fold: MASE of 7 days by candidate and fold.
        verdicts: by candidate why it may not ship, empty where it may.
        winner: the candidate that ships.
    """

    windows: Windows
    raw: dict[str, Array] = field(default_factory=dict)
    forecasts: dict[str, Array] = field(default_factory=dict)
    table: Table = field(default_factory=dict)
    by_fold: dict[str, dict[str, float]] = field(default_factory=dict)
    verdicts: dict[str, str] = field(default_factory=dict)
    winner: str = ""


def whole(forecast: Array) -> Array:
    """Whole items, none below 0: the median of a count is a count."""
    return np.asarray(np.rint(np.maximum(forecast, 0)))


def study(
    folds: Folds, progress: Progress | None = None, checkpoints: Checkpoints | None = None
) -> Study:
    """Compare all methods and stacks of the parameters on the validation folds.

    Everything is fitted on windows that were over before the first of them. A stack is measured on
    each fold with the weights of the others. A candidate may ship if it beats every baseline in
    SMAPE and MASE at both horizons; of those the one with the largest mean gain does, and if there
    is none, the best baseline.
    """
    params, say, kept = folds.params, progress or (lambda _: None), checkpoints or Checkpoints()
    train = folds.training_windows(folds.validation[0])
    found = Study(folds.validation_windows())

    def forecast(name: str) -> Arrays:
        method = forecaster(name, params["methods"][name], params["seed"])
        return {"volumes": method.forecast(method.fit(train), found.windows)}

    for name, options in params["methods"].items():
        if options["family"] != "prophet":
            said = kept.arrays(f"validation {name}", partial(forecast, name))
            _note(found, name, said["volumes"], say)
    for name, members in params["stacks"].items():
        _note(found, name, _held_out(found.windows, [found.raw[m] for m in members]), say)
    rivals = {name: found.table[name] for name in params["baselines"]}
    for name in found.table:
        others = {rival: figures for rival, figures in rivals.items() if rival != name}
        found.verdicts[name] = lost_to(found.table[name], others)
    for name, options in params["methods"].items():
        if options["family"] == "prophet":
            _try_prophet(found, name, options, params, say)
    found.table = with_gains(found.table, params["baselines"])
    found.winner = _winner(found, params["baselines"])
    say(f"chosen on validation: {found.winner}")
    return found


def _note(found: Study, name: str, forecast: Array, say: Progress) -> None:
    windows, said = found.windows, whole(forecast)
    found.raw[name], found.forecasts[name] = forecast, said
    found.table[name] = measure(windows, said, distance(windows, forecast))
    found.by_fold[name] = {
        str(origin): measure(
            windows.only(windows.origin == origin),
            said[windows.origin == origin],
            distance(windows, forecast)[windows.origin == origin],
        )["mase_7d"]
        for origin in np.unique(windows.origin)
    }
    figures = found.table[name]
    line = f"validation {name}: MASE {figures['mase_48h']:.3f} / {figures['mase_7d']:.3f}"
    log.info("%s", line)
    say(line)


def _held_out(windows: Windows, forecasts: list[Array]) -> Array:
    answer = np.zeros_like(forecasts[0])
    for origin in np.unique(windows.origin):
        own = windows.origin == origin
        weights = stack_weights([said[~own] for said in forecasts], windows.only(~own))
        soon = 2 * windows.steps_per_day
        answer[own] = combined([said[own] for said in forecasts], weights, soon)
    return answer


def _try_prophet(
    found: Study, name: str, options: dict[str, Any], params: Any, say: Progress
) -> None:
    """Measure Prophet on a few series with enough history, beside the baselines on the same.

    Only where it wins there it is worth fitting on all.
    """
    method = forecaster(name, options, params["seed"])
    if not isinstance(method, Prophet):
        raise TypeError(f"{name} is no Prophet")
    known = (~np.isnan(found.windows.history)).sum(axis=1) * method.suits(found.windows)
    rows = np.sort(
        np.concatenate(
            [
                own[np.argsort(-known[own], kind="stable")[: params["prophet_series"]]]
                for origin in np.unique(found.windows.origin)
                if len(own := np.flatnonzero((found.windows.origin == origin) & (known > 0)))
            ]
            or [np.array([], dtype=int)]
        )
    )
    if len(rows) == 0:
        found.verdicts[name] = f"no series has {method.min_days} days of history"
        return
    few, nothing = found.windows.only(rows), Arrays()
    forecast = method.forecast(nothing, few)
    figures = measure(few, whole(forecast), distance(few, forecast))
    rivals = {
        rival: measure(few, found.forecasts[rival][rows], distance(few, found.raw[rival][rows]))
        for rival in params["baselines"]
    }
    lost = lost_to(figures, rivals)
    found.verdicts[name] = f"{lost}, on {len(rows)} windows with enough history" if lost else ""
    say(f"validation {name}: {found.verdicts[name] or 'beats the baselines where it applies'}")
    if not lost:
        _note(found, name, method.forecast(nothing, found.windows), say)
        everywhere = lost_to(found.table[name], {r: found.table[r] for r in params["baselines"]})
        found.verdicts[name] = everywhere


def _winner(found: Study, baselines: list[str]) -> str:
    best = found.table[BEST]

    def mean_gain(name: str) -> float:
        by_measure = gains(found.table[name], best)
        return float(np.mean([g for m, g in by_measure.items() if not m.startswith("auc")]))

    allowed = [n for n in found.forecasts if not found.verdicts[n] and n not in baselines]
    return max(allowed or baselines, key=mean_gain)
