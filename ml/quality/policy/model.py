"""`quality_policy`: three text classifiers, each a blend of logistic regressions.

A model is a folder of JSON and number files, so that loading one runs no code that came with it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ml.quality.policy.heuristics import coherence, readability
from ml.quality.policy.texts import TASKS, Task, clean, mood
from ml.quality.style import style
from ml.topics.embeddings import encode

if TYPE_CHECKING:
    import pandas as pd

Array = npt.NDArray[np.float64]

# A mark is a token of its own: punctuation is the style of a title.
_TOKEN = r"\d+|\w+(?:'\w+)?|[^\w\s]"  # noqa: S105 - a pattern
_LIMIT = 4.0  # standard deviations a measure of style may be away, so that no one rules
# Inverse regularisation (C) of the parts on numbers, whose rows are longer than those of TF-IDF.
_DENSE = {"meaning": 0.01, "style": 0.1, "mood": 0.1}
BASELINE = "tfidf_logistic"


@dataclass(frozen=True)
class Linear:
    """A logistic regression: its margin is `((x - mean) / scale) @ weights + intercept`.

    Attributes:
        vectorizer: makes TF-IDF rows of texts; None where the caller gives numbers.
        spread: mean and standard deviation of the margins on the training rows.
    """

    weights: Array
    intercept: float
    mean: Array
    scale: Array
    spread: tuple[float, float]
    vectorizer: Any = None

    def margin(self, rows: Any) -> Array:
        """Margins of texts, shape (n,), or of rows of numbers, shape (n, width)."""
        if not len(rows):  # scikit-learn refuses them
            return np.zeros(0)
        if self.vectorizer is not None:
            product = self.vectorizer.transform(rows) @ self.weights
        else:
            product = np.clip((rows - self.mean) / self.scale, -_LIMIT, _LIMIT) @ self.weights
        return np.asarray(product + self.intercept, dtype=np.float64)

    def standard(self, rows: Any) -> Array:
        """Margins in standard deviations of those in training, so that parts can be added."""
        return (self.margin(rows) - self.spread[0]) / self.spread[1]


def fit_linear(
    rows: Any,
    labels: npt.NDArray[Any],
    strength: float,
    vectorizer: Any = None,
    class_weight: str | None = "balanced",
) -> Linear:
    """Fit one part: from texts if there is a vectorizer, or else from rows of numbers."""
    from sklearn.linear_model import LogisticRegression

    if vectorizer is None:
        mean, scale = rows.mean(axis=0), rows.std(axis=0) + 1e-6
        matrix = np.clip((rows - mean) / scale, -_LIMIT, _LIMIT)
    else:
        mean = scale = np.zeros(0)
        matrix = vectorizer.fit_transform(rows)
    fitted = LogisticRegression(
        C=strength, solver="liblinear", class_weight=class_weight, random_state=0, tol=1e-3
    ).fit(matrix, labels)
    margins = fitted.decision_function(matrix)
    spread = (float(margins.mean()), float(margins.std()) + 1e-9)
    weights = np.asarray(fitted.coef_[0], dtype=np.float64)
    return Linear(weights, float(fitted.intercept_[0]), mean, scale, spread, vectorizer)


def _options(part: str, lowercase: bool) -> dict[str, Any]:
    """Settings of the TF-IDF of a part."""
    if part == BASELINE:
        return {}
    shared = {"sublinear_tf": True, "lowercase": lowercase}
    if part == "words":
        return {**shared, "ngram_range": (1, 2), "min_df": 2, "token_pattern": _TOKEN}
    return {**shared, "analyzer": "char_wb", "ngram_range": (2, 4), "min_df": 5}


def _vectorizer(part: str, lowercase: bool, **learnt: Any) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(**{**_options(part, lowercase), **learnt})


@dataclass(frozen=True)
class Classifier:
    """One task: some of the parts words, characters, meaning, style and mood, and a baseline.

    Attributes:
        curve: slope and intercept from the blend to log odds (Platt 1999).
    """

    task: Task
    lowercase: bool
    parts: dict[str, Linear]
    baseline: Linear
    curve: tuple[float, float] = (1.0, 0.0)

    def vectors(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Sentence embeddings of the texts, shape (n, 384); of width 0 where no part reads them."""
        return encode(texts) if "meaning" in self.parts else np.zeros((len(texts), 0), np.float32)

    def margin(self, texts: Sequence[str], vectors: npt.NDArray[np.float32]) -> Array:
        """Sum of the parts in standard deviations, shape (n,); larger is more likely.

        The parts count alike: weights learnt on one channel or place do not carry over.

        Args:
            texts: cleaned for the task.
            vectors: their sentence embeddings, shape (n, 384).
        """
        total = np.zeros(len(texts))
        for name, part in self.parts.items():
            total += part.standard(_rows(name, texts, vectors))
        return total

    def probability(self, texts: Sequence[str], vectors: npt.NDArray[np.float32]) -> Array:
        """Probability of the label, calibrated on held-out rows of the kind it was trained on."""
        slope, intercept = self.curve
        return np.asarray(1 / (1 + np.exp(-(slope * self.margin(texts, vectors) + intercept))))

    def save(self, folder: Path) -> None:
        """Write vocabularies as JSON and weights as one file of arrays."""
        folder.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, Any] = {}
        terms: dict[str, list[str]] = {}
        for name, part in {**self.parts, BASELINE: self.baseline}.items():
            arrays |= {f"{name}.weights": part.weights, f"{name}.mean": part.mean}
            arrays |= {f"{name}.scale": part.scale}
            arrays[f"{name}.numbers"] = np.array([part.intercept, *part.spread])
            if part.vectorizer is not None:
                terms[name] = part.vectorizer.get_feature_names_out().tolist()
                arrays[f"{name}.idf"] = part.vectorizer.idf_
        np.savez_compressed(folder / "weights.npz", **arrays)
        (folder / "terms.json").write_text(json.dumps(terms))
        head = {"lowercase": self.lowercase, "curve": self.curve, "parts": list(self.parts)}
        (folder / "classifier.json").write_text(json.dumps(head))

    @classmethod
    def load(cls, folder: Path, task: Task) -> Classifier:
        """Read a classifier that `save` wrote."""
        head = json.loads((folder / "classifier.json").read_text())
        terms = json.loads((folder / "terms.json").read_text())
        parts: dict[str, Linear] = {}
        with np.load(folder / "weights.npz", allow_pickle=False) as arrays:
            for name in (*head["parts"], BASELINE):
                intercept, *spread = arrays[f"{name}.numbers"].tolist()
                vectorizer = None
                if name in terms:
                    vectorizer = _vectorizer(name, head["lowercase"], vocabulary=terms[name])
                    vectorizer.idf_ = arrays[f"{name}.idf"]
                parts[name] = Linear(
                    arrays[f"{name}.weights"], intercept, arrays[f"{name}.mean"],
                    arrays[f"{name}.scale"], (spread[0], spread[1]), vectorizer,
                )  # fmt: skip
        baseline = parts.pop(BASELINE)
        return cls(task, head["lowercase"], parts, baseline, tuple(head["curve"]))


