"""`trend_story` beside the plain methods that it has to beat, which travel with a release."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ml.measures import binary_measures
from ml.trend.story.dataset import REACHED, has_reached, has_stayed
from ml.trend.story.matrix import design_matrix
from ml.trend.video.baselines import Logistic

if TYPE_CHECKING:
    import pandas as pd

    from ml.trend.story.model import StoryModel

Array = npt.NDArray[np.float64]
Figures = dict[str, float]

_SEEN = ("log_upvotes", "log_growth_since_entry", "comments", "rank", "hours_since_entry")
_TO_GO = "log_hours_to_go"
_PLAIN: dict[str, tuple[str, ...]] = {
    "upvotes_alone": ("log_upvotes",),
    "linear_extrapolation": (_TO_GO,),
    "logistic_of_first_hour": (*_SEEN, _TO_GO),
}


@dataclass(frozen=True)
class Baselines:
    """Plain methods, fitted on stories that stayed.

    Attributes:
        share: of those stories that reached 100 upvotes, said of every story.
        regressions: logistic regressions by name: on the upvotes at the end of the first hour; on
            the hours until 100 upvotes at the pace since the entry; on these, comments, place and
            growth; and on all that the trees see.
    """

    share: float
    regressions: dict[str, Logistic]

    @classmethod
    def fit(cls, part: pd.DataFrame, columns: tuple[str, ...], seed: int) -> Baselines:
        """Fit each method on stories with outcomes."""
        known = part[has_stayed(part)]
        outcome, plain = has_reached(known), _plain_matrix(known)
        matrices = {name: plain[list(taken)] for name, taken in _PLAIN.items()}
        matrices["logistic_regression"] = design_matrix(known, columns)
        fitted = {name: Logistic.fit(each, outcome, seed) for name, each in matrices.items()}
        return cls(float(outcome.mean()), fitted)

    def predict(self, part: pd.DataFrame, columns: tuple[str, ...]) -> dict[str, Array]:
        """Probabilities by method, in the order of the stories."""
        matrix = design_matrix(part, columns).join(_plain_matrix(part)[[_TO_GO]])
        said = {name: fitted(matrix) for name, fitted in self.regressions.items()}
        return {"base_rate": np.full(len(part), self.share), **said}


def measure(model: StoryModel, part: pd.DataFrame) -> dict[str, Figures]:
    """M5, on the stories of a part that stayed, and what is served, on all of them.

    Args:
        model: with its baselines, or without.
        part: stories with their features and outcomes, of both kinds.

    Returns:
        `binary_measures` of `model` and of each baseline; those of `model` for all stories have
        `served_` in front.
    """
    kept = has_stayed(part)
    outcome, said = has_reached(part), model.predict(part)
    reach = said["reach_probability"].to_numpy()[kept]
    served = binary_measures(outcome, said["probability"].to_numpy(), said["rising"].to_numpy())
    figures = binary_measures(outcome[kept], reach, reach >= model.specification.decision_threshold)
    rivals: dict[str, Array] = {}
    if model.baselines:
        rivals = model.baselines.predict(part[kept], model.specification.columns)
    return {
        "model": {**figures, **{f"served_{name}": value for name, value in served.items()}},
        **{
            name: binary_measures(outcome[kept], each, each >= 0.5) for name, each in rivals.items()
        },
    }


def _plain_matrix(part: pd.DataFrame) -> pd.DataFrame:
    """What anybody sees in the first hour, and how long 100 upvotes take at that pace."""
    gained = (part["upvotes"] - part["entry_upvotes"]).astype("float64")
    pace = (gained / part["hours_since_entry"].clip(lower=0.1)).clip(lower=0.1)
    hours = (REACHED - part["upvotes"].astype("float64")).clip(lower=0) / pace
    return part[list(_SEEN)].astype("float64").assign(**{_TO_GO: np.log1p(hours)})
