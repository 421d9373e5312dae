"""`trend_video`: gradient-boosted trees on the service's features, with calibrated probabilities.

A model is a folder of JSON files, so that loading one runs no code that came with it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ml.exceptions import MissingFeatureError
from ml.trend.video.dataset import check_required
from ml.trend.video.heads import HeadFacts, forecast

if TYPE_CHECKING:
    import pandas as pd

Array = npt.NDArray[np.float64]

_HORIZON_H = 48.0
_MIN_ISOTONIC_ROWS = 1000
# Columns of the service that the trees do not get: duplicates of others, or constant.
_UNUSED = frozenset({"made_for_kids", "duration_s"})
TEXT_COLUMNS = ("language",)


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


@dataclass(frozen=True)
class Specification:
    """What a model needs beside its trees.

    Attributes:
        feature_service: the Feast service whose columns it takes.
        columns: columns of that service, in order.
        required: those that may not be missing.
        languages: declared language to code, as seen in training.
        growth_threshold: the median growth that "rising" means, ln ratio over 48 hours.
        decision_threshold: probability from which the call is "rising".
        heads: facts of the further heads, by name.
    """

    feature_service: str
    columns: tuple[str, ...]
    required: tuple[str, ...]
    languages: dict[str, int]
    growth_threshold: float
    decision_threshold: float
    calibrator: Calibrator
    heads: dict[str, HeadFacts] = field(default_factory=dict)


class TrendModel:
    """Trees, calibrator and specification; predicts from rows of the feature service.

    `forests` are the further heads of `ml.trend.video.heads`, by name.
    """

    def __init__(
        self,
        booster: Any,
        specification: Specification,
        forests: dict[str, Any] | None = None,
    ) -> None:
        self.booster = booster
        self.specification = specification
        self.forests = forests or {}

    def predict_proba(self, frame: pd.DataFrame) -> Array:
        """Probability, per row, that the views grow more than the threshold within 48 hours.

        Raises:
            MissingFeatureError: if a row lacks a required feature or the column is absent.
        """
        return self.specification.calibrator(raw_probability(self.booster, self.matrix(frame)))

    def matrix(self, frame: pd.DataFrame) -> pd.DataFrame:
        """What the trees see of these rows.

        Raises:
            MissingFeatureError: if a row lacks a required feature or the column is absent.
        """
        spec = self.specification
        absent = [name for name in spec.columns if name not in frame]
        if absent:
            raise MissingFeatureError(
                f"the input has no {', '.join(absent[:5])}; use {spec.feature_service}"
            )
        check_required(frame.assign(video_id=frame.get("video_id", "?")), list(spec.required))
        return design_matrix(frame, spec.languages, spec.columns)

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """What is said of each row, in the order of the input.

        Returns:
            `probability` and `rising` (boolean) of growing more than usual in 48 hours; and of the
            further heads, as `ml.trend.video.heads.forecast` names them, growth as ln ratios.
        """
        matrix = self.matrix(frame)
        probability = self.specification.calibrator(raw_probability(self.booster, matrix))
        rising = probability >= self.specification.decision_threshold
        further = forecast(self.forests, self.specification.heads, matrix)
        return frame[[]].assign(probability=probability, rising=rising, **further)

    def save(self, folder: Path) -> None:
        """Write the model as JSON files."""
        folder.mkdir(parents=True, exist_ok=True)
        self.booster.save_model(str(folder / "trees.json"))
        for name, forest in self.forests.items():
            forest.save_model(str(folder / f"head_{name}.json"))
        (folder / "specification.json").write_text(json.dumps(asdict(self.specification), indent=1))

    @classmethod
    def load(cls, folder: Path) -> TrendModel:
        """Read a model that `save` wrote."""
        import xgboost

        values = json.loads((folder / "specification.json").read_text())
        curve = values.pop("calibrator")
        values["columns"], values["required"] = tuple(values["columns"]), tuple(values["required"])
        values["heads"] = {
            name: HeadFacts(**facts) for name, facts in values.get("heads", {}).items()
        }
        booster = xgboost.Booster(model_file=str(folder / "trees.json"))
        forests = {
            path.stem.removeprefix("head_"): xgboost.Booster(model_file=str(path))
            for path in sorted(folder.glob("head_*.json"))
        }
        calibrator = Calibrator(curve["kind"], tuple(curve["xs"]), tuple(curve["ys"]))
        return cls(booster, Specification(**values, calibrator=calibrator), forests)


def raw_probability(booster: Any, matrix: pd.DataFrame) -> Array:
    """Uncalibrated probabilities of the trees."""
    import xgboost

    return np.asarray(booster.predict(xgboost.DMatrix(matrix)), dtype=np.float64)


def model_input(frame: pd.DataFrame, columns: tuple[str, ...]) -> pd.DataFrame:
    """The columns as the model's signature types them: numbers as float64, text as str.

    A missing number stays missing; an undeclared language is `und`, its code in BCP 47.
    """
    numbers = [name for name in columns if name not in TEXT_COLUMNS]
    typed = frame[list(columns)].astype(dict.fromkeys(numbers, "float64"))
    for name in set(columns) - set(numbers):
        typed[name] = typed[name].astype(object).where(typed[name].notna(), "und").astype(str)
    return typed


def known_languages(frame: pd.DataFrame, at_least: int = 50) -> dict[str, int]:
    """Codes of the languages declared on at least that many rows, most frequent first."""
    counts = _base_language(model_input(frame, ("language",))["language"]).value_counts()
    names = sorted(counts[counts >= at_least].index, key=lambda name: (-counts[name], name))
    return {name: code for code, name in enumerate(names)}


def design_matrix(
    frame: pd.DataFrame, languages: dict[str, int], columns: tuple[str, ...]
) -> pd.DataFrame:
    """What the trees see, float64: the service's columns and ratios derived from them."""
    typed = model_input(frame, columns)
    codes = _base_language(typed["language"]).map(languages)
    matrix = typed.drop(columns=[name for name in typed if name in _UNUSED | {"language"}])
    return _with_derived(matrix.assign(language_code=codes.astype("float64")))


