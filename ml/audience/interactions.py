"""Implicit feedback: who took to what, and in which order where that is known."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import sparse  # type: ignore[import-untyped]

if TYPE_CHECKING:
    import pandas as pd

Ids = npt.NDArray[np.intp]
Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Interactions:
    """One row per user and item, sorted by user and then by time.

    Attributes:
        users: names; `user` counts in them.
        items: names of the whole catalogue; `item` counts in them.
        user: index of the user of each row.
        item: index of the item of each row.
        time: of each row, in any unit; None where the order is not known.
        traits: facts about a user as `column=value`, for models with side features.
        vectors: one vector per item of the catalogue, zeros where there is none; or None.
    """

    users: tuple[str, ...]
    items: tuple[str, ...]
    user: Ids
    item: Ids
    time: Array | None = None
    traits: Mapping[str, tuple[str, ...]] | None = None
    vectors: Array | None = None

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.user)

    def take(self, rows: npt.NDArray[Any]) -> Interactions:
        """Only these rows (a mask or sorted indices); users and catalogue stay."""
        time = None if self.time is None else self.time[rows]
        return replace(self, user=self.user[rows], item=self.item[rows], time=time)

    def on_catalogue(self, items: Sequence[str]) -> Interactions:
        """The rows whose item is in another catalogue, counted in that one."""
        place = {name: index for index, name in enumerate(items)}
        moved = np.array([place.get(name, -1) for name in self.items], dtype=np.intp)
        kept = self.take(moved[self.item] >= 0)
        return replace(kept, items=tuple(items), item=moved[kept.item], vectors=None)

    def only(self, users: Sequence[str]) -> Interactions:
        """The rows of these users, in this order; one without rows has an empty history."""
        place = {name: index for index, name in enumerate(self.users)}
        ends = np.cumsum(self.history_lengths())
        starts = np.concatenate(([0], ends))
        rows = [
            np.arange(starts[place[name]], ends[place[name]]) if name in place else np.arange(0)
            for name in users
        ]
        taken = self.take(np.concatenate([*rows, np.arange(0)]).astype(np.intp))
        counted = np.repeat(np.arange(len(users)), [len(part) for part in rows])
        return replace(taken, users=tuple(users), user=counted.astype(np.intp))

    def counts(self) -> Array:
        """Users of each item, shape (items,)."""
        return np.bincount(self.item, minlength=len(self.items)).astype(np.float64)

    def history_lengths(self) -> Ids:
        """Rows of each user, shape (users,)."""
        return np.bincount(self.user, minlength=len(self.users))

    def ages(self) -> Array:
        """How many later rows the row's user has; rows of one moment share their mean.

        Zeros where the order is not known.
        """
        if self.time is None or not len(self):
            return np.zeros(len(self))
        ends = np.cumsum(self.history_lengths())
        later = ends[self.user] - 1.0 - np.arange(len(self))
        starts = np.ones(len(self), dtype=bool)
        starts[1:] = (np.diff(self.user) != 0) | (np.diff(self.time) != 0)
        run = np.cumsum(starts) - 1
        mean = np.bincount(run, weights=later) / np.bincount(run)
        return np.asarray(mean[run], dtype=np.float64)

    def matrix(self, recency: float | None = None) -> Any:
        """Users by items as `scipy.sparse.csr_array`.

        Args:
            recency: a row with `recency` later rows weighs half of the latest one: its weight is
                1 / (1 + age / recency). None gives all rows the weight 1.
        """
        weight = np.ones(len(self)) if recency is None else 1 / (1 + self.ages() / recency)
        shape = (len(self.users), len(self.items))
        return sparse.csr_array((weight, (self.user, self.item)), shape=shape)

    def digest(self) -> str:
        """Sha256 of names, rows and times."""
        parts = ["\n".join(self.users).encode(), "\n".join(self.items).encode()]
        parts += [self.user.astype("<i8").tobytes(), self.item.astype("<i8").tobytes()]
        if self.time is not None:
            parts.append(self.time.astype("<f8").tobytes())
        if self.vectors is not None:
            parts.append(self.vectors.astype("<f4").tobytes())
        return hashlib.sha256(b"\0".join(parts)).hexdigest()


@dataclass(frozen=True)
class Held:
    """One held-out row of each user that has one.

    Attributes:
        user: index of the user, ascending, each once.
        item: index of the item it took to.
    """

    user: Ids
    item: Ids


def interactions(
    frame: pd.DataFrame, users: Sequence[str] = (), items: Sequence[str] = ()
) -> Interactions:
    """Build from columns `user`, `item` (text) and, where the order is known, `time` (number).

    A pair that comes twice counts once, at its first place in time.

    Args:
        frame: the rows; the order of rows of one moment is kept.
        users: further users, without rows.
        items: further items of the catalogue.
    """
    all_users = tuple(sorted({*frame["user"], *users}))
    all_items = tuple(sorted({*frame["item"], *items}))
    order = ["user", "time"] if "time" in frame else ["user"]
    rows = frame.sort_values(order, kind="stable").drop_duplicates(["user", "item"])
    place_u = {name: index for index, name in enumerate(all_users)}
    place_i = {name: index for index, name in enumerate(all_items)}
    return Interactions(
        users=all_users,
        items=all_items,
        user=rows["user"].map(place_u).to_numpy(dtype=np.intp),
        item=rows["item"].map(place_i).to_numpy(dtype=np.intp),
        time=rows["time"].to_numpy(dtype=np.float64) if "time" in rows else None,
    )


def hold_out(data: Interactions, seed: int) -> tuple[Interactions, Held]:
    """Take the latest row of each user that has two or more; a random one without an order."""
    lengths = data.history_lengths()
    users = np.flatnonzero(lengths >= 2)
    ends = np.cumsum(lengths)
    if data.time is None:
        back = np.random.default_rng(seed).integers(0, lengths[users])
    else:
        back = np.zeros(len(users), dtype=np.intp)
    rows = ends[users] - 1 - back
    kept = np.ones(len(data), dtype=bool)
    kept[rows] = False
    return data.take(kept), Held(user=users, item=data.item[rows])
