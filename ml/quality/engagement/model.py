"""`quality_engagement`: what a title is expected to do, and why.

A model is a folder of JSON, plain arrays and safetensors, so that loading one runs no code that
came with it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ml.quality.engagement import features
from ml.quality.engagement.predictors import Array, Predictor, load_predictor
from ml.topics.embeddings import encode

if TYPE_CHECKING:
    import pandas as pd

NO_THUMBNAIL = (
    "not scored: no images with known outcomes exist to learn from, only addresses of thumbnails"
)
OUTPUTS = ("percentile", "low", "high", "signals", "thumbnail", "thumbnail_reason")
_QUANTILES = np.linspace(0, 1, 201)


@dataclass(frozen=True)
class Reference:
    """What a score is compared with.

    Attributes:
        quantiles: of the training labels, at 201 even levels.
        below: added to a score, the lower end of the 80 % interval.
        above: and the upper end.
    """

    quantiles: tuple[float, ...]
    below: float
    above: float

    def percentile(self, scores: Array) -> Array:
        """Share of the training labels below a score."""
        return np.asarray(np.interp(scores, self.quantiles, _QUANTILES))


def reference(training: Array, errors: Array, coverage: float = 0.8) -> Reference:
    """The training labels' distribution, and split-conformal bounds from errors on other rows.

    Each side leaves out half of the rest, with the correction for finite samples (Vovk et al.
    2005): the interval covers `coverage` of rows that are exchangeable with those of the errors.
    """
    tail = (1 - coverage) / 2
    count = len(errors)
    ordered = np.sort(errors)
    low = max(int(np.floor(tail * (count + 1))) - 1, 0)
    high = min(int(np.ceil((1 - tail) * (count + 1))) - 1, count - 1)
    quantiles = tuple(np.quantile(training, _QUANTILES).tolist())
    return Reference(quantiles, float(ordered[low]), float(ordered[high]))


class EngagementModel:
    """A predictor and what its scores are compared with."""

    def __init__(self, predictor: Predictor, reference: Reference) -> None:
        self.predictor = predictor
        self.reference = reference

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """What is expected of each row, in the order of the input.

        Args:
            frame: `title`; `earlier_titles` of the channel, one a line, oldest first, or empty;
                `duration_s`, `usual_duration_s` of those and `category_id`, NaN where not known.

        Returns:
            `percentile` (0 to 1) of the expected engagement among the training videos' engagement
            relative to their channels; `low` and `high`, its 80 % conformal interval; `signals`
            (JSON: what features add, in standard deviations); `thumbnail` (NaN) and
            `thumbnail_reason`.
        """
        if frame.empty:  # the vectorizers of scikit-learn refuse it
            return frame[[]].assign(**dict.fromkeys(OUTPUTS))
        rows = features.as_input(frame)
        rows["title"] = [" ".join(title.split()) for title in rows["title"]]
        vectors = self.vectors(rows)
        scores = self.predictor.score(rows, vectors)
        signals = [json.dumps(one) for one in self.predictor.signals(rows, vectors)]
        return frame[[]].assign(
            percentile=self.reference.percentile(scores),
            low=self.reference.percentile(scores + self.reference.below),
            high=self.reference.percentile(scores + self.reference.above),
            signals=signals,
            thumbnail=np.nan,
            thumbnail_reason=NO_THUMBNAIL,
        )

    def vectors(self, rows: pd.DataFrame) -> dict[str, npt.NDArray[np.float32]]:
        """Embeddings of the titles of these rows, none where the model reads none."""
        titles: Sequence[str] = features.titles_of(rows) if self.predictor.needs_vectors else []
        return dict(zip(titles, encode(titles), strict=True))

    def get_raw_model(self) -> EngagementModel:
        """What MLflow's wrapper hands out."""
        return self

    def save(self, folder: Path) -> None:
        """Write the model."""
        folder.mkdir(parents=True, exist_ok=True)
        self.predictor.save(folder)
        head = {"kind": self.predictor.kind, "reference": asdict(self.reference)}
        (folder / "engagement.json").write_text(json.dumps(head))

    @classmethod
    def load(cls, folder: Path) -> EngagementModel:
        """Read a model that `save` wrote."""
        head = json.loads((folder / "engagement.json").read_text())
        values = head["reference"]
        known = Reference(tuple(values["quantiles"]), values["below"], values["above"])
        return cls(load_predictor(head["kind"], folder), known)
