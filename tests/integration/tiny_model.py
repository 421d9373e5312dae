"""A logistic curve over one number: a model that trains in no time, with its probe."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ml.exceptions import MissingFeatureError
from ml.registry.probes import Cases, Probe

if TYPE_CHECKING:
    import pandas as pd


class TinyModel:
    """P = 1 / (1 + exp(-(slope x + shift)))."""

    def __init__(self, slope: float, shift: float) -> None:
        self.slope, self.shift = slope, shift

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        if frame["x"].isna().any():
            raise MissingFeatureError("x is missing")
        margin = np.clip(self.slope * frame["x"] + self.shift, -30, 30)
        return frame[[]].assign(probability=1 / (1 + np.exp(-margin)))

    def get_raw_model(self) -> TinyModel:
        return self


def _load_pyfunc(path: str) -> TinyModel:
    return TinyModel(**json.loads((Path(path) / "weights.json").read_text()))


def frame(rows: int = 400) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame({"x": np.random.default_rng(3).normal(size=rows)})


class TinyProbe(Probe):
    name = "trend_video"

    def never_missing(self, model):
        return frozenset({"x"})

    def cases(self, model, release, champion, settings):
        inputs = frame()
        random = np.random.default_rng(4)
        labels = (random.random(len(inputs)) < 1 / (1 + np.exp(-2 * inputs["x"]))).astype(int)
        weak = inputs["x"].to_numpy() + random.normal(size=len(inputs)) * math.pi
        groups = {"sign": np.where(inputs["x"] > 0, "positive", "negative")}
        return Cases(inputs, "400 drawn numbers", labels.to_numpy(), groups, {"weak": weak})


PROBE = TinyProbe()
