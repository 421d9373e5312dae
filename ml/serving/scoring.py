"""`trend_video` on plain arrays: the numbers of its own `predict`, without a data frame.

The frame costs more than the trees for one row. What is derived here from the features is what
`ml.trend.video.model` derives; `Scorer` compares both on the model's own example and refuses a
model on which they differ.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ml.exceptions import FatalError

if TYPE_CHECKING:
    from ml.trend.calibration import Calibrator
    from ml.trend.video.model import TrendModel

Array = npt.NDArray[np.float64]

GROWTH = ("growth_48h", "growth_7d")
_BESIDE = {"rising": "growth_48h", "breakout": "growth_7d"}  # as in ml.trend.video.heads
_HORIZON_H = 48.0
_UNUSED = frozenset({"made_for_kids", "duration_s", "language"})
_TOLERANCE = 1e-6
_STRONGEST = 5


@dataclass(frozen=True)
class Score:
    """What the model says of one video.

    Attributes:
        probability: that its views grow more than usual within 48 hours.
        breakout: probability of growing like the fastest tenth; None without that head.
        growth: expected growth, ln ratio, by head; a head that is left out is not there.
        signals: the features that moved the call most, with their share of all movement and
            whether they raise it.
    """

    probability: float
    rising: bool
    breakout: float | None
    growth: Mapping[str, float]
    signals: tuple[tuple[str, float, bool], ...]


class Scorer:
    """Scores rows of one model version in one call of each forest."""

    def __init__(self, model: TrendModel) -> None:
        """Prepare the forests for one thread: a request is too small for more.

        Raises:
            FatalError: if the trees were made for other columns than derived here.
        """
        self.specification = model.specification
        self._booster = model.booster
        self._forests = model.forests
        self._columns = tuple(name for name in self.specification.columns if name != "language")
        plain = [name for name in self.specification.columns if name not in _UNUSED]
        # A derived column takes the place of a stored one of its name.
        self._names = list(dict.fromkeys([*plain, "language_code", *_DERIVED]))
        made = {name: i for i, name in enumerate([*self._columns, "language_code", *_DERIVED])}
        self._order = np.array([made[name] for name in self._names])
        if list(self._booster.feature_names or []) != self._names or not made.keys() >= {*_INPUTS}:
            raise FatalError("the model was trained on other columns than this server derives")
        self._inputs = [made[name] for name in _INPUTS]
        for forest in (self._booster, *self._forests.values()):
            forest.set_param({"nthread": 1})

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> list[Score]:
        """Score rows of the feature service; a missing number is None."""
        import xgboost

        # Without names: checking 150 of them takes longer than the trees.
        matrix = xgboost.DMatrix(self.matrix(rows), nthread=1)
        # Saabas' attribution: exact Shapley values take ten times as long and name the same.
        moved = self._booster.predict(
            matrix, pred_contribs=True, approx_contribs=True, validate_features=False
        )
        # The last column is the bias; all together they are the log odds.
        raw = 1 / (1 + np.exp(-moved.sum(axis=1, dtype=np.float64)))
        calibrator = self.specification.calibrator
        probability = calibrator(raw, self._beside("rising", calibrator, matrix))
        moved = moved[:, :-1]
        breakout = None
        if "breakout" in self._forests:
            calibrator = self.specification.heads["breakout"].calibrator
            said = _predict(self._forests["breakout"], matrix)
            breakout = calibrator(said, self._beside("breakout", calibrator, matrix))
        growth = self._growth(matrix)  # last: it gives the matrix another margin
        return [
            Score(
                probability=float(probability[i]),
                rising=bool(probability[i] >= self.specification.decision_threshold),
                breakout=None if breakout is None else float(breakout[i]),
                growth={name: float(values[i]) for name, values in growth.items()},
                signals=self._signals(moved[i]),
            )
            for i in range(len(rows))
        ]

    def _beside(self, name: str, calibrator: Calibrator, matrix: Any) -> Array | None:
        """The quantiles of growth that a stacked probability takes into account."""
        if calibrator.kind != "stacked":
            return None
        return np.sort(_predict(self._forests[_BESIDE[name]], matrix), axis=1)

    def _growth(self, matrix: Any) -> dict[str, Array]:
        found = {}
        for name in GROWTH:
            forest = self._forests.get(f"{name}_point")
            if forest is not None:
                start = self.specification.heads[name].start
                matrix.set_base_margin(np.full(matrix.num_row(), start))
                found[name] = _predict(forest, matrix, output_margin=True)
        return found

    def _signals(self, moved: Array) -> tuple[tuple[str, float, bool], ...]:
        size = np.abs(moved)
        total = float(size.sum())
        if total == 0:
            return ()
        strongest = np.argsort(-size, kind="stable")[:_STRONGEST]
        return tuple(
            (self._names[i], float(size[i]) / total, bool(moved[i] > 0)) for i in strongest
        )

    def matrix(self, rows: Sequence[Mapping[str, Any]]) -> Array:
        """What the trees see of rows, shape (rows, columns); NaN is missing."""
        codes = self.specification.languages
        nothing = float("nan")
        # One array of all cells: one for each of 150 columns took longer than the trees.
        stored = np.array(
            [
                [
                    *[row[name] for name in self._columns],
                    codes.get(_base_language(row["language"]), nothing),
                ]
                for row in rows
            ],
            dtype=np.float64,
        )
        with np.errstate(all="ignore"):
            derived = _derive(stored[:, self._inputs].T)
        made: Array = np.hstack([stored, derived])[:, self._order]
        return made

    def check(self, model: TrendModel, example: Path) -> None:
        """Compare with the model's own `predict` on its input example.

        Raises:
            FatalError: if they differ.
        """
        import pandas as pd

        split = json.loads(example.read_text())
        frame = pd.DataFrame(split["data"], columns=split["columns"])
        said = model.predict(frame)
        cells = frame.astype(object).where(frame.notna(), None).to_dict("records")
        rows = [{str(name): value for name, value in row.items()} for row in cells]
        mine = self(rows)
        pairs = [("probability", [s.probability for s in mine])]
        if "breakout" in self._forests:
            pairs.append(("breakout_probability", [s.breakout or 0.0 for s in mine]))
        pairs += [
            (f"{name}_point", [s.growth[name] for s in mine])
            for name in GROWTH
            if f"{name}_point" in self._forests
        ]
        for name, values in pairs:
            worst = float(np.abs(said[name].to_numpy() - np.array(values)).max())
            if not worst <= _TOLERANCE:
                raise FatalError(f"{name} differs by {worst:.2g} from the model's own prediction")


_DERIVED = (
    "power_law_growth",
    "linear_growth",
    "recent_to_lifetime",
    "age_hours_before",
    "likes_lead",
    "comments_lead",
    "views_to_channel",
)


# What those are made of, in the order in which `_derive` takes them.
_INPUTS = (
    "log_growth_1d", "age_hours", "hours_since_previous", "views", "lifetime_views_per_hour",
    "like_growth_1d", "comment_growth_1d", "log_views", "channel_median_log_views_before",
)  # fmt: skip


def _derive(inputs: Array) -> Array:
    """The columns of `_DERIVED`, shape (rows, 7), of those of `_INPUTS`, shape (9, rows).

    Formulas and their sources are in `ml.trend.video.model`.
    """
    growth, age, hours, views, lifetime, likes, comments, log_views, usual = inputs
    age = np.maximum(age, 1)
    before = age - hours
    exponent = growth / np.log(age / np.where(before > 1, before, np.nan))
    kept = 1 - np.exp(-growth)
    gained_per_hour = np.maximum(views * kept / hours, 0.01)
    gained = np.maximum(kept, 0)
    return np.stack(
        [
            exponent * np.log((age + _HORIZON_H) / age),
            np.log1p(gained * _HORIZON_H / np.maximum(hours, 1)),
            np.log(gained_per_hour / np.maximum(lifetime, 0.01)),
            before,
            likes - growth,
            comments - growth,
            log_views - usual,
        ],
        axis=1,
    )


def _base_language(declared: Any) -> str:
    return "und" if declared is None else str(declared).lower().split("-")[0]


def _predict(forest: Any, matrix: Any, **options: Any) -> Array:
    answer = forest.predict(matrix, validate_features=False, **options)
    return np.asarray(answer, dtype=np.float64)
