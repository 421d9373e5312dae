"""Where items and topics are compared: a sentence embedding beside weighted words.

The embedding knows that "iPhone X hands-on" and "Apple's new phone" are near. The words know that
"Log4j" is rare and tell titles apart that only share a language. A vector is the two side by side,
each scaled by the square root of its weight, so that the product of two vectors of unit length is
the weighted mean of the two cosines. Sums of vectors are kept unscaled: the direction of a sum is
the centroid, and its length says how coherent the members are.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse  # type: ignore[import-untyped]

from ml.topics.embeddings import WIDTH, Vectors
from ml.topics.labels import KIND_WORDS, LETTERS

# Chosen on the `dev` parts of tests/bench/topic_sample.csv, together with the thresholds in
# clusters.py. The encoder learned from English: titles in other scripts lie close together
# whatever they are about, so their words count for more.
_EMBEDDING_WEIGHT = 0.6
_EMBEDDING_WEIGHT_OTHER_SCRIPT = 0.4
_LATIN_SHARE = 0.7
_LAST_LATIN = 0x24F

_WORD = re.compile(LETTERS)
_MIN_CHARS = 2

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Points:
    """Sums of unit vectors, one a row: of an item by itself or of all items of a topic.

    Attributes:
        embeddings: shape (rows, 384), already scaled.
        words: sparse, shape (rows, terms), already scaled.
        sizes: how many items each row is the sum of.
    """

    embeddings: Vectors
    words: Any
    sizes: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.sizes)

    def take(self, rows: Sequence[int] | npt.NDArray[np.int64]) -> Points:
        """Some of the rows."""
        return Points(self.embeddings[rows], self.words[rows], self.sizes[rows])

    def followed_by(self, other: Points) -> Points:
        """These rows, then those."""
        return Points(
            embeddings=np.concatenate([self.embeddings, other.embeddings]),
            words=sparse.vstack([self.words, other.words], format="csr"),
            sizes=np.concatenate([self.sizes, other.sizes]),
        )

    def grouped(self, groups: Sequence[int], count: int) -> Points:
        """The sum of the rows of each group; `groups` has one number below `count` a row."""
        ones = np.ones(len(self), dtype=np.float32)
        member = sparse.csr_matrix((ones, (groups, np.arange(len(self)))), shape=(count, len(self)))
        return Points(
            embeddings=np.asarray(member @ self.embeddings, dtype=np.float32),
            words=member @ self.words,
            sizes=np.bincount(groups, weights=self.sizes, minlength=count).astype(np.int64),
        )

    def products(self, other: Points) -> Floats:
        """Inner products of all rows with all rows of `other`."""
        words = (self.words @ other.words.T).toarray()
        return np.asarray(self.embeddings @ other.embeddings.T + words, dtype=np.float32)

    def square_norms(self) -> Floats:
        """Inner product of each row with itself."""
        words = np.asarray(self.words.multiply(self.words).sum(axis=1)).ravel()
        return np.asarray((self.embeddings**2).sum(axis=1) + words, dtype=np.float32)


@dataclass(frozen=True)
class Words:
    """What an item says: its title and tags.

    A word that stands in many tags counts more: it names what the item is about.
    """

    title: str
    tags: tuple[str, ...] = ()

    @property
    def all(self) -> str:
        """Title and tags as one text."""
        return " ".join([self.title, *self.tags])


class Space:
    """Weights words by how rare they are among the items that it is built from."""

    def __init__(self, items: Sequence[Words]) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        # Words that say what kind of thing an item is would make all lyric videos one topic.
        self._words = TfidfVectorizer(sublinear_tf=True, analyzer=_analysed, dtype=np.float32)
        # A placeholder keeps a batch without any word from being an error.
        self._words.fit([*(item.all for item in items), "nothing"])

    def sums(self, groups: Sequence[Sequence[Words]], means: Vectors) -> Points:
        """Groups of items as points, from their words and their mean embeddings."""
        items = [item for group in groups for item in group]
        sizes = np.array([len(group) for group in groups], dtype=np.int64)
        rows = np.repeat(np.arange(len(groups)), sizes)
        ones = np.ones(len(items), dtype=np.float32)
        member = sparse.csr_matrix(
            (ones, (rows, np.arange(len(items)))), shape=(len(groups), len(items))
        )
        return Points(
            embeddings=means.reshape(-1, WIDTH) * (member @ embedding_scales(items))[:, None],
            words=member @ self.words(items),
            sizes=sizes,
        )

    def points(self, items: Sequence[Words], embeddings: Vectors) -> Points:
        """Items as points of unit length (shorter without a known word)."""
        scales = embedding_scales(items)
        return Points(
            embeddings=embeddings.reshape(-1, WIDTH) * scales[:, None],
            words=self.words(items),
            sizes=np.ones(len(items), dtype=np.int64),
        )

    def words(self, items: Sequence[Words]) -> Any:
        """The word part of items alone, scaled."""
        if not items:
            return sparse.csr_matrix((0, len(self._words.vocabulary_)), dtype=np.float32)
        scales = np.sqrt(1 - embedding_scales(items) ** 2)
        counted = self._words.transform([item.all for item in items])
        return sparse.csr_matrix(sparse.diags_array(scales) @ counted, dtype=np.float32)


def embedding_scales(items: Sequence[Words]) -> Floats:
    """Square root of the weight of each item's embedding."""
    latin = [latin_share(item.title) >= _LATIN_SHARE for item in items]
    weights = np.where(latin, _EMBEDDING_WEIGHT, _EMBEDDING_WEIGHT_OTHER_SCRIPT)
    return np.sqrt(weights.astype(np.float32))


def _analysed(text: str) -> list[str]:
    words = _WORD.findall(text.lower())
    return [word for word in words if len(word) >= _MIN_CHARS and word not in KIND_WORDS]


def latin_share(text: str) -> float:
    """Share of Latin among the letters; 1 without letters."""
    letters = [ord(c) for c in text if c.isalpha()]
    return sum(code <= _LAST_LATIN for code in letters) / len(letters) if letters else 1.0


def bounded(anchor: Vectors, mean: Vectors, min_cosine: float) -> Vectors:
    """`mean`, turned towards `anchor` as far as needed to keep the angle between them.

    Its length stays. So a topic can follow its news, and never becomes another one.
    """
    length = float(np.linalg.norm(mean))
    unit = float(np.linalg.norm(anchor))
    if length == 0 or unit == 0:
        return mean
    towards, direction = anchor / unit, mean / length
    cosine = float(towards @ direction)
    if cosine >= min_cosine:
        return mean
    across = direction - cosine * towards
    width = float(np.linalg.norm(across))
    if width == 0:
        return np.asarray(towards * length, dtype=np.float32)
    turned = min_cosine * towards + np.sqrt(1 - min_cosine**2) * across / width
    return np.asarray(turned * length, dtype=np.float32)
