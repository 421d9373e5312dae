"""Ways to expect the label of a title: trees, words, both, or a fine-tuned encoder.

Each is saved as JSON, plain arrays or safetensors, so that loading one runs no code.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from ml.exceptions import FatalError
from ml.quality.engagement import features
from ml.quality.engagement.features import NEARNESS, PLAIN, Vectors
from ml.quality.engagement.transformer import TitleTransformer

if TYPE_CHECKING:
    import pandas as pd

Array = npt.NDArray[np.float64]

_SIGNALS = 5


class Predictor(Protocol):
    """Anything that orders titles by their expected label."""

    kind: str
    needs_vectors: bool

    def score(self, frame: pd.DataFrame, vectors: Vectors, /) -> Array:
        """Expected labels, shape (n,)."""
        ...

    def signals(self, frame: pd.DataFrame, vectors: Vectors, /) -> list[dict[str, float]]:
        """What each feature adds to the score of a row, the largest first."""
        ...

    def save(self, folder: Path) -> None:
        """Write to an existing folder."""
        ...


@dataclass(frozen=True)
class Projection:
    """Principal components of title embeddings."""

    mean: Array
    axes: Array

    def __call__(self, vectors: npt.NDArray[Any]) -> Array:
        """Coordinates, shape (n, components)."""
        return np.asarray((vectors - self.mean) @ self.axes.T, dtype=np.float64)


class Trees:
    """Gradient-boosted trees on plain features, and on meaning where there is a projection."""

    def __init__(self, booster: Any, projection: Projection | None = None) -> None:
        self.booster = booster
        self.projection = projection
        self.kind = "trees_text" if projection else "trees_plain"
        self.needs_vectors = projection is not None

    def score(self, frame: pd.DataFrame, vectors: Vectors, /) -> Array:
        """Expected labels, shape (n,)."""
        return np.asarray(self.booster.predict(self._matrix(frame, vectors)), dtype=np.float64)

    def signals(self, frame: pd.DataFrame, vectors: Vectors, /) -> list[dict[str, float]]:
        """SHAP values (Lundberg and Lee 2017) of XGBoost; components of meaning are summed up."""
        matrix = self._matrix(frame, vectors)
        found = []
        for row in self.booster.predict(matrix, pred_contribs=True)[:, :-1]:
            total: dict[str, float] = {}
            for name, value in zip(matrix.feature_names, row.tolist(), strict=True):
                group = "meaning" if name.startswith("meaning_") else name
                total[group] = total.get(group, 0.0) + value
            found.append(_strongest(total))
        return found

    def save(self, folder: Path) -> None:
        """Write trees as JSON and the projection as arrays."""
        self.booster.save_model(str(folder / "trees.json"))
        if self.projection:
            np.savez(
                folder / "projection.npz", mean=self.projection.mean, axes=self.projection.axes
            )

    def _matrix(self, frame: pd.DataFrame, vectors: Vectors) -> Any:
        return matrix(frame, vectors, self.projection)


class Network:
    """The fine-tuned encoder as a predictor; it reads the title alone and gives no reasons."""

    kind = "transformer"
    needs_vectors = False

    def __init__(self, folder: Path) -> None:
        self._network = TitleTransformer(folder)

    def score(self, frame: pd.DataFrame, _vectors: Vectors, /) -> Array:
        """Expected labels, shape (n,)."""
        return self._network.score(frame["title"].tolist())

    def signals(self, frame: pd.DataFrame, _vectors: Vectors, /) -> list[dict[str, float]]:
        """Nothing: additive reasons exist for trees only."""
        return [{} for _ in range(len(frame))]

    def save(self, folder: Path) -> None:
        """Copy what was learnt."""
        for path in self._network.folder.iterdir():
            (folder / path.name).write_bytes(path.read_bytes())


class Words:
    """Ridge regression on TF-IDF of words and pairs of words."""

    kind = "ridge_tfidf"
    needs_vectors = False

    def __init__(self, vectorizer: Any, weights: Array, intercept: float) -> None:
        self.vectorizer = vectorizer
        self.weights = weights
        self.intercept = intercept

    def score(self, frame: pd.DataFrame, _vectors: Vectors, /) -> Array:
        """Expected labels, shape (n,)."""
        return np.asarray(self.vectorizer.transform(frame["title"]) @ self.weights + self.intercept)

    def signals(self, frame: pd.DataFrame, _vectors: Vectors, /) -> list[dict[str, float]]:
        """What each word adds, as `word: ...`: in a linear model its SHAP value but a constant."""
        terms = self.vectorizer.get_feature_names_out()
        found = []
        for row in self.vectorizer.transform(frame["title"]):
            added = row.data * self.weights[row.indices]
            names = (f"word: {terms[index]}" for index in row.indices)
            found.append(_strongest(dict(zip(names, added.tolist(), strict=True))))
        return found

    def save(self, folder: Path) -> None:
        """Write the vocabulary as JSON and the weights as arrays."""
        terms = self.vectorizer.get_feature_names_out().tolist()
        (folder / "terms.json").write_text(json.dumps(terms))
        np.savez(
            folder / "words.npz",
            idf=self.vectorizer.idf_,
            weights=self.weights,
            intercept=np.array([self.intercept]),
        )


class Blend:
    """The mean of words and trees: what a title is about, and how it is written."""

    kind = "blend"
    needs_vectors = True

    def __init__(self, words: Words, trees: Trees) -> None:
        self.parts: tuple[Words, Trees] = (words, trees)

    def score(self, frame: pd.DataFrame, vectors: Vectors, /) -> Array:
        """Expected labels, shape (n,)."""
        return np.asarray(np.mean([part.score(frame, vectors) for part in self.parts], axis=0))

    def signals(self, frame: pd.DataFrame, vectors: Vectors, /) -> list[dict[str, float]]:
        """The strongest of both parts, each halved as the mean does."""
        halves = zip(*(part.signals(frame, vectors) for part in self.parts), strict=True)
        return [
            _strongest({name: value / 2 for half in row for name, value in half.items()})
            for row in halves
        ]

    def save(self, folder: Path) -> None:
        """Write both parts, whose files have different names."""
        for part in self.parts:
            part.save(folder)


def vectorizer(**learnt: Any) -> Any:
    """TF-IDF of words and pairs of words."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(**{"ngram_range": (1, 2), "min_df": 3, "sublinear_tf": True, **learnt})


