"""The methods that the parameters name, fitted, and weighted means of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from ml.exceptions import ConfigurationError
from ml.registry.training import code_digest
from ml.trend.topic.networks import Network
from ml.trend.topic.plain import (
    Arrays,
    AutoEts,
    Forecaster,
    LastGrowth,
    Prophet,
    SeasonalNaive,
    SevenWeekMedian,
    Smoothing,
)
from ml.trend.topic.series import Array, Windows
from ml.trend.topic.trees import Trees

NAME = "trend_topic"
_PARAMS = Path(__file__).parent / "params" / "trend_topic.yaml"
_FAMILIES: dict[str, type[Any]] = {
    "seasonal_naive": SeasonalNaive,
    "seven_week_median": SevenWeekMedian,
    "auto_ets": AutoEts,
    "last_growth": LastGrowth,
    "smoothing": Smoothing,
    "prophet": Prophet,
    "trees": Trees,
    "network": Network,
}


def load_params() -> dict[str, Any]:
    """Read the parameters kept in the repository."""
    params: dict[str, Any] = yaml.safe_load(_PARAMS.read_text())
    return params


def recipe_digest() -> str:
    """Sha256 of the code and parameters that train."""
    return code_digest(Path(__file__).parent, _PARAMS)


def forecaster(name: str, options: Mapping[str, Any], seed: int) -> Forecaster:
    """Make a method from its options.

    Raises:
        ConfigurationError: if there is no such family or option.
    """
    given = dict(options)
    family = _FAMILIES.get(given.pop("family", ""))
    known = {field.name for field in fields(family)} if family else set()
    if family is None or not set(given) <= known:
        raise ConfigurationError(
            f"{NAME}: method {name} has a family or option that does not exist; families are"
            f" {', '.join(_FAMILIES)}"
        )
    if "seed" in known:
        given.setdefault("seed", seed)
    made: Forecaster = family(**given)
    return made


@dataclass(frozen=True)
class Part:
    """A fitted method and its weights in the forecast: of the first 48 hours, and after."""

    name: str
    options: Mapping[str, Any]
    arrays: Arrays
    weights: tuple[float, float] = (1.0, 1.0)


def combined(forecasts: Sequence[Array], weights: Sequence[Sequence[float]], soon: int) -> Array:
    """Weighted mean with weights for the first `soon` steps and for those after.

    Args:
        forecasts: one of each part, shape (windows, horizon).
        weights: two of each part.
        soon: steps of 48 hours.
    """
    later = np.arange(forecasts[0].shape[1]) >= soon
    total = np.zeros_like(forecasts[0])
    for said, (first, second) in zip(forecasts, weights, strict=True):
        total += said * np.where(later, second, first)
    return np.asarray(total)


def stack_weights(forecasts: Sequence[Array], windows: Windows) -> list[tuple[float, float]]:
    """Weights of the least absolute error, in units of MASE, none negative, their sum 1.

    A linear programme for each of the two spans: minimise the sum of e with -e <= w F - a <= e.

    Args:
        forecasts: one of each part, shape (windows, horizon).
        windows: whose futures are known.
    """
    soon, scale = 2 * windows.steps_per_day, windows.scale()
    found = []
    for span in (slice(0, soon), slice(soon, None)):
        columns = [said[:, span] for said in forecasts]
        use = (scale[:, None] > 0) & ~np.isnan(windows.outcome()[:, span])
        unit = np.broadcast_to(scale[:, None], use.shape)[use]
        table = np.column_stack([column[use] / unit for column in columns])
        found.append(_least_absolute(table, windows.outcome()[:, span][use] / unit))
    return [(float(first), float(second)) for first, second in zip(*found, strict=True)]


def _least_absolute(table: Array, target: Array) -> Array:
    from scipy.optimize import linprog  # type: ignore[import-untyped]
    from scipy.sparse import csr_matrix, eye, hstack, vstack  # type: ignore[import-untyped]

    rows, parts = table.shape
    if rows == 0:
        return np.full(parts, 1 / parts)
    # Thinned evenly: a few thousand rows settle a handful of weights.
    keep = slice(None, None, max(1, rows // 4000))
    table, target = table[keep], target[keep]
    own, errors = csr_matrix(table), eye(len(table), format="csr")
    answer = linprog(
        np.concatenate([np.zeros(parts), np.ones(len(table))]),
        A_ub=vstack([hstack([own, -errors]), hstack([-own, -errors])]),
        b_ub=np.concatenate([target, -target]),
        A_eq=csr_matrix(np.concatenate([np.ones(parts), np.zeros(len(table))])[None, :]),
        b_eq=[1.0],
        bounds=(0, None),
        method="highs",
    )
    return np.asarray(answer.x[:parts])
