"""`audience_preference`: named recommenders, blends of them, and the model that serves.

A model is a folder of JSON and plain arrays, so that loading one runs no code that came with it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from ml.audience.interactions import Interactions, interactions
from ml.audience.neural import NeuralCf, TwoTower
from ml.audience.recommenders import (
    Arrays,
    Ease,
    Ials,
    ItemKnn,
    Popularity,
    Recommender,
    Scores,
    Sequential,
)
from ml.exceptions import ConfigurationError, MissingFeatureError
from ml.registry.checkpoints import Checkpoints
from ml.registry.training import code_digest

if TYPE_CHECKING:
    import pandas as pd

NAME = "audience_preference"
TOP = 10
_PARAMS = Path(__file__).parent / "params" / "audience_preference.yaml"
_FAMILIES: dict[str, type[Any]] = {
    "popularity": Popularity,
    "item_knn": ItemKnn,
    "ease": Ease,
    "ials": Ials,
    "sequential": Sequential,
    "ncf": NeuralCf,
    "two_tower": TwoTower,
}


def load_params() -> dict[str, Any]:
    """Read the parameters kept in the repository."""
    params: dict[str, Any] = yaml.safe_load(_PARAMS.read_text())
    return params


def recipe_digest() -> str:
    """Sha256 of the code and parameters that train."""
    return code_digest(Path(__file__).parent, _PARAMS)


@dataclass(frozen=True)
class Part:
    """A fitted recommender and its weight in the model."""

    name: str
    recommender: Recommender
    arrays: Arrays
    weight: float


class AudienceModel:
    """A weighted sum of recommenders, each scaled to mean 0 and deviation 1 per user.

    Attributes:
        parts: the recommenders; one alone is a model too.
        items: the catalogue it knows.
        counts: users of each item in training; what a user without a history gets.
    """

    def __init__(self, parts: list[Part], items: tuple[str, ...], counts: Any) -> None:
        self.parts = parts
        self.items = items
        self.counts = np.asarray(counts, dtype=np.float64)

    def score(self, data: Interactions) -> Scores:
        """Scores of the items of `data` for its users, shape (users, items); larger is better.

        A user without a history is given popularity. An item that the model has not seen comes
        last; one without interactions too, unless the model knows its text.
        """
        known = data.on_catalogue(self.items) if data.items != self.items else data
        scores = sum(part.weight * self._scaled(part, known) for part in self.parts)
        cold = np.asarray(known.history_lengths() == 0)
        scores = np.where(cold[:, None], self.counts.astype(np.float32), scores)
        unseen = self.counts == 0
        if unseen.any() and not all("text" in part.arrays for part in self.parts):
            scores[:, unseen] = scores[:, ~unseen].min(axis=1, keepdims=True) - 1
        if known is data:
            return np.asarray(scores, dtype=np.float32)
        return self._on_items(scores, data.items)

    def _scaled(self, part: Part, data: Interactions) -> Scores:
        scores = part.recommender.score(part.arrays, data)
        spread = scores.std(axis=1, keepdims=True)
        centred = scores - scores.mean(axis=1, keepdims=True)
        return np.asarray(centred / np.where(spread > 0, spread, 1), dtype=np.float32)

    def _on_items(self, scores: Scores, items: tuple[str, ...]) -> Scores:
        place = {name: index for index, name in enumerate(self.items)}
        known = [index for index, name in enumerate(items) if name in place]
        moved = np.repeat(scores.min(axis=1, keepdims=True) - 1, len(items), axis=1)
        moved[:, known] = scores[:, [place[items[index]] for index in known]]
        return np.asarray(moved, dtype=np.float32)

    def recommend(
        self, data: Interactions, k: int = TOP, among: Collection[str] | None = None
    ) -> pd.DataFrame:
        """The `k` best items that each user has not taken to, best first.

        Args:
            data: the histories.
            k: how many; fewer where a user has taken to nearly all.
            among: only these items; the whole catalogue of the model by default.

        Returns:
            Columns `segment_id`, `topic_id`, `rank` (1 is the best) and `score`.
        """
        import pandas as pd

        known = data.on_catalogue(self.items)
        scores = np.where(known.matrix().toarray() > 0, -np.inf, self.score(known))
        if among is not None:
            scores[:, [name not in among for name in self.items]] = -np.inf
        best = top_items(scores, min(k, scores.shape[1]))
        users = np.repeat(np.arange(len(known.users)), best.shape[1])
        frame = pd.DataFrame(
            {
                "segment_id": np.array(known.users, dtype=object)[users],
                "topic_id": np.array(self.items, dtype=object)[best.ravel()],
                "rank": np.tile(np.arange(1.0, best.shape[1] + 1), len(known.users)),
                "score": scores[users, best.ravel()].astype(np.float64),
            }
        )
        return frame[np.isfinite(frame["score"])].reset_index(drop=True)

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Recommend from rows `segment_id`, `topic_id`, `time` (number, later is larger).

        Raises:
            MissingFeatureError: if a time is missing: it would count as the latest.
        """
        if "time" in frame and frame["time"].isna().any():
            raise MissingFeatureError("time is missing in some rows; leave out or mend them")
        named = frame.rename(columns={"segment_id": "user", "topic_id": "item"})
        return self.recommend(with_traits(interactions(named)))

    def get_raw_model(self) -> AudienceModel:
        """What MLflow's `PyFuncModel.get_raw_model` hands out."""
        return self

    def save(self, folder: Path) -> None:
        """Write the model as JSON and arrays."""
        folder.mkdir(parents=True, exist_ok=True)
        described = [
            {
                "name": part.name,
                "family": _family(part.recommender),
                "options": vars(part.recommender),
                "weight": part.weight,
            }
            for part in self.parts
        ]
        text = json.dumps({"parts": described, "items": self.items}, indent=1)
        (folder / "model.json").write_text(text)
        for number, part in enumerate(self.parts):
            np.savez(folder / f"part_{number}.npz", allow_pickle=False, **part.arrays)
        np.save(folder / "counts.npy", self.counts, allow_pickle=False)

    @classmethod
    def load(cls, folder: Path) -> AudienceModel:
        """Read a model that `save` wrote."""
        described = json.loads((folder / "model.json").read_text())
        parts = []
        for number, entry in enumerate(described["parts"]):
            with np.load(folder / f"part_{number}.npz", allow_pickle=False) as stored:
                arrays = {key: stored[key] for key in stored.files}
            recommender = _FAMILIES[entry["family"]](**entry["options"])
            parts.append(Part(entry["name"], recommender, arrays, entry["weight"]))
        counts = np.load(folder / "counts.npy", allow_pickle=False)
        return cls(parts, tuple(described["items"]), counts)