def _with_derived(matrix: pd.DataFrame) -> pd.DataFrame:
    """Add extrapolations and ratios that a tree would need many splits to find."""
    growth, age = matrix["log_growth_1d"], matrix["age_hours"].clip(lower=1)
    hours = matrix["hours_since_previous"]
    age_before = (age - hours).where(age - hours > 1)
    # Views as a power of age: the exponent seen so far, continued (cf. Szabo and Huberman 2010).
    exponent = growth / np.log(age / age_before)
    gained_per_hour = (matrix["views"] * (1 - np.exp(-growth)) / hours).clip(lower=0.01)
    return matrix.assign(
        power_law_growth=exponent * np.log((age + _HORIZON_H) / age),
        linear_growth=linear_growth(growth, hours),
        recent_to_lifetime=np.log(
            gained_per_hour / matrix["lifetime_views_per_hour"].clip(lower=0.01)
        ),
        age_hours_before=age - hours,
        likes_lead=matrix["like_growth_1d"] - growth,
        comments_lead=matrix["comment_growth_1d"] - growth,
        views_to_channel=matrix["log_views"] - matrix["channel_median_log_views_before"],
    )


def linear_growth(log_growth_1d: Any, hours: Any) -> Any:
    """Growth over 48 hours, ln ratio, if the views gained per hour stay as they are."""
    gained = (1 - np.exp(-log_growth_1d)).clip(lower=0)
    return np.log1p(gained * _HORIZON_H / hours.clip(lower=1))


def _base_language(declared: pd.Series) -> pd.Series:
    """`en-US` and `en` are one language."""
    return declared.str.lower().str.split("-").str[0]
