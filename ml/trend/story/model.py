"""`trend_story`: two forests on the service's features, calibrated, and why they say what they say.

P(reaches 100 upvotes) = P(stays) P(reaches | stays): one forest says whether a story will be seen
three times or more, the other learns from those that were. What is measured as M5 is the second,
what is served is the product, for a story that does not stay hardly ever reaches 100 upvotes (39 of
6,345 in an archive).

A model is a folder of JSON files, so that loading one runs no code that came with it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ml.exceptions import MissingFeatureError
from ml.trend.calibration import Calibrator, fit_calibrator
from ml.trend.story.dataset import check_required, has_reached, has_stayed
from ml.trend.story.evaluate import Baselines
from ml.trend.story.matrix import design_matrix
from ml.trend.video.baselines import Logistic

if TYPE_CHECKING:
    import pandas as pd

    from ml.trend.story.dataset import Split

Array = npt.NDArray[np.float64]

_MIN_VANISHED = 30


@dataclass(frozen=True)
class Specification:
    """What a model needs beside its trees.

    Attributes:
        feature_service: the Feast service whose columns it takes.
        columns: columns of that service, in order.
        required: those that may not be missing.
        decision_threshold: probability from which the call is that it reaches 100 upvotes.
        reach: calibrates the forest of those that stay.
        stay: calibrates the other one; None where hardly any story had left, and all stay.
    """

    feature_service: str
    columns: tuple[str, ...]
    required: tuple[str, ...]
    decision_threshold: float
    reach: Calibrator
    stay: Calibrator | None


class StoryModel:
    """Forests and specification; predicts from rows of the feature service.

    Attributes:
        forests: `reach`, and `stay` where the specification has a calibrator for it.
        baselines: the plain methods beside it, for measuring.
    """

    def __init__(
        self,
        forests: dict[str, Any],
        specification: Specification,
        baselines: Baselines | None = None,
    ) -> None:
        self.forests = forests
        self.specification = specification
        self.baselines = baselines

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """What is said of each story, in the order of the input.

        Returns:
            `probability` of reaching 100 upvotes within 48 hours of the entry, `rising` (whether
            that is the call), `reach_probability` (if it is seen three times or more) and
            `stay_probability` (that it is).

        Raises:
            MissingFeatureError: if a row lacks a required feature or the column is absent.
        """
        matrix, spec = self.matrix(frame), self.specification
        reach = spec.reach(raw_probability(self.forests["reach"], matrix))
        stay = np.ones(len(matrix))
        if spec.stay is not None:
            stay = spec.stay(raw_probability(self.forests["stay"], matrix))
        return frame[[]].assign(
            probability=reach * stay,
            rising=reach * stay >= spec.decision_threshold,
            reach_probability=reach,
            stay_probability=stay,
        )

    def explain(self, frame: pd.DataFrame, top: int = 5) -> list[list[dict[str, Any]]]:
        """The features that moved each story's `reach_probability` most, strongest first.

        Returns:
            By story, `feature`, `value` (None where missing) and `contribution`.
        """
        moved, matrix = self.contributions(frame).to_numpy(), self.matrix(frame)
        signals = []
        for values, shares in zip(matrix.to_numpy(), moved, strict=True):
            strongest = np.argsort(-np.abs(shares), kind="stable")[:top]
            signals.append(
                [
                    {
                        "feature": matrix.columns[column],
                        "value": None if np.isnan(values[column]) else float(values[column]),
                        "contribution": round(float(shares[column]), 4),
                    }
                    for column in strongest
                ]
            )
        return signals

    def contributions(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Each feature's share of the forest's log odds of reaching, against the forest's mean.

        Exact Shapley values of the trees (TreeSHAP, Lundberg et al. 2018), before calibration.
        """
        import pandas as pd
        import xgboost

        matrix = self.matrix(frame)
        shares = self.forests["reach"].predict(xgboost.DMatrix(matrix), pred_contribs=True)
        return pd.DataFrame(shares[:, :-1], columns=matrix.columns, index=matrix.index)

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
        check_required(frame, list(spec.required))
        return design_matrix(frame, spec.columns)

    def get_raw_model(self) -> StoryModel:
        """Itself: MLflow's wrapper gives the model by this name."""
        return self

    def save(self, folder: Path) -> None:
        """Write the model as JSON files."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, forest in self.forests.items():
            forest.save_model(str(folder / f"{name}.json"))
        parts = {"specification": self.specification, "baselines": self.baselines}
        for name, part in parts.items():
            if part is not None:
                (folder / f"{name}.json").write_text(json.dumps(asdict(part), indent=1))

    @classmethod
    def load(cls, folder: Path) -> StoryModel:
        """Read a model that `save` wrote."""
        import xgboost

        values = json.loads((folder / "specification.json").read_text())
        for name in ("columns", "required"):
            values[name] = tuple(values[name])
        curves: dict[str, Any] = {name: _curve(values.pop(name)) for name in ("reach", "stay")}
        forests = {
            name: xgboost.Booster(model_file=str(folder / f"{name}.json"))
            for name, curve in curves.items()
            if curve is not None
        }
        return cls(forests, Specification(**values, **curves), _baselines(folder))


def _curve(values: dict[str, Any] | None) -> Calibrator | None:
    if values is None:
        return None
    return Calibrator(values["kind"], tuple(values["xs"]), tuple(values["ys"]))


def _baselines(folder: Path) -> Baselines | None:
    path = folder / "baselines.json"
    if not path.exists():
        return None
    values = json.loads(path.read_text())
    regressions = {}
    for name, fitted in values["regressions"].items():
        parts: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in fitted.items()
        }
        regressions[name] = Logistic(**parts)
    return Baselines(values["share"], regressions)


def fit(
    split: Split, columns: tuple[str, ...], params: dict[str, Any], required: list[str]
) -> StoryModel:
    """Fit both forests with early stopping on the validation part, calibrate, refit on both parts.

    A calibrator is fitted on validation forecasts of trees that have not seen those rows. The plain
    methods are fitted on both parts at once.
    """
    import pandas as pd

    parts = (split.train, split.validation)
    stayed = tuple(part[has_stayed(part)] for part in parts)
    forests: dict[str, Any] = {}
    forests["reach"], reach = _forest(stayed, has_reached, columns, params)
    stay = None
    vanished = [len(part) - len(kept) for part, kept in zip(parts, stayed, strict=True)]
    if min(vanished) >= _MIN_VANISHED:
        forests["stay"], stay = _forest(parts, has_stayed, columns, params)
    specification = Specification(
        feature_service=params["feature_service"],
        columns=columns,
        required=tuple(name for name in required if name in columns),
        decision_threshold=0.5,
        reach=reach,
        stay=stay,
    )
    baselines = Baselines.fit(pd.concat(parts), columns, params["seed"])
    return StoryModel(forests, specification, baselines)


def _forest(
    parts: tuple[pd.DataFrame, ...],
    label: Callable[[pd.DataFrame], npt.NDArray[Any]],
    columns: tuple[str, ...],
    params: dict[str, Any],
) -> tuple[Any, Calibrator]:
    import pandas as pd
    import xgboost

    def data(part: pd.DataFrame) -> Any:
        return xgboost.DMatrix(design_matrix(part, columns), label=label(part).astype(int))

    def trees(part: pd.DataFrame, rounds: int, **options: Any) -> Any:
        settings = {
            "objective": "binary:logistic",
            "eval_metric": "logloss",
            "tree_method": "hist",
            "seed": params["seed"],
            **params["xgboost"],
        }
        return xgboost.train(settings, data(part), rounds, verbose_eval=False, **options)

    train, validation = parts
    first = trees(
        train,
        params["max_rounds"],
        evals=[(data(validation), "validation")],
        early_stopping_rounds=params["early_stopping_rounds"],
    )
    best = first[: first.best_iteration + 1]
    raw = raw_probability(best, design_matrix(validation, columns))
    calibrator = fit_calibrator(raw, label(validation).astype(int), params["seed"])
    rounds = max(1, round((first.best_iteration + 1) * params["refit_rounds_factor"]))
    return trees(pd.concat([train, validation]), rounds), calibrator


def raw_probability(forest: Any, matrix: pd.DataFrame) -> Array:
    """Uncalibrated probabilities of a forest."""
    import xgboost

    if matrix.empty:
        return np.zeros(0)
    return np.asarray(forest.predict(xgboost.DMatrix(matrix)), dtype=np.float64)
