"""What `trend_video` says beside the rising call: how much, how surely, and for how long.

Each head is a forest of its own on the matrix that the call is made from. A head whose labels are
too few is left out and says why; nothing stands in for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ml.measures import mean_relative_squared_error
from ml.registry.checkpoints import Arrays, Checkpoints, array_booster, booster_array
from ml.trend.calibration import Calibrator, fit_calibrator

if TYPE_CHECKING:
    import pandas as pd

Array = npt.NDArray[np.float64]

# Name, label, and hours until the label is known.
GROWTH_HEADS = {"growth_48h": ("growth_48h", 48), "growth_7d": ("growth_7d", 144)}
EVENT_HEADS = {"breakout": ("growth_7d", 144), "listed": ("listed", 48)}
# Whose quantiles say something beside a probability of the same horizon.
BESIDE = {"rising": "growth_48h", "breakout": "growth_7d"}
_QUANTILES = (0.1, 0.5, 0.9)
_MISS = 0.2  # an 80 % interval
_BREAKOUT = 0.9
_MIN_TRAIN, _MIN_VALIDATION, MIN_EVENTS = 300, 60, 8
_AS_IT_IS = Calibrator("identity")
# Later days of a life grow by other laws, and cost as much to learn from.
_MAX_DAY = 2
_AT_ONCE = 2


@dataclass(frozen=True)
class HeadFacts:
    """What a head needs beside its trees.

    Attributes:
        start: ln ratio that the trees of the point forecast start from.
        widen: what the interval's ends move outwards by, ln ratio.
        threshold: growth from which it is a breakout, ln ratio.
        calibrator: of an event's probability.
        reason: why there is no such head; empty where there is one.
    """

    start: float = 0.0
    widen: float = 0.0
    threshold: float = 0.0
    calibrator: Calibrator = _AS_IT_IS
    reason: str = ""

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> HeadFacts:
        """One of the values that `dataclasses.asdict` gave."""
        curve = Calibrator.from_dict(values["calibrator"])
        return cls(**{**values, "calibrator": curve})


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


@dataclass(frozen=True)
class Fit:
    """A pair of forests that is to be fitted, see `_boost`.

    Attributes:
        train: rows of the feature service that the first learns from.
        validation: rows that it is stopped and calibrated on.
        both: what the second learns from: both, with all days.
        label: what is learned of rows.
        start: margin that the trees start from; None where XGBoost chooses it.
        options: of XGBoost, where they differ from those of the other heads.
    """

    train: pd.DataFrame
    validation: pd.DataFrame
    both: pd.DataFrame
    label: Callable[[pd.DataFrame], Array]
    start: float | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


def known_before(frame: pd.DataFrame, label: str, hours: int, until: Any) -> pd.DataFrame:
    """Rows whose label had come in by `until`, half a day of grace included."""
    import pandas as pd

    due = frame["event_timestamp"] + pd.Timedelta(hours=hours + 12)
    return frame[frame[label].notna() & (due < until)]


def fit_heads(
    frame: pd.DataFrame,
    bounds: tuple[Any, Any],
    matrix: Any,
    params: dict[str, Any],
    checkpoints: Checkpoints | None = None,
) -> tuple[dict[str, Any], dict[str, HeadFacts], dict[str, Any]]:
    """Fit every head whose labels suffice.

    Args:
        frame: rows with features and labels.
        bounds: when validation and when test begin; no label of training reaches into the first,
            none of validation into the second.
        matrix: makes the trees' matrix of rows.
        params: those of the model.
        checkpoints: of this training.

    Returns:
        The forests by name (`growth_48h` holds three quantiles, `growth_48h_point` the point
        forecast), the facts of every head, and forests of quantiles that have not learned from
        validation.
    """
    fits: dict[str, Fit] = {}
    facts: dict[str, HeadFacts] = {}
    for name, (label, hours) in {**GROWTH_HEADS, **EVENT_HEADS}.items():
        rows = _rows(frame, label, hours, bounds)
        facts[name], wanted = (_growth if name in GROWTH_HEADS else _event)(name, label, rows)
        fits |= wanted
    # XGBoost lets go of the interpreter, and forests do not wait for each other as the threads of
    # one forest do at every level. Point forecasts, which are small, fill the end.
    order = sorted(fits, key=lambda name: name not in facts)
    kept = checkpoints or Checkpoints()

    def boosted(name: str) -> tuple[Any, Any]:
        pair = kept.arrays(f"head {name}", lambda: _boost(fits[name], matrix, params))
        return array_booster(pair["stopped"]), array_booster(pair["final"])

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        pairs = dict(zip(order, pool.map(boosted, order), strict=True))
    stopped = {name: first for name, (first, _) in pairs.items()}
    unseen = {name: stopped[name] for name in GROWTH_HEADS if name in stopped}
    for name, fit in fits.items():
        if name not in facts:
            continue  # a point forecast is neither widened nor calibrated
        seen, outcome = matrix(fit.validation), fit.label(fit.validation)
        said = raw(stopped[name], seen)
        if name in GROWTH_HEADS:
            width = conformal_width(outcome, said[:, 0], said[:, 2])
            facts[name] = replace(facts[name], widen=width)
        else:
            beside = quantiles(unseen, BESIDE.get(name, ""), seen)
            curve = fit_calibrator(said, outcome, params["seed"], beside)
            facts[name] = replace(facts[name], calibrator=curve)
    return {name: final for name, (_, final) in pairs.items()}, facts, unseen


Rows = tuple["pd.DataFrame", "pd.DataFrame", "pd.DataFrame"]


def _rows(frame: pd.DataFrame, label: str, hours: int, bounds: tuple[Any, Any]) -> Rows:
    """What a head learns from, is stopped and calibrated on, and both with all days."""
    validation_start, test_start = bounds
    early = frame[frame["entity_day"] <= _MAX_DAY]
    train = known_before(early, label, hours, validation_start)
    both = known_before(early, label, hours, test_start)
    later = both[both["event_timestamp"] >= validation_start]
    return train, later[later["entity_day"] == 1], both


def _too_few(rows: Rows) -> str:
    train, validation, _ = rows
    if len(train) >= _MIN_TRAIN and len(validation) >= _MIN_VALIDATION:
        return ""
    return (
        f"{len(train)} rows to learn from and {len(validation)} to calibrate on;"
        f" it needs {_MIN_TRAIN} and {_MIN_VALIDATION}: ingest more days"
    )


def _growth(name: str, label: str, rows: Rows) -> tuple[HeadFacts, dict[str, Fit]]:
    """The quantiles and the point forecast of a growth, or why there are none."""
    if reason := _too_few(rows):
        return HeadFacts(reason=reason), {}

    def grown(part: pd.DataFrame) -> Array:
        return np.asarray(part[label], dtype=np.float64)

    start = float(np.median(grown(rows[0])))
    spread = {"objective": "reg:quantileerror", "quantile_alpha": list(_QUANTILES)}
    point = {
        "disable_default_eval_metric": 1,
        "obj": relative_error,
        "custom_metric": lambda p, d: ("mrse", mean_relative_squared_error(p, d.get_label())),
    }
    fits = {
        name: Fit(*rows, grown, options=spread),
        f"{name}_point": Fit(*rows, grown, start, point),
    }
    return HeadFacts(start=start), fits


def _event(name: str, label: str, rows: Rows) -> tuple[HeadFacts, dict[str, Fit]]:
    """The probability of an event, or why there is none."""
    if reason := _too_few(rows):
        return HeadFacts(reason=reason), {}
    train, validation, _ = rows
    first = train.loc[train["entity_day"] == 1, label]
    threshold = float(first.quantile(_BREAKOUT)) if name == "breakout" else 0.5

    def happened(part: pd.DataFrame) -> Array:
        return np.asarray(part[label] > threshold, dtype=np.float64)

    few = min(min(each.sum(), (1 - each).sum()) for each in map(happened, (train, validation)))
    if few < MIN_EVENTS:
        reason = f"only {int(few)} rows of one kind; it needs {MIN_EVENTS}: ingest more days"
        return HeadFacts(threshold=threshold, reason=reason), {}
    options = {"objective": "binary:logistic", "eval_metric": "logloss"}
    return HeadFacts(threshold=threshold), {name: Fit(*rows, happened, options=options)}


def _boost(fit: Fit, matrix: Any, params: dict[str, Any]) -> Arrays:
    """Two forests: `stopped` on validation, and `final`, as large, that has learned from it too.

    The first says what may be expected of the second on rows that it has not seen.
    """
    import xgboost

    def data(rows: pd.DataFrame, reference: Any = None) -> Any:
        values = fit.label(rows)
        given = {} if fit.start is None else {"base_margin": np.full(len(values), fit.start)}
        return xgboost.QuantileDMatrix(matrix(rows), values, ref=reference, **given)

    options = dict(fit.options)
    own = {key: options.pop(key) for key in ("obj", "custom_metric") if key in options}
    settings = {
        "tree_method": "hist", "seed": params["seed"], **params["xgboost"], **params["heads"],
        **options,
    }  # fmt: skip
    train = data(fit.train)
    stopped = xgboost.train(
        settings,
        train,
        params["max_rounds"],
        evals=[(data(fit.validation, train), "validation")],
        early_stopping_rounds=params["early_stopping_rounds"] // 2,
        verbose_eval=False,
        **own,
    )
    rounds = stopped.best_iteration + 1
    larger = max(1, round(rounds * params["refit_rounds_factor"]))
    final = xgboost.train(settings, data(fit.both), larger, verbose_eval=False, **own)
    return {"stopped": booster_array(stopped[:rounds]), "final": booster_array(final)}


def quantiles(forests: dict[str, Any], name: str, matrix: pd.DataFrame) -> Array | None:
    """The three quantiles of a growth head in order, shape (n, 3); None where there is no head."""
    if name not in forests:
        return None
    return np.sort(raw(forests[name], matrix).reshape(-1, len(_QUANTILES)), axis=1)


def raw(forest: Any, matrix: pd.DataFrame, start: float | None = None) -> Array:
    """What a forest says of rows; with `start`, the margin on top of it."""
    import xgboost

    if matrix.empty:
        return np.zeros(0)
    if start is None:
        return np.asarray(forest.predict(xgboost.DMatrix(matrix)), dtype=np.float64)
    data = xgboost.DMatrix(matrix, base_margin=np.full(len(matrix), start))
    return np.asarray(forest.predict(data, output_margin=True), dtype=np.float64)


def forecast(
    forests: dict[str, Any],
    facts: dict[str, HeadFacts],
    matrix: pd.DataFrame,
    spread: dict[str, Array | None],
) -> dict[str, Array]:
    """Columns `growth_48h_{p10,p50,p90,point}`, likewise `growth_7d`, and the probabilities.

    Growth is a natural logarithm of a ratio. A head that is left out gives missing numbers.

    Args:
        forests: as `fit_heads` gives them, and `facts`.
        facts: of every head.
        matrix: what the trees see.
        spread: `quantiles` of each growth head.
    """
    nothing = np.full(len(matrix), np.nan)
    columns: dict[str, Array] = {}
    for name in GROWTH_HEADS:
        low, middle, high, point = (nothing,) * 4
        ordered = spread[name]
        if ordered is not None:
            widen = facts[name].widen
            middle = ordered[:, 1]
            low = np.minimum(ordered[:, 0] - widen, middle)
            high = np.maximum(ordered[:, 2] + widen, middle)
            point = raw(forests[f"{name}_point"], matrix, facts[name].start)
        named = {"p10": low, "p50": middle, "p90": high, "point": point}
        columns.update({f"{name}_{end}": values for end, values in named.items()})
    for name in EVENT_HEADS:
        if name not in forests:
            columns[f"{name}_probability"] = nothing
            continue
        said, beside = raw(forests[name], matrix), spread.get(BESIDE.get(name, ""))
        columns[f"{name}_probability"] = facts[name].calibrator(said, beside)
    return columns
