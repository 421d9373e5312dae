"""What `trend_video` says beside the rising call: how much, how surely, and for how long.

Each head is a forest of its own on the matrix that the call is made from. A head whose labels are
too few is left out and says why; nothing stands in for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

Array = npt.NDArray[np.float64]

# Name, label, and hours until the label is known.
GROWTH_HEADS = {"growth_48h": ("growth_48h", 48), "growth_7d": ("growth_7d", 144)}
EVENT_HEADS = {"breakout": ("growth_7d", 144), "listed": ("listed", 48)}
_QUANTILES = (0.1, 0.5, 0.9)
_MISS = 0.2  # an 80 % interval
_BREAKOUT = 0.9
_MIN_TRAIN, _MIN_VALIDATION, _MIN_EVENTS = 300, 60, 8
# Later days of a life grow by other laws, and cost as much to learn from.
_MAX_DAY = 2


@dataclass(frozen=True)
class HeadFacts:
    """What a head needs beside its trees.

    Attributes:
        start: ln ratio that the trees of the point forecast start from.
        widen: what the interval's ends move outwards by, ln ratio.
        threshold: growth from which it is a breakout, ln ratio.
        reason: why there is no such head; empty where there is one.
    """

    start: float = 0.0
    widen: float = 0.0
    threshold: float = 0.0
    reason: str = ""


def conformal_width(outcome: Array, low: Array, high: Array, miss: float = _MISS) -> float:
    """How far to move both ends so that the interval holds (CQR; Romano, Patterson, Candes 2019).

    The (1 - miss)(1 + 1/n) quantile of how far each outcome lies outside its interval, which is
    negative inside: an interval that is too wide is narrowed.
    """
    outside = np.maximum(low - outcome, outcome - high)
    level = min(1.0, (1 - miss) * (1 + 1 / len(outcome)))
    return float(np.quantile(outside, level, method="higher"))


def relative_error(margin: Array, data: Any) -> tuple[Array, Array]:
    """Gradient and Gauss-Newton curvature of (predicted / actual - 1)^2 / 2 in ln ratios.

    Its minimiser is E[1/actual] / E[1/actual^2], below the median of what may come.
    """
    ratio = np.exp(np.clip(np.asarray(margin).ravel() - data.get_label(), -4.0, 3.0))
    return (ratio - 1) * ratio, ratio * ratio


def mean_relative_squared_error(predicted: Array, actual: Array) -> float:
    """mean((predicted / actual - 1)^2), of natural logarithms of ratios."""
    return float(np.mean((np.exp(predicted - actual) - 1) ** 2))


@dataclass(frozen=True)
class Parts:
    """Rows that a head learns from and rows that it is calibrated on, with their matrices."""

    train: pd.DataFrame
    validation: pd.DataFrame
    train_matrix: pd.DataFrame
    validation_matrix: pd.DataFrame


def known_before(frame: pd.DataFrame, label: str, hours: int, until: Any) -> pd.DataFrame:
    """Rows whose label had come in by `until`, half a day of grace included."""
    import pandas as pd

    due = frame["event_timestamp"] + pd.Timedelta(hours=hours + 12)
    return frame[frame[label].notna() & (due < until)]


def fit_heads(
    frame: pd.DataFrame, bounds: tuple[Any, Any], matrix: Any, params: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, HeadFacts]]:
    """Fit every head whose labels suffice.

    Args:
        frame: rows with features and labels.
        bounds: when validation and when test begin; no label of training reaches into the first,
            none of validation into the second.
        matrix: makes the trees' matrix of rows.
        params: those of the model.

    Returns:
        The forests by name (`growth_48h` holds three quantiles, `growth_48h_point` the point
        forecast), and the facts of every head.
    """
    forests: dict[str, Any] = {}
    facts: dict[str, HeadFacts] = {}
    for name, (label, hours) in {**GROWTH_HEADS, **EVENT_HEADS}.items():
        rows = _rows(frame, label, hours, bounds)
        train, validation = rows
        if len(train) < _MIN_TRAIN or len(validation) < _MIN_VALIDATION:
            facts[name] = HeadFacts(
                reason=f"{len(train)} rows to learn from and {len(validation)} to calibrate on;"
                f" it needs {_MIN_TRAIN} and {_MIN_VALIDATION}: ingest more days"
            )
            continue
        parts = Parts(train, validation, matrix(train), matrix(validation))
        fit = _fit_growth if name in GROWTH_HEADS else _fit_event
        fit(name, label, parts, params, forests, facts)
    return forests, facts


def _rows(
    frame: pd.DataFrame, label: str, hours: int, bounds: tuple[Any, Any]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    validation_start, test_start = bounds
    early = frame[frame["entity_day"] <= _MAX_DAY]
    train = known_before(early, label, hours, validation_start)
    first = early[(early["entity_day"] == 1) & (early["event_timestamp"] >= validation_start)]
    return train, known_before(first, label, hours, test_start)


def _boost(
    parts: Parts, labels: tuple[Array, Array], params: dict[str, Any], **options: Any
) -> Any:
    import xgboost

    start = options.pop("start", None)
    data: list[Any] = []
    for matrix, label in zip((parts.train_matrix, parts.validation_matrix), labels, strict=True):
        reference = {"ref": data[0]} if data else {}
        margin = {} if start is None else {"base_margin": np.full(len(label), start)}
        data.append(xgboost.QuantileDMatrix(matrix, label, **margin, **reference))
    own = {key: options.pop(key) for key in ("obj", "custom_metric") if key in options}
    settings = {"tree_method": "hist", "seed": params["seed"], **params["xgboost"]}
    trees = xgboost.train(
        {**settings, "learning_rate": params["heads_learning_rate"], **options},
        data[0],
        params["max_rounds"],
        evals=[(data[1], "validation")],
        early_stopping_rounds=params["early_stopping_rounds"] // 2,
        verbose_eval=False,
        **own,
    )
    return trees[: trees.best_iteration + 1]


def _fit_growth(
    name: str, label: str, parts: Parts, params: dict[str, Any],
    forests: dict[str, Any], facts: dict[str, HeadFacts],
) -> None:  # fmt: skip
    labels = (parts.train[label].to_numpy(), parts.validation[label].to_numpy())
    start = float(np.median(labels[0]))
    forests[f"{name}_point"] = _boost(
        parts, labels, params, start=start, disable_default_eval_metric=1,
        obj=relative_error,
        custom_metric=lambda p, d: ("mrse", mean_relative_squared_error(p, d.get_label())),
    )  # fmt: skip
    forests[name] = _boost(
        parts, labels, params, objective="reg:quantileerror", quantile_alpha=list(_QUANTILES)
    )
    low, _, high = raw(forests[name], parts.validation_matrix).T
    facts[name] = HeadFacts(start=start, widen=conformal_width(labels[1], low, high))


def _fit_event(
    name: str, label: str, parts: Parts, params: dict[str, Any],
    forests: dict[str, Any], facts: dict[str, HeadFacts],
) -> None:  # fmt: skip
    first = parts.train.loc[parts.train["entity_day"] == 1, label]
    threshold = float(first.quantile(_BREAKOUT)) if name == "breakout" else 0.5
    outcomes = tuple(
        (part[label] > threshold).to_numpy().astype(float)
        for part in (parts.train, parts.validation)
    )
    few = min(min(each.sum(), (1 - each).sum()) for each in outcomes)
    if few < _MIN_EVENTS:
        facts[name] = HeadFacts(
            threshold=threshold,
            reason=f"only {int(few)} rows of one kind; it needs {_MIN_EVENTS}: ingest more days",
        )
        return
    forests[name] = _boost(
        parts, (outcomes[0], outcomes[1]), params,
        objective="binary:logistic", eval_metric="logloss",
    )  # fmt: skip
    facts[name] = HeadFacts(threshold=threshold)


def raw(forest: Any, matrix: pd.DataFrame, start: float | None = None) -> Array:
    """What a forest says of rows; with `start`, the margin on top of it."""
    import xgboost

    if start is None:
        return np.asarray(forest.predict(xgboost.DMatrix(matrix)), dtype=np.float64)
    data = xgboost.DMatrix(matrix, base_margin=np.full(len(matrix), start))
    return np.asarray(forest.predict(data, output_margin=True), dtype=np.float64)


def forecast(
    forests: dict[str, Any], facts: dict[str, HeadFacts], matrix: pd.DataFrame
) -> dict[str, Array]:
    """Columns `growth_48h_{p10,p50,p90,point}`, likewise `growth_7d`, and the probabilities.

    Growth is a natural logarithm of a ratio. A head that is left out gives missing numbers.
    """
    nothing = np.full(len(matrix), np.nan)
    columns: dict[str, Array] = {}
    for name in GROWTH_HEADS:
        low, middle, high, point = (nothing,) * 4
        if name in forests:
            widen = facts[name].widen
            ordered = np.sort(raw(forests[name], matrix), axis=1)
            middle = ordered[:, 1]
            low = np.minimum(ordered[:, 0] - widen, middle)
            high = np.maximum(ordered[:, 2] + widen, middle)
            point = raw(forests[f"{name}_point"], matrix, facts[name].start)
        named = {"p10": low, "p50": middle, "p90": high, "point": point}
        columns.update({f"{name}_{end}": values for end, values in named.items()})
    for name in EVENT_HEADS:
        present = name in forests
        columns[f"{name}_probability"] = raw(forests[name], matrix) if present else nothing
    return columns


def measure_heads(
    frame: pd.DataFrame, predicted: pd.DataFrame, facts: dict[str, HeadFacts]
) -> dict[str, float]:
    """Measures of each head on rows with its label; heads that are left out give none.

    Returns:
        For growth: `mrse`, `median_abs_log_error`, `spearman`, `coverage` (of the 80 % interval)
        and `rows`; for events: `auc`, `average_precision`, `base_rate` and `rows`; each with the
        head's name in front.
    """
    import pandas as pd
    from sklearn.metrics import average_precision_score, roc_auc_score

    figures: dict[str, float] = {}
    for name, (label, _) in {**GROWTH_HEADS, **EVENT_HEADS}.items():
        known = frame[label].notna().to_numpy()
        if facts[name].reason or known.sum() < _MIN_EVENTS:
            continue
        actual, said = frame.loc[known, label].to_numpy(), predicted[known]
        if name in GROWTH_HEADS:
            point = said[f"{name}_point"].to_numpy()
            inside = (actual >= said[f"{name}_p10"]) & (actual <= said[f"{name}_p90"])
            measured = {
                "mrse": mean_relative_squared_error(point, actual),
                "median_abs_log_error": float(np.median(np.abs(said[f"{name}_p50"] - actual))),
                "spearman": float(pd.Series(point).corr(pd.Series(actual), method="spearman")),
                "coverage": float(inside.mean()),
            }
        else:
            outcome = actual > facts[name].threshold
            if outcome.all() or not outcome.any():
                continue
            probability = said[f"{name}_probability"]
            measured = {
                "auc": float(roc_auc_score(outcome, probability)),
                "average_precision": float(average_precision_score(outcome, probability)),
                "base_rate": float(outcome.mean()),
            }
        measured["rows"] = float(known.sum())
        figures.update({f"{name}_{key}": value for key, value in measured.items()})
    return figures
