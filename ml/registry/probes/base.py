"""What the gates need to know of a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from ml import clock
from ml.exceptions import ConfigurationError
from ml.registry.releases import Release
from ml.settings import Settings
from ml.storage.postgres import connect

if TYPE_CHECKING:
    import pandas as pd

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Fresh:
    """Units with outcomes that no row of the inputs stands for, such as a series on a past day.

    Attributes:
        source: what the units are and of when.
        labels: what came of each, 0 or 1.
        scores: what a loaded version says of each.
        rivals: by plain method its score of each.
        merit: name of the figure that `scores` gives each unit instead, larger is better, where
            an answer is no score of one label, such as the NDCG of a list; its means are compared.
    """

    source: str
    labels: npt.NDArray[np.int64]
    scores: Callable[[Any], Array]
    rivals: Mapping[str, Array] = field(default_factory=dict)
    merit: str = ""


@dataclass(frozen=True)
class Cases:
    """Inputs to try a model on.

    Attributes:
        inputs: what `predict` takes; a unit of it (see `Probe.unit`) gets one score.
        source: what the cases are and of when, for the report.
        labels: by unit what came of it, 0 or 1; None where that is not known.
        groups: by name of a slice the value of each unit.
        rivals: by plain method, or other model, its score of each unit.
        surely: rivals that must be beaten beyond doubt; the others must not be better.
        inputs_of: what another version, loaded, takes of the same units; None where all versions
            take the same columns.
        fresh: what is compared instead of the inputs.
        unmeasured: why neither has outcomes, for the report.
    """

    inputs: pd.DataFrame
    source: str
    labels: npt.NDArray[np.int64] | None = None
    groups: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    rivals: Mapping[str, Array] = field(default_factory=dict)
    surely: frozenset[str] = frozenset()
    inputs_of: Callable[[Any], pd.DataFrame] | None = None
    fresh: Fresh | None = None
    unmeasured: str = "nothing is known of what came of the input example"


def unseen_since(release: Release, *others: Release | None) -> datetime:
    """From when on neither the version, which has a test part, nor the others have learned."""
    begins = [datetime.fromisoformat(release.tags["test_start"])]
    begins += [
        # The last row of a training was learned from.
        datetime.fromisoformat(each.tags["train_end"]) + timedelta(microseconds=1)
        for each in others
        if each is not None and "train_end" in each.tags
    ]
    return max(begins)


def known_until(release: Release, settings: Settings) -> datetime:
    """The platform's "now"; where observations are gone, that of the version's training."""
    trained = datetime.fromisoformat(release.tags["as_of"])
    with connect(settings.require("database_url")) as conn, suppress(ConfigurationError):
        return max(trained, clock.as_of(conn, settings))
    return trained


@dataclass(frozen=True)
class Behaviour:
    """One behavioural test (Ribeiro et al. 2020, CheckList).

    Attributes:
        kind: invariance (the answer must not change), directional (it must not go the wrong way)
            or minimum functionality (it must get a plain case right).
        figure: share of the tries that did as they must.
    """

    kind: Literal["invariance", "directional", "minimum_functionality"]
    name: str
    figure: float


class Probe:
    """How a model is asked. A model that gives each row of its input a probability needs a name.

    Attributes:
        name: registered model.
        output: column of the answer that is the score.
        low, high: bounds of every score.
        is_probability: whether a score says how likely a positive label is.
        tolerance: how far a score may move after a change that does not matter.
        texts: columns of the input that are free text.
        unit: column whose equal values make up one unit; None where each row is one.
        sample: units that are asked again and again; a model that is slow asks fewer.
    """

    name: str
    output = "probability"
    low = 0.0
    high = 1.0
    is_probability = True
    tolerance = 0.05
    texts: tuple[str, ...] = ()
    unit: str | None = None
    sample = 200

    def cases(
        self,
        model: Any,
        release: Release,  # noqa: ARG002 - of use to those that read fresh rows
        champion: Release | None,  # noqa: ARG002
        settings: Settings,  # noqa: ARG002
    ) -> Cases:
        """Cases that neither the version nor the champion has learned from.

        The default is the example that MLflow keeps beside the model, with no outcomes: then the
        comparison is that of the training.
        """
        return Cases(model.input_example, "the input example of the release")

    def score(self, model: Any, inputs: pd.DataFrame) -> pd.Series[float]:
        """The scores of the units, indexed like the rows or by the unit's name."""
        return model.predict(inputs)[self.output].astype("float64")

    def calls(self, release: Release, scores: Array) -> npt.NDArray[np.bool_]:
        """Which scores are a positive call."""
        return np.asarray(scores >= float(release.tags.get("decision_threshold", "0.5")))

    def single(self, inputs: pd.DataFrame, place: int) -> pd.DataFrame:
        """The input of one unit."""
        if self.unit is None:
            return inputs.iloc[[place % len(inputs)]]
        names = inputs[self.unit].unique()
        return inputs[inputs[self.unit] == names[place % len(names)]]

    def some(self, inputs: pd.DataFrame) -> pd.DataFrame:
        """The units that are asked again and again: evenly spread ones."""
        if self.unit is None:
            return inputs.iloc[:: max(1, len(inputs) // self.sample)].head(self.sample)
        names = inputs[self.unit].unique()[: self.sample]
        return inputs[inputs[self.unit].isin(names)]

    def never_missing(self, model: Any) -> frozenset[str]:
        """Columns of numbers that may not be missing, and whose absence must be refused."""
        specification = getattr(model.get_raw_model(), "specification", None)
        return frozenset(getattr(specification, "required", ()))

    def behaviours(self, model: Any, inputs: pd.DataFrame) -> Iterator[Behaviour]:
        """Behavioural tests; this one holds for every model: the order of the rows says nothing."""
        straight = self.score(model, inputs)
        turned = self.score(model, inputs.iloc[::-1]).reindex(straight.index)
        same = (straight - turned).abs() <= 1e-6
        yield Behaviour("invariance", "order of the rows", float(same.mean()))
