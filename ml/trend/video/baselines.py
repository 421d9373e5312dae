"""The plain methods that `trend_video` has to beat, fitted once and kept beside the model.

They travel with a release as plain numbers, so that it can be measured beside them on any file.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ml.measures import binary_measures, growth_measures, ranking_measures
from ml.trend.video.heads import EVENT_HEADS, GROWTH_HEADS, MIN_EVENTS, HeadFacts, known_before
from ml.trend.video.matrix import design_matrix, linear_growth

if TYPE_CHECKING:
    import pandas as pd

    from ml.trend.video.dataset import Split

Array = npt.NDArray[np.float64]

_FILE = "baselines.json"
_LINE = ("log_views", "log_growth_1d")


@dataclass(frozen=True)
class Curve:
    """A logistic curve over one number: probability = 1 / (1 + exp(-(slope x + intercept)))."""

    slope: float
    intercept: float

    @classmethod
    def fit(cls, score: Array, outcome: npt.NDArray[Any]) -> Curve:
        """Fit without a penalty that matters."""
        from sklearn.linear_model import LogisticRegression

        fitted = LogisticRegression(C=1e6, random_state=0).fit(score.reshape(-1, 1), outcome)
        return cls(float(fitted.coef_[0, 0]), float(fitted.intercept_[0]))

    def __call__(self, score: Array) -> Array:
        """Probabilities, in the order of the scores."""
        return np.asarray(1 / (1 + np.exp(-(self.slope * score + self.intercept))))


@dataclass(frozen=True)
class Logistic:
    """A logistic regression on standardised columns, missing numbers at their median and flagged.

    Attributes:
        columns: of the design matrix, in order.
        medians: of each column, 0 where nothing is known.
        flagged: positions of the columns with a flag of their own.
        means: and `scales`, of columns and flags.
        weights: likewise, and `intercept`.
    """

    columns: tuple[str, ...]
    medians: tuple[float, ...]
    flagged: tuple[int, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float

    @classmethod
    def fit(cls, matrix: pd.DataFrame, outcome: npt.NDArray[Any], seed: int) -> Logistic:
        """Fit on rows of the design matrix."""
        from sklearn.impute import SimpleImputer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        imputer = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
        scaler = StandardScaler()
        regression = LogisticRegression(max_iter=500, random_state=seed)
        make_pipeline(imputer, scaler, regression).fit(matrix.to_numpy(), outcome)

        def plain(values: Any) -> tuple[float, ...]:
            return tuple(float(value) for value in values)

        return cls(
            columns=tuple(matrix.columns),
            medians=plain(np.nan_to_num(imputer.statistics_)),
            flagged=tuple(int(each) for each in imputer.indicator_.features_),
            means=plain(scaler.mean_),
            scales=plain(scaler.scale_),
            weights=plain(regression.coef_[0]),
            intercept=float(regression.intercept_[0]),
        )

    def __call__(self, matrix: pd.DataFrame) -> Array:
        """Probabilities of the rows."""
        values = matrix[list(self.columns)].to_numpy(dtype=np.float64)
        missing = np.isnan(values)
        filled = np.where(missing, np.array(self.medians), values)
        everything = np.hstack([filled, missing[:, list(self.flagged)].astype(float)])
        margin = ((everything - self.means) / self.scales) @ np.array(self.weights)
        return np.asarray(1 / (1 + np.exp(-(margin + self.intercept))))


@dataclass(frozen=True)
class Baselines:
    """Fitted plain methods.

    Attributes:
        features: columns of the service that the logistic regressions see.
        share: of rising videos in training.
        extrapolated: linear growth that stands in where a video has none.
        linear: threshold of the extrapolated growth that calls "rising", and its curve.
        constants: the one factor for all videos by horizon, ln ratio (Szabo and Huberman 2010);
            it minimises the mean squared relative error.
        lines: log-linear forecast by horizon: intercept, then a weight for each of `_LINE`.
        medians: of `_LINE`, where missing.
        line_curve: from the 48 h log-linear forecast to a probability of rising.
        logistic: regressions by what they call: `rising`, `breakout`, `listed`.
    """

    features: tuple[str, ...]
    share: float
    extrapolated: float
    linear_threshold: float
    linear: Curve
    line_curve: Curve
    medians: tuple[float, ...]
    constants: dict[str, float] = field(default_factory=dict)
    lines: dict[str, tuple[float, ...]] = field(default_factory=dict)
    logistic: dict[str, Logistic] = field(default_factory=dict)

    @classmethod
    def fit(
        cls,
        split: Split,
        everything: pd.DataFrame,
        facts: dict[str, HeadFacts],
        columns: tuple[str, ...],
        seed: int,
    ) -> Baselines:
        """Fit every method on the training part, on first predictions where one number is fitted.

        Args:
            split: parts in time.
            everything: rows with the labels of later days; those known before validation are used.
            facts: of the model's further heads.
            columns: features of the service.
            seed: of the logistic regressions.
        """
        train = split.train[split.train["entity_day"] == 1]
        rising = split.rising(train)
        growth = linear_growth(train["log_growth_1d"], train["hours_since_previous"])
        middle = float(np.nan_to_num(growth.median()))
        score = np.asarray(growth.fillna(middle), dtype=np.float64)
        medians = tuple(float(np.nan_to_num(train[name].median())) for name in _LINE)
        early, until = everything[everything["entity_day"] == 1], split.validation_start
        known = {
            "growth_48h": train,
            "growth_7d": known_before(early, "growth_7d", 144, until),
            "listed": known_before(early, "listed", 48, until),
        }
        grown = {name: known[name] for name in GROWTH_HEADS if len(known[name])}
        lines = {
            name: _line(_inputs(rows, medians), rows[name].to_numpy())
            for name, rows in grown.items()
        }
        matrix = _matrix(split.train, columns)
        return cls(
            features=columns,
            share=float(rising.mean()),
            extrapolated=middle,
            linear_threshold=best_threshold(score, rising),
            linear=Curve.fit(score, rising),
            line_curve=Curve.fit(_forecast(lines["growth_48h"], _inputs(train, medians)), rising),
            medians=medians,
            constants={name: _factor(rows[name].to_numpy()) for name, rows in grown.items()},
            lines=lines,
            logistic={
                "rising": Logistic.fit(matrix, split.rising(split.train), seed),
                **_events(known, facts, columns, seed),
            },
        )

    def save(self, folder: Path) -> None:
        """Write them as JSON."""
        (folder / _FILE).write_text(json.dumps(asdict(self), indent=1))

    @classmethod
    def load(cls, folder: Path) -> Baselines | None:
        """Read what `save` wrote, where it has been."""
        if not (folder / _FILE).exists():
            return None
        values: dict[str, Any] = json.loads((folder / _FILE).read_text())
        curves: dict[str, Any] = {
            name: Curve(**values.pop(name)) for name in ("linear", "line_curve")
        }
        logistic = {
            name: Logistic(**{key: _tuples(value) for key, value in each.items()})
            for name, each in values.pop("logistic").items()
        }
        lines = {name: tuple(line) for name, line in values.pop("lines").items()}
        others = {key: _tuples(value) for key, value in values.items()}
        return cls(**others, **curves, logistic=logistic, lines=lines)

    def measure_rising(
        self, frame: pd.DataFrame, outcome: npt.NDArray[Any], threshold: float
    ) -> dict[str, dict[str, float]]:
        """The rising call of each method; `threshold` is the growth that rising means, ln ratio."""
        score = self._extrapolation(frame)
        logistic = self.logistic["rising"](_matrix(frame, self.features))
        line = _forecast(self.lines["growth_48h"], _inputs(frame, self.medians))
        always = np.full(len(frame), self.share)
        factor = np.full(len(frame), self.constants["growth_48h"] > threshold)
        return {
            "always_up": binary_measures(outcome, always, np.ones(len(frame), dtype=bool)),
            "linear_extrapolation": binary_measures(
                outcome, self.linear(score), score >= self.linear_threshold
            ),
            "szabo_huberman": binary_measures(outcome, always, factor),
            "log_linear": binary_measures(outcome, self.line_curve(line), line > threshold),
            "logistic_regression": binary_measures(outcome, logistic, logistic >= 0.5),
        }

    def measure_growth(
        self, frame: pd.DataFrame, actual: Array, name: str
    ) -> dict[str, dict[str, float]]:
        """The forecasts of `growth_48h` or `growth_7d`; persistence says that nothing changes."""
        rivals = {"persistence": np.zeros(len(frame))}
        days = {"growth_48h": 2, "growth_7d": 6}[name]
        rivals["linear_extrapolation"] = np.log1p(days * np.expm1(self._extrapolation(frame)) / 2)
        if name in self.constants:
            rivals["szabo_huberman"] = np.full(len(frame), self.constants[name])
            rivals["log_linear"] = _forecast(self.lines[name], _inputs(frame, self.medians))
        return {rival: growth_measures(said, actual) for rival, said in rivals.items()}

    def measure_event(
        self, frame: pd.DataFrame, outcome: npt.NDArray[Any], name: str
    ) -> dict[str, dict[str, float]]:
        """The probabilities of `breakout` or `listed`: `auc` and `average_precision`."""
        rivals = {"linear_extrapolation": self._extrapolation(frame)}
        if name in self.logistic:
            rivals["logistic_regression"] = self.logistic[name](_matrix(frame, self.features))
        return {rival: ranking_measures(outcome, said) for rival, said in rivals.items()}

    def _extrapolation(self, frame: pd.DataFrame) -> Array:
        growth = linear_growth(frame["log_growth_1d"], frame["hours_since_previous"])
        return np.asarray(growth.fillna(self.extrapolated), dtype=np.float64)


def best_threshold(score: Array, outcome: npt.NDArray[Any]) -> float:
    """The score from which calling 1 is right most often on these rows."""
    order = np.argsort(score, kind="stable")
    ranked, hits = score[order], outcome[order]
    # Calling 1 from position i on is right for the ones after it and the zeros before it.
    right = (
        np.concatenate(([0], np.cumsum(1 - hits)))
        + hits.sum()
        - np.concatenate(([0], np.cumsum(hits)))
    )
    best = int(np.argmax(right))
    return float(ranked[best]) if best < len(ranked) else float(ranked[-1]) + 1.0


def _events(
    known: dict[str, pd.DataFrame],
    facts: dict[str, HeadFacts],
    columns: tuple[str, ...],
    seed: int,
) -> dict[str, Logistic]:
    """Regressions for the events whose labels suffice."""
    fitted = {}
    for name, (label, _) in EVENT_HEADS.items():
        if name not in facts or facts[name].reason:
            continue
        outcome = (known[label][label] > facts[name].threshold).to_numpy().astype(int)
        if MIN_EVENTS <= outcome.sum() <= len(outcome) - MIN_EVENTS:
            fitted[name] = Logistic.fit(_matrix(known[label], columns), outcome, seed)
    return fitted


def _factor(actual: Array) -> float:
    """The one growth that minimises the mean squared relative error, ln ratio."""
    return float(np.log(np.mean(np.exp(-actual)) / np.mean(np.exp(-2 * actual))))


def _matrix(frame: pd.DataFrame, columns: tuple[str, ...]) -> pd.DataFrame:
    """Without codes, which are no quantities: a linear model must not see them as such."""
    return design_matrix(frame, {}, columns).drop(columns=["language_code", "category_id"])


def _inputs(frame: pd.DataFrame, medians: tuple[float, ...]) -> Array:
    known = frame[list(_LINE)].fillna(dict(zip(_LINE, medians, strict=True)))
    return np.asarray(known, dtype=np.float64)


def _line(inputs: Array, actual: Array) -> tuple[float, ...]:
    from sklearn.linear_model import LinearRegression

    fitted = LinearRegression().fit(inputs, actual)
    return (float(fitted.intercept_), *(float(weight) for weight in fitted.coef_))


def _forecast(line: tuple[float, ...], inputs: Array) -> Array:
    return np.asarray(line[0] + inputs @ np.array(line[1:]))


def _tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