class Workshop:
    """Fits the recommenders that the parameters name, each once, on one set of rows.

    Args:
        data: the rows.
        params: of the model.
        checkpoints: of this training.
        step: what the rows are, among the steps of the training.
    """

    def __init__(
        self,
        data: Interactions,
        params: Mapping[str, Any],
        checkpoints: Checkpoints | None = None,
        step: str = "",
    ) -> None:
        self.data = data
        self._checkpoints = checkpoints or Checkpoints()
        self._step = step
        self._options: Mapping[str, Any] = params["recommenders"]
        self._blends: Mapping[str, Any] = params["blends"]
        self._seed = int(params["seed"])
        self._fitted: dict[Recommender, Arrays] = {}

    def candidates(self) -> list[str]:
        """Names of all that can be fitted; without an order of the rows there is no sequence."""
        names = [*self._options, *self._blends]
        return [n for n in names if self.data.time is not None or not self._needs_order(n)]

    def model(self, name: str) -> AudienceModel:
        """Fit what the candidate consists of.

        Raises:
            ConfigurationError: if the parameters name no such family or option.
        """
        weights = self._blends.get(name, {name: 1.0})
        parts = []
        for part, weight in weights.items():
            recommender = self._recommender(part)
            parts.append(Part(part, recommender, self._arrays(part, recommender), float(weight)))
        return AudienceModel(parts, self.data.items, self.data.counts())

    def _needs_order(self, name: str) -> bool:
        return any(
            self._options[part]["family"] == "sequential"
            or (self._options[part]["family"] != "two_tower" and self._options[part].get("recency"))
            for part in self._blends.get(name, {name: 1.0})
        )

    def _recommender(self, name: str) -> Recommender:
        options = dict(self._options[name])
        family = _FAMILIES.get(options.pop("family"))
        known = {field.name for field in fields(family)} if family else set()
        if family is None or not set(options) <= known:
            raise ConfigurationError(
                f"{NAME}: recommender {name} has a family or option that does not exist; families"
                f" are {', '.join(_FAMILIES)}"
            )
        if "seed" in known:
            options.setdefault("seed", self._seed)
        recommender: Recommender = family(**options)
        return recommender

    def _arrays(self, name: str, recommender: Any) -> Arrays:
        """How much recent rows count matters only in scoring, except for the two towers."""
        key = recommender
        if hasattr(key, "recency") and not isinstance(key, TwoTower):
            key = replace(key, recency=None)
        if key not in self._fitted:
            self._fitted[key] = self._checkpoints.arrays(
                f"{self._step} {name}", lambda: recommender.fit(self.data)
            )
        return self._fitted[key]


def top_items(scores: Scores, k: int) -> Any:
    """Indices of the `k` largest scores of each row, best first; equal ones by index."""
    best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    best.sort(axis=1)
    order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable")
    return np.take_along_axis(best, order, axis=1)


def with_traits(data: Interactions) -> Interactions:
    """Add what the name of a segment says of it: country, niche and language."""
    return replace(data, traits={name: segment_traits(name) for name in data.users})


def segment_traits(segment: str) -> tuple[str, ...]:
    """`US/gaming/en` as `country=US`, `niche=gaming`, `language=en`."""
    values: Iterable[str] = segment.split("/")
    keys = ("country", "niche", "language")
    return tuple(f"{key}={value}" for key, value in zip(keys, values, strict=False))


def _family(recommender: Recommender) -> str:
    return next(name for name, kind in _FAMILIES.items() if type(recommender) is kind)
