"""Recommenders without a network: popularity, item-kNN, EASE, iALS and a sequence-aware kNN.

Each is a set of hyper-parameters with two methods: `fit` turns rows into arrays about the items,
`score` folds the history of any user into them. So a user who came after training, and what a user
did after training, count at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy import linalg, sparse  # type: ignore[import-untyped]

from ml.audience.interactions import Interactions

Arrays = dict[str, npt.NDArray[Any]]
Scores = npt.NDArray[np.float32]


class Recommender(Protocol):
    """What every family does."""

    def fit(self, data: Interactions) -> Arrays:
        """Learn from the rows."""
        ...

    def score(self, arrays: Mapping[str, npt.NDArray[Any]], data: Interactions) -> Scores:
        """Scores of all items for all users, shape (users, items), from their histories."""
        ...


@dataclass(frozen=True)
class Popularity:
    """The number of users of an item, the same for everyone."""

    def fit(self, data: Interactions) -> Arrays:
        """Count."""
        return {"counts": data.counts()}

    def score(self, arrays: Mapping[str, npt.NDArray[Any]], data: Interactions) -> Scores:
        """The counts, once per user."""
        return np.tile(arrays["counts"].astype(np.float32), (len(data.users), 1))


@dataclass(frozen=True)
class ItemKnn:
    """Cosine similarity of items with shrinkage, the nearest ones only (Sarwar et al. 2001)."""

    neighbours: int = 100
    shrink: float = 20.0
    recency: float | None = None

    def fit(self, data: Interactions) -> Arrays:
        """Keep the nearest items of each item."""
        rated = data.matrix().tocsc()
        root = np.sqrt(data.counts() + self.shrink)
        kept = []
        for start in range(0, len(data.items), 512):
            block = (rated[:, start : start + 512].T @ rated).toarray()
            block /= root[start : start + 512, None] * root
            own = np.arange(len(block))
            block[own, start + own] = 0
            if self.neighbours < block.shape[1]:
                least = np.partition(block, -self.neighbours, axis=1)[:, -self.neighbours]
                block[block < least[:, None]] = 0
            kept.append(sparse.csr_array(block))
        return pack("similar", sparse.vstack(kept, format="csr").T.tocsr())

    def score(self, arrays: Mapping[str, npt.NDArray[Any]], data: Interactions) -> Scores:
        """Sum of the similarities to what the user took to."""
        return _dense(data.matrix(self.recency) @ unpack("similar", arrays))


@dataclass(frozen=True)
class Ease:
    """Linear item-to-item weights with a zero diagonal, in closed form (Steck 2019).

    With fewer users than items the inverse of the items' Gram matrix comes from that of the users'
    by the Woodbury identity, so the cost follows the smaller side.
    """

    l2: float = 400.0
    recency: float | None = None

    def fit(self, data: Interactions) -> Arrays:
        """Invert the smaller of the two Gram matrices, plus `l2` on its diagonal."""
        rated = data.matrix()
        if rated.shape[1] <= rated.shape[0]:
            gram = (rated.T @ rated).toarray()
            gram.flat[:: len(gram) + 1] += self.l2
            inverse = linalg.inv(gram, overwrite_a=True, check_finite=False)
            return {"inverse": inverse.astype(np.float32), "diagonal": np.diag(inverse).copy()}
        dense = rated.toarray()
        gram = dense @ dense.T
        gram.flat[:: len(gram) + 1] += self.l2
        solved = linalg.solve(gram, dense, assume_a="pos", overwrite_a=True, check_finite=False)
        diagonal = (1 - (dense * solved).sum(axis=0)) / self.l2
        parts = pack("rated", rated)
        return {"solved": solved.astype(np.float32), "diagonal": diagonal, **parts}

    def score(self, arrays: Mapping[str, npt.NDArray[Any]], data: Interactions) -> Scores:
        """Q - Q P / diag(P), which is Q B with B = I - P / diag(P)."""
        history = data.matrix(self.recency)
        if "inverse" in arrays:
            product = history @ arrays["inverse"]
        else:
            known = (history @ unpack("rated", arrays).T).toarray()
            product = (history.toarray() - known @ arrays["solved"]) / self.l2
        return _dense(history.toarray() - product / arrays["diagonal"])


@dataclass(frozen=True)
class Ials:
    """Implicit alternating least squares (Hu, Koren and Volinsky 2008).

    The loss and its regularisation that grows with frequency are those of Rendle et al. 2022,
    "Revisiting the performance of iALS": sum over the rows of (1 - s)^2, plus `unobserved` times
    the sum of s^2 over all pairs, plus `l2` * (rows + unobserved * others)^`power` * |vector|^2.
    """

    factors: int = 64
    unobserved: float = 0.3
    l2: float = 0.01
    power: float = 1.0
    rounds: int = 6
    seed: int = 42
    recency: float | None = None

    def fit(self, data: Interactions) -> Arrays:
        """Alternate; only the vectors of the items are kept."""
        rated = data.matrix()
        by_item = rated.T.tocsr()
        spread = 0.1 / np.sqrt(self.factors)
        random = np.random.default_rng(self.seed)
        items = random.normal(0, spread, (len(data.items), self.factors))
        for _ in range(self.rounds):
            users = self._solve(rated, items)
            items = self._solve(by_item, users)
        return {"items": items}

    def score(self, arrays: Mapping[str, npt.NDArray[Any]], data: Interactions) -> Scores:
        """Solve for the user's vector given its history, and multiply."""
        return _dense(self._solve(data.matrix(self.recency), arrays["items"]) @ arrays["items"].T)

    def _solve(self, rated: Any, other: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Least squares vector of each row of `rated`, the vectors of the columns given."""
        shared = self.unobserved * other.T @ other
        solved = np.zeros((rated.shape[0], self.factors))
        for row in range(rated.shape[0]):
            part = slice(rated.indptr[row], rated.indptr[row + 1])
            weight = rated.data[part]
            if not len(weight):
                continue
            vectors = other[rated.indices[part]]
            normal = shared + (vectors.T * weight) @ vectors
            frequency = weight.sum() + self.unobserved * len(other)
            normal.flat[:: self.factors + 1] += self.l2 * frequency**self.power
            solved[row] = linalg.solve(normal, weight @ vectors, assume_a="pos", check_finite=False)
        return solved


@dataclass(frozen=True)
class Sequential:
    """What follows what: pairs of a history weigh the more the closer they were in its order.

    An item-kNN on ordered histories in the spirit of the session-based kNN with distance weights
    of Ludewig and Jannach (2018). A pair `gap` rows apart weighs 1 / (1 + gap / `reach`), against
    the order of time `backward` times as much; pairs of one moment have no direction.
    """

    window: int = 40
    reach: float = 3.0
    backward: float = 0.5
    shrink: float = 10.0
    recency: float | None = 1.0

    def fit(self, data: Interactions) -> Arrays:
        """Add up the pairs, divided by the roots of how common both items are."""
        ages = data.ages()
        size = len(data.items)
        total = sparse.csr_array((size, size))
        for step in range(1, self.window + 1):
            same = data.user[:-step] == data.user[step:]
            first, second = data.item[:-step][same], data.item[step:][same]
            gap = ages[:-step][same] - ages[step:][same]
            weight = 1 / (1 + gap / self.reach)
            reverse = np.where(gap > 0, self.backward, 1.0) * weight
            rows, columns = np.r_[first, second], np.r_[second, first]
            pairs = (np.r_[weight, reverse], (rows, columns))
            total = total + sparse.csr_array(pairs, shape=(size, size))
        root = sparse.diags_array(1 / np.sqrt(data.counts() + self.shrink))
        return pack("follows", (root @ total @ root).tocsr())

    def score(self, arrays: Mapping[str, npt.NDArray[Any]], data: Interactions) -> Scores:
        """Sum over the history, the latest rows first in weight."""
        return _dense(data.matrix(self.recency) @ unpack("follows", arrays))


def pack(name: str, matrix: Any) -> Arrays:
    """A sparse matrix as plain arrays."""
    return {
        f"{name}.data": matrix.data,
        f"{name}.indices": matrix.indices,
        f"{name}.indptr": matrix.indptr,
        f"{name}.shape": np.array(matrix.shape),
    }


def unpack(name: str, arrays: Mapping[str, npt.NDArray[Any]]) -> Any:
    """The sparse matrix that `pack` took apart."""
    parts = tuple(arrays[f"{name}.{part}"] for part in ("data", "indices", "indptr"))
    return sparse.csr_array(parts, shape=tuple(arrays[f"{name}.shape"]))


def _dense(scores: Any) -> Scores:
    full = scores.toarray() if hasattr(scores, "toarray") else scores
    return np.asarray(full, dtype=np.float32)