def _rows(part: str, texts: Sequence[str], vectors: npt.NDArray[np.float32]) -> Any:
    """What a part reads: texts, or rows of numbers."""
    if part == "meaning":
        return vectors
    if part in _DENSE:
        return style(texts) if part == "style" else mood(texts)
    return texts


def fit_classifier(
    task: Task,
    texts: Sequence[str],
    labels: npt.NDArray[Any],
    vectors: npt.NDArray[np.float32],
    embedded: npt.NDArray[np.intp],
    params: dict[str, Any],
) -> Classifier:
    """Fit the parts and the baseline of one task.

    Args:
        task: what is classified.
        texts: cleaned texts.
        labels: 0 or 1, shape (n,).
        vectors: embeddings of the texts at `embedded`, shape (m, 384).
        embedded: positions of the embedded texts, shape (m,).
        params: of the task, see `params/quality_policy.yaml`.
    """
    lower = params["lowercase"]
    parts = {}
    for name in params["parts"]:
        rows = _rows(name, texts, vectors)
        if name in _DENSE:
            known = labels[embedded] if name == "meaning" else labels
            parts[name] = fit_linear(rows, known, _DENSE[name])
        else:
            parts[name] = fit_linear(rows, labels, params["strength"], _vectorizer(name, lower))
    baseline = fit_linear(texts, labels, 1.0, _vectorizer(BASELINE, lower), None)
    return Classifier(task, lower, parts, baseline)


class PolicyModel:
    """The three classifiers together; predicts from a column `text`."""

    def __init__(self, classifiers: dict[Task, Classifier]) -> None:
        self.classifiers = classifiers

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Probabilities of the tasks, readability and coherence per row (NaN for short texts)."""
        texts = frame["text"].astype(str).tolist()
        scores: dict[str, Any] = {}
        for task, classifier in self.classifiers.items():
            cleaned = [clean(text, task) for text in texts]
            scores[task] = classifier.probability(cleaned, classifier.vectors(cleaned))
        scores["readability"] = np.array([readability(text) for text in texts])
        scores["coherence"] = coherence(texts)
        return frame[[]].assign(**scores)

    def get_raw_model(self) -> PolicyModel:
        """What MLflow's wrapper hands out: the model with its baselines."""
        return self

    def margins(self, task: Task, texts: Sequence[str]) -> tuple[Array, Array]:
        """Ranking scores of the model and of its baseline, shape (n,) each."""
        classifier = self.classifiers[task]
        cleaned = [clean(text, task) for text in texts]
        margins = classifier.margin(cleaned, classifier.vectors(cleaned))
        return margins, classifier.baseline.margin(cleaned)

    def save(self, folder: Path) -> None:
        """Write one folder a task."""
        for task, classifier in self.classifiers.items():
            classifier.save(folder / task)

    @classmethod
    def load(cls, folder: Path) -> PolicyModel:
        """Read a model that `save` wrote."""
        return cls({task: Classifier.load(folder / task, task) for task in TASKS})