def load_predictor(kind: str, folder: Path) -> Predictor:
    """Read what the `save` of that kind wrote.

    Raises:
        FatalError: if there is no such kind.
    """
    loaders: dict[str, Callable[[Path], Predictor]] = {
        Network.kind: Network,
        Words.kind: _load_words,
        "trees_plain": _load_trees,
        "trees_text": _load_trees,
        Blend.kind: lambda path: Blend(_load_words(path), _load_trees(path)),
    }
    if kind not in loaders:
        raise FatalError(f"{folder} holds a model of an unknown kind, {kind}")
    return loaders[kind](folder)


def _load_trees(folder: Path) -> Trees:
    import xgboost

    booster, path = (
        xgboost.Booster(model_file=str(folder / "trees.json")),
        folder / "projection.npz",
    )
    if not path.is_file():
        return Trees(booster)
    with np.load(path, allow_pickle=False) as arrays:
        return Trees(booster, Projection(arrays["mean"], arrays["axes"]))


def _load_words(folder: Path) -> Words:
    with np.load(folder / "words.npz", allow_pickle=False) as arrays:
        known = vectorizer(vocabulary=json.loads((folder / "terms.json").read_text()))
        known.idf_ = arrays["idf"]
        return Words(known, arrays["weights"], float(arrays["intercept"][0]))


def _strongest(added: dict[str, float]) -> dict[str, float]:
    ranked = sorted(added.items(), key=lambda item: -abs(item[1]))
    return {name: round(value, 4) for name, value in ranked[:_SIGNALS] if value}


def matrix(frame: pd.DataFrame, vectors: Vectors, projection: Projection | None) -> Any:
    """What the trees see, as XGBoost takes it, with names."""
    import xgboost

    columns, names = [features.plain(frame)], list(PLAIN)
    if projection:
        coordinates = projection(features.meaning(frame, vectors))
        columns += [features.nearness(frame, vectors), coordinates]
        names += [*NEARNESS, *(f"meaning_{i}" for i in range(coordinates.shape[1]))]
    return xgboost.DMatrix(np.hstack(columns), feature_names=names)
