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
from ml.trend.calibration import Calibrator
from ml.trend.video.baselines import Baselines
from ml.trend.video.dataset import check_required
from ml.trend.video.heads import BESIDE, GROWTH_HEADS, HeadFacts, forecast, quantiles, raw
from ml.trend.video.matrix import design_matrix

if TYPE_CHECKING:
    import pandas as pd

Array = npt.NDArray[np.float64]


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

    `forests` are the further heads of `ml.trend.video.heads`, by name; `baselines` the plain
    methods of the same training, which measurements need and predictions do not. `unseen` is there
    while it is being trained: what trees that have not learned from validation say of it.
    """

    def __init__(
        self,
        booster: Any,
        specification: Specification,
        forests: dict[str, Any] | None = None,
        baselines: Baselines | None = None,
    ) -> None:
        self.booster = booster
        self.specification = specification
        self.forests = forests or {}
        self.baselines = baselines
        self.unseen: Array | None = None

    def predict_proba(self, frame: pd.DataFrame) -> Array:
        """Probability, per row, that the views grow more than the threshold within 48 hours.

        Raises:
            MissingFeatureError: if a row lacks a required feature or the column is absent.
        """
        matrix = self.matrix(frame)
        return self._rising(matrix, quantiles(self.forests, BESIDE["rising"], matrix))

    def _rising(self, matrix: pd.DataFrame, beside: Array | None) -> Array:
        return self.specification.calibrator(raw_probability(self.booster, matrix), beside)

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
        spread = {name: quantiles(self.forests, name, matrix) for name in GROWTH_HEADS}
        probability = self._rising(matrix, spread[BESIDE["rising"]])
        rising = probability >= self.specification.decision_threshold
        further = forecast(self.forests, self.specification.heads, matrix, spread)
        return frame[[]].assign(probability=probability, rising=rising, **further)

    def get_raw_model(self) -> TrendModel:
        """Itself; MLflow's wrapper asks for it by this name."""
        return self

    def save(self, folder: Path) -> None:
        """Write the model as JSON files."""
        folder.mkdir(parents=True, exist_ok=True)
        self.booster.save_model(str(folder / "trees.json"))
        for name, forest in self.forests.items():
            forest.save_model(str(folder / f"head_{name}.json"))
        (folder / "specification.json").write_text(json.dumps(asdict(self.specification), indent=1))
        if self.baselines is not None:
            self.baselines.save(folder)

    @classmethod
    def load(cls, folder: Path) -> TrendModel:
        """Read a model that `save` wrote."""
        import xgboost

        values = json.loads((folder / "specification.json").read_text())
        calibrator = Calibrator.from_dict(values.pop("calibrator"))
        values["columns"], values["required"] = tuple(values["columns"]), tuple(values["required"])
        values["heads"] = {
            name: HeadFacts.from_dict(facts) for name, facts in values.get("heads", {}).items()
        }
        booster = xgboost.Booster(model_file=str(folder / "trees.json"))
        forests = {
            path.stem.removeprefix("head_"): xgboost.Booster(model_file=str(path))
            for path in sorted(folder.glob("head_*.json"))
        }
        specification = Specification(**values, calibrator=calibrator)
        return cls(booster, specification, forests, Baselines.load(folder))


def raw_probability(booster: Any, matrix: pd.DataFrame) -> Array:
    """Uncalibrated probabilities of the trees."""
    return raw(booster, matrix)
