"""Recommenders in torch: neural collaborative filtering and a two-tower network.

They are candidates like the others and serve only if they win. Learned weights are kept as plain
arrays, so loading a model runs no code that came with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ml.audience.interactions import Interactions
from ml.audience.recommenders import Arrays, Scores

_USERS_AT_ONCE = 16


@dataclass(frozen=True)
class NeuralCf:
    """GMF, MLP and their fusion NeuMF (He et al. 2017), on sampled negatives.

    It knows users by name: what a user did after training does not count, and an unknown user has
    no scores.

    Attributes:
        kind: which of the three.
        embedding: width of a vector of a user or an item, in each part.
        negatives: sampled items per row.
        decay: weight decay of the vectors.
    """

    kind: Literal["gmf", "mlp", "neumf"]
    embedding: int = 32
    negatives: int = 4
    epochs: int = 10
    batch: int = 1024
    rate: float = 0.002
    decay: float = 1e-6
    seed: int = 42

    def fit(self, data: Interactions) -> Arrays:
        """Logistic loss, `negatives` items the user did not take to beside each row."""
        import torch

        random = np.random.default_rng(self.seed)
        taken = data.matrix().toarray() > 0
        with _one_thread(self.seed):
            network = self._network(len(data.users), len(data.items))
            optimiser = torch.optim.Adam(
                network.parameters(), lr=self.rate, weight_decay=self.decay
            )
            for _ in range(self.epochs):
                for rows in _batches(len(data), self.batch, random):
                    users = np.repeat(data.user[rows], 1 + self.negatives)
                    items = random.integers(0, len(data.items), len(users))
                    items[:: 1 + self.negatives] = data.item[rows]
                    label = np.zeros(len(users), dtype=np.float32)
                    label[:: 1 + self.negatives] = 1
                    # A sampled item that the user did take to is no negative.
                    kept = torch.from_numpy((label > 0) | ~taken[users, items])
                    loss = torch.nn.functional.binary_cross_entropy_with_logits(
                        _logits(network, torch.from_numpy(users), torch.from_numpy(items))[kept],
                        torch.from_numpy(label)[kept],
                    )
                    _step(optimiser, loss)
        arrays = {f"net.{key}": value.numpy() for key, value in network.state_dict().items()}
        return {**arrays, "users": np.array(data.users, dtype=np.str_)}

    def score(self, arrays: Mapping[str, npt.NDArray[Any]], data: Interactions) -> Scores:
        """Logits of all items; zeros for a user that was not there in training."""
        import torch

        place = {name: index for index, name in enumerate(arrays["users"].tolist())}
        scores = np.zeros((len(data.users), len(data.items)), dtype=np.float32)
        known = np.array([i for i, name in enumerate(data.users) if name in place], dtype=np.intp)
        mapped = np.array([place[data.users[i]] for i in known], dtype=np.int64)
        with _one_thread(self.seed), torch.no_grad():
            network = self._network(len(place), len(data.items))
            state = {k[4:]: torch.from_numpy(v) for k, v in arrays.items() if k.startswith("net.")}
            network.load_state_dict(state)
            items = torch.arange(len(data.items))
            for start in range(0, len(known), _USERS_AT_ONCE):
                some = torch.from_numpy(mapped[start : start + _USERS_AT_ONCE])
                users = some.repeat_interleave(len(items))
                logits = _logits(network, users, items.repeat(len(some)))
                rows = known[start : start + _USERS_AT_ONCE]
                scores[rows] = logits.reshape(len(some), -1).numpy()
        return scores

    def _network(self, users: int, items: int) -> Any:
        """Tables of vectors, the layers of the MLP and the last layer over both parts."""
        from torch import nn

        width = self.embedding
        network = nn.ModuleDict()
        if self.kind != "mlp":
            network["gmf_user"], network["gmf_item"] = _table(users, width), _table(items, width)
        if self.kind != "gmf":
            network["mlp_user"], network["mlp_item"] = _table(users, width), _table(items, width)
            network["mlp"] = nn.Sequential(
                nn.Linear(2 * width, width), nn.ReLU(), nn.Linear(width, width // 2), nn.ReLU()
            )
        size = {"gmf": width, "mlp": width // 2, "neumf": width + width // 2}[self.kind]
        network["last"] = nn.Linear(size, 1)
        return network


@dataclass(frozen=True)
class TwoTower:
    """One tower makes a vector of a user, one of an item; their product is the score.

    The user's tower sees the items before an event, the later ones with more weight, and its
    traits; the item's tower an own vector and, where there is one, that of its text. So users and
    items without a history have scores. Softmax over the items of a batch, corrected for how often
    an item is in it (Yi et al. 2019).

    Attributes:
        window: how many items before an event count.
        temperature: of the softmax, on vectors of unit length.
    """

    embedding: int = 64
    window: int = 20
    epochs: int = 10
    batch: int = 1024
    rate: float = 0.003
    decay: float = 1e-6
    temperature: float = 0.2
    recency: float | None = 3.0
    seed: int = 42

    def fit(self, data: Interactions) -> Arrays:
        """Predict each row's item from the rows before it."""
        import torch

        random = np.random.default_rng(self.seed)
        traits, names = _one_hot(data, None)
        share = np.log(np.maximum(data.counts(), 1) / max(len(data), 1)).astype(np.float32)
        with _one_thread(self.seed):
            network = self._network(len(data.items), len(names), _width(data))
            optimiser = torch.optim.Adam(
                network.parameters(), lr=self.rate, weight_decay=self.decay
            )
            text = _text(data)
            before, weight = self._contexts(data, np.arange(len(data)), own=False)
            for _ in range(self.epochs):
                for rows in _batches(len(data), self.batch, random):
                    items = torch.from_numpy(data.item[rows])
                    person = torch.from_numpy(traits[data.user[rows]])
                    context = torch.from_numpy(before[rows]), torch.from_numpy(weight[rows])
                    users = _user_vectors(network, *context, person)
                    logits = users @ _item_vectors(network, items, text).T / self.temperature
                    logits = logits - torch.from_numpy(share[data.item[rows]])
                    # Neither the same item nor another one of the same user is a negative.
                    same = (items[:, None] == items) | torch.from_numpy(
                        data.user[rows][:, None] == data.user[rows]
                    )
                    same.fill_diagonal_(False)
                    target = torch.arange(len(items))
                    loss = torch.nn.functional.cross_entropy(logits.masked_fill(same, -1e9), target)
                    _step(optimiser, loss)
        arrays = {f"net.{key}": value.numpy() for key, value in network.state_dict().items()}
        if data.vectors is not None:
            arrays["text"] = data.vectors.astype(np.float32)
        return {**arrays, "traits": np.array(names, dtype=np.str_)}

    def score(self, arrays: Mapping[str, npt.NDArray[Any]], data: Interactions) -> Scores:
        """Products of the vectors, each user seen with all of its latest rows."""
        import torch

        names = arrays["traits"].tolist()
        traits, _ = _one_hot(data, names)
        last = np.cumsum(data.history_lengths()) - 1
        before, weight = self._contexts(data, last, own=True)
        weight[data.history_lengths() == 0] = 0
        with _one_thread(self.seed), torch.no_grad():
            text = torch.from_numpy(arrays["text"]) if "text" in arrays else None
            width = text.shape[1] if text is not None else 0
            network = self._network(len(data.items), len(names), width)
            state = {k[4:]: torch.from_numpy(v) for k, v in arrays.items() if k.startswith("net.")}
            network.load_state_dict(state)
            context = torch.from_numpy(before), torch.from_numpy(weight)
            users = _user_vectors(network, *context, torch.from_numpy(traits))
            items = _item_vectors(network, torch.arange(len(data.items)), text)
            return np.asarray((users @ items.T).numpy(), dtype=np.float32)

    def _contexts(
        self, data: Interactions, rows: npt.NDArray[Any], *, own: bool
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """Items up to each row (with `own`) or before it, and their weights; 0 where there is none.

        Both have the shape (rows, window).
        """
        # One more row, of nobody, so that a place outside of all rows can be looked up.
        user, item = np.append(data.user, -1), np.append(data.item, 0)
        ages = np.append(data.ages(), 0.0)
        places = np.maximum(rows[:, None] - np.arange(self.window) - (0 if own else 1), -1)
        there = (places >= 0) & (user[places] == user[rows][:, None])
        gap = np.maximum(ages[places] - ages[rows][:, None], 0)
        weight = 1.0 if self.recency is None else 1 / (1 + gap / self.recency)
        return item[places].astype(np.int64), (there * weight).astype(np.float32)

    def _network(self, items: int, traits: int, text: int) -> Any:
        from torch import nn

        width = self.embedding
        network = nn.ModuleDict({"context": _table(items, width), "item": _table(items, width)})
        if traits:
            network["traits"] = nn.Linear(traits, width)
        if text:
            network["text"] = nn.Linear(text, width)
        network["user"] = nn.Sequential(
            nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width)
        )
        return network


