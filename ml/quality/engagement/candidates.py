"""What may become the model, and the plain methods that it has to beat."""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ml.exceptions import FatalError
from ml.quality.engagement import features, transformer
from ml.quality.engagement.evaluate import GATE_METRIC, measure
from ml.quality.engagement.features import Vectors
from ml.quality.engagement.label import Parts
from ml.quality.engagement.predictors import (
    Array,
    Blend,
    Network,
    Predictor,
    Projection,
    Trees,
    Words,
    matrix,
    vectorizer,
)
from ml.registry.checkpoints import Arrays, Checkpoints

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Setting:
    """What fits need beside rows.

    Attributes:
        vectors: embeddings of every title and earlier title.
        params: of the model.
        seed: of whatever is drawn.
        folders: closes what candidates write.
        checkpoints: of this training.
    """

    vectors: Vectors
    params: dict[str, Any]
    seed: int
    folders: ExitStack
    checkpoints: Checkpoints = field(default_factory=Checkpoints)


def choose(
    draws: Sequence[Parts], setting: Setting
) -> tuple[str, Array, dict[str, dict[str, float]]]:
    """Compare the candidates on the validation parts: the best mean of Spearman wins.

    Returns:
        Name of the winner, its errors (label minus score) on all parts, and the mean figures.
    """
    figures: dict[str, dict[str, float]] = {}
    errors: dict[str, Array] = {}
    for name in setting.params["candidates"]:
        found, missed = [], []
        for parts in draws:
            label = parts.test["label"].to_numpy()
            scores = fit(name, parts.train, setting).score(parts.test, setting.vectors)
            found.append(measure(label, scores))
            missed.append(label - scores)
        figures[name] = {key: float(np.mean([one[key] for one in found])) for key in found[0]}
        errors[name] = np.concatenate(missed)
        log.info("%s: %s %.4f on validation", name, GATE_METRIC, figures[name][GATE_METRIC])
    winner = max(figures, key=lambda name: figures[name][GATE_METRIC])
    return winner, errors[winner], figures


def fit(name: str, train: pd.DataFrame, setting: Setting) -> Predictor:
    """Fit one candidate on labelled rows, oldest first.

    Raises:
        FatalError: if there is no such candidate.
    """
    if name == "trees_plain":
        return _trees(train, setting, None)
    if name == "trees_text":
        return _trees(train, setting, _projection(train, setting))
    if name == "ridge_tfidf":
        return _words(train, setting)
    if name == "blend":
        projection = _projection(train, setting)
        return Blend(_words(train, setting), _trees(train, setting, projection))
    if name == "transformer":
        return _network(train, setting)
    raise FatalError(
        f"{name} is no candidate: trees_plain, trees_text, ridge_tfidf, blend or transformer"
    )


def fit_baselines(parts: Parts, setting: Setting) -> dict[str, Array]:
    """Scores of the plain methods on the test part, with the strengths of the parameters."""
    train, test = parts.train, parts.test
    return {
        "channel_mean": np.zeros(len(test)),
        "ridge_tfidf": _words(train, setting).score(test, setting.vectors),
        "ridge_plain": _plain(train, test, setting.params["strengths"]["ridge_plain"]),
        "linear_embeddings": _embeddings(train, test, setting),
    }


def _trees(train: pd.DataFrame, setting: Setting, projection: Projection | None) -> Trees:
    import xgboost

    data = matrix(train, setting.vectors, projection)
    data.set_label(train["label"].to_numpy())
    options = {
        "objective": "reg:squarederror",
        "tree_method": "hist",
        "seed": setting.seed,
        **setting.params["trees"],
    }
    return Trees(xgboost.train(options, data, setting.params["rounds"]), projection)


def _projection(train: pd.DataFrame, setting: Setting) -> Projection:
    from sklearn.decomposition import PCA

    found = PCA(
        setting.params["meaning_components"], svd_solver="covariance_eigh",
        random_state=setting.seed,
    ).fit(features.meaning(train, setting.vectors).astype(np.float64))  # fmt: skip
    return Projection(found.mean_, found.components_)


def _words(train: pd.DataFrame, setting: Setting) -> Words:
    from sklearn.linear_model import Ridge

    words = vectorizer()
    rows = words.fit_transform(train["title"])
    fitted = Ridge(setting.params["strengths"]["ridge_tfidf"], solver="lsqr")
    fitted.fit(rows, train["label"])
    return Words(words, np.asarray(fitted.coef_, dtype=np.float64), float(fitted.intercept_))


def _network(train: pd.DataFrame, setting: Setting) -> Network:
    folder = Path(setting.folders.enter_context(tempfile.TemporaryDirectory()))
    recipe = transformer.Recipe(**setting.params["transformer"])
    titles, labels = train["title"].tolist(), train["label"].to_numpy()
    # The rows name the step: the same network is fitted on several parts.
    step = f"transformer {hashlib.sha256(json.dumps(titles).encode()).hexdigest()[:16]}"

    def learnt() -> Arrays:
        state = setting.checkpoints.scratch(step)
        transformer.train(titles, labels, recipe, setting.seed, folder, state)
        return transformer.as_arrays(folder)

    transformer.write_arrays(setting.checkpoints.arrays(step, learnt), folder)
    return Network(folder)


def _plain(train: pd.DataFrame, test: pd.DataFrame, strength: float) -> Array:
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    # A category is no quantity.
    def inputs(frame: pd.DataFrame) -> npt.NDArray[Any]:
        return np.delete(features.plain(frame), features.PLAIN.index("category_id"), axis=1)

    fill = SimpleImputer(strategy="mean", keep_empty_features=True)
    model = make_pipeline(fill, StandardScaler(), Ridge(strength))
    model.fit(inputs(train), train["label"])
    return np.asarray(model.predict(inputs(test)), dtype=np.float64)


def _embeddings(train: pd.DataFrame, test: pd.DataFrame, setting: Setting) -> Array:
    from sklearn.linear_model import Ridge

    model = Ridge(setting.params["strengths"]["linear_embeddings"])
    model.fit(features.meaning(train, setting.vectors), train["label"])
    return np.asarray(model.predict(features.meaning(test, setting.vectors)), dtype=np.float64)