def _step(optimiser: Any, loss: Any) -> None:
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


def _table(rows: int, width: int) -> Any:
    from torch import nn

    table = nn.Embedding(rows, width)
    nn.init.normal_(table.weight, std=0.05)
    return table


def _logits(network: Any, users: Any, items: Any) -> Any:
    import torch

    parts = []
    if "gmf_user" in network:
        parts.append(network["gmf_user"](users) * network["gmf_item"](items))
    if "mlp" in network:
        both = torch.cat([network["mlp_user"](users), network["mlp_item"](items)], dim=1)
        parts.append(network["mlp"](both))
    return network["last"](torch.cat(parts, dim=1)).squeeze(1)


def _user_vectors(network: Any, before: Any, weight: Any, traits: Any) -> Any:
    from torch.nn.functional import embedding_bag, normalize

    table = network["context"].weight
    summed = embedding_bag(before, table, mode="sum", per_sample_weights=weight)
    vector = summed / weight.sum(dim=1, keepdim=True).clamp(min=1e-6)
    if "traits" in network:
        vector = vector + network["traits"](traits)
    return normalize(vector + network["user"](vector), dim=1)


def _item_vectors(network: Any, items: Any, text: Any) -> Any:
    from torch.nn.functional import normalize

    vector = network["item"](items)
    if text is not None:
        vector = vector + network["text"](text[items])
    return normalize(vector, dim=1)


def _one_hot(
    data: Interactions, names: list[str] | None
) -> tuple[npt.NDArray[np.float32], list[str]]:
    """Traits of the users as columns of 0 and 1, and the names of the columns."""
    traits = data.traits or {}
    if names is None:
        names = sorted({trait for user in data.users for trait in traits.get(user, ())})
    place = {name: index for index, name in enumerate(names)}
    table = np.zeros((len(data.users), len(names)), dtype=np.float32)
    for row, user in enumerate(data.users):
        for trait in traits.get(user, ()):
            if trait in place:
                table[row, place[trait]] = 1
    return table, names


def _width(data: Interactions) -> int:
    return 0 if data.vectors is None else int(data.vectors.shape[1])


def _text(data: Interactions) -> Any:
    import torch

    return None if data.vectors is None else torch.from_numpy(data.vectors.astype(np.float32))


def _batches(rows: int, size: int, random: np.random.Generator) -> Iterator[npt.NDArray[Any]]:
    order = random.permutation(rows)
    for start in range(0, rows, size):
        yield order[start : start + size]


@contextmanager
def _one_thread(seed: int) -> Iterator[None]:
    """Same numbers whatever the machine's load and cores; the networks are too small for two."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(before)
