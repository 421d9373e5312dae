"""Incremental clustering: items join topics that exist, and what is left founds topics.

Items and groups are joined from the most alike on, two and two at once where each is the other's
nearest (reciprocal nearest neighbours), by the cosine of their centroids. A topic that exists is a
group that is there from the start. What comes out depends on the items and not on their order, but
for exact ties, which go to the first: callers sort.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.topics.space import Floats, Points

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

# Smallest cosine at which two items, or two groups, are one topic, and at which an item joins a
# group; chosen on the `dev` parts of tests/bench/topic_sample.csv. The centroid of a group is less
# noisy than a title, so it may be a little further away.
_SAME = 0.50
_JOIN = 0.45
# Smallest mean cosine over all pairs. Without it, a large loose group has a centroid that is near
# to everything in its language, and swallows it.
_COHERENT = 0.30
# Topics that exist come together only if they are clearly one: their ids are in use.
MERGE = 0.60
# Halves of a topic that are further apart than this are two topics, if each has enough items.
_SPLIT = 0.42
_SPLIT_MIN_ITEMS = 3
_SPLIT_MIN_SHARE = 0.2
_SPLIT_ROUNDS = 20
_NEVER = np.float32(-9)


@dataclass
class _Groups:
    """Groups while they grow: existing topics first, then items.

    Attributes:
        products: inner products of each item's group (rows) with every group (columns).
        squares: inner product of each group with itself.
        alive: rows whose group has not gone up in another one.
        group: of each group, the one it went up in.
    """

    topics: int
    products: Floats
    squares: Floats
    sizes: Floats
    alive: Bools
    group: Ints


def join(items: Points, topics: Points) -> Ints:
    """Join items to topics and to each other.

    Returns:
        For each item a number: below `len(topics)` the row of the topic it joins, else the number
        of the new group it is in, which is `len(topics)` plus the row of the group's first item.
    """
    state = _start(items, topics)
    while True:
        pairs = list(_nearest_pairs(state))
        if not pairs:
            return state.group[state.topics :]
        for row, column in pairs:
            _unite(state, row, column)


def similar_pairs(points: Points, touched: Ints, threshold: float = MERGE) -> list[tuple[int, int]]:
    """Pairs of a touched group and any other that are alike enough, the most alike first."""
    if not len(touched):
        return []
    products = points.take(touched).products(points)
    cosines = _cosines(products, points.square_norms()[touched], points.square_norms())
    sizes = np.maximum(points.sizes, 1)
    mean = products / np.outer(sizes[touched], sizes)
    cosines[mean < _COHERENT] = _NEVER
    cosines[np.arange(len(touched)), touched] = _NEVER
    found = {
        (min(int(touched[row]), int(column)), max(int(touched[row]), int(column))): float(
            cosines[row, column]
        )
        for row, column in np.argwhere(cosines >= threshold)
    }
    return sorted(found, key=lambda pair: (-found[pair], pair))


def split(members: Points) -> Bools | None:
    """Part the members of a topic in two, if it is two topics.

    Returns:
        A mark for each member of the second, smaller part; None if the topic is one.
    """
    fewest = max(_SPLIT_MIN_ITEMS, int(np.ceil(_SPLIT_MIN_SHARE * len(members))))
    if len(members) < 2 * fewest:
        return None
    cosines = members.products(members)
    first, second = np.unravel_index(int(np.argmin(cosines)), cosines.shape)
    side = cosines[second] > cosines[first]
    for _ in range(_SPLIT_ROUNDS):
        halves = members.grouped(side.astype(int), 2)
        near = _cosines(members.products(halves), members.square_norms(), halves.square_norms())
        moved = near[:, 1] > near[:, 0]
        if (moved == side).all() or moved.all() or not moved.any():
            break
        side = moved
    if min(side.sum(), (~side).sum()) < fewest:
        return None
    halves = members.grouped(side.astype(int), 2)
    apart = _cosines(halves.products(halves), halves.square_norms(), halves.square_norms())[0, 1]
    if apart >= _SPLIT:
        return None
    smaller = side if side.sum() * 2 <= len(members) else ~side
    return np.asarray(smaller, dtype=np.bool_)


def topic_id(key: str) -> str:
    """Id of the topic that is founded on the item, or part of a topic, with this key."""
    return "t_" + hashlib.sha256(key.encode()).hexdigest()[:16]


def _start(items: Points, topics: Points) -> _Groups:
    count = len(topics)
    inside = items.products(items)
    # The same pair must not differ by rounding, or neither would be the other's nearest.
    inside = (inside + inside.T) * np.float32(0.5)
    return _Groups(
        topics=count,
        products=np.concatenate([items.products(topics), inside], axis=1),
        squares=np.concatenate([topics.square_norms(), items.square_norms()]),
        sizes=np.concatenate([topics.sizes, items.sizes]).astype(np.float32),
        alive=np.ones(len(items), dtype=bool),
        group=np.arange(count + len(items)),
    )


def _nearest_pairs(state: _Groups) -> Iterator[tuple[int, int]]:
    """Rows and columns that are alike enough and each the other's nearest; the most alike if none.

    Yields:
        Positions of an item's group among the items, and of the other among all groups.
    """
    rows = np.flatnonzero(state.alive)
    columns = np.concatenate([np.arange(state.topics), state.topics + rows])
    if not len(rows):
        return
    excess = _excess(state, rows, columns)
    best_column, best_row = excess.argmax(axis=1), excess.argmax(axis=0)
    best = excess[np.arange(len(rows)), best_column]
    mutual = False
    for row in np.flatnonzero(best >= 0):
        column = int(best_column[row])
        other = column - state.topics
        if best_row[column] != row or (other >= 0 and best_column[other] != row + state.topics):
            continue
        mutual = True
        if other < 0 or row < other:
            yield int(rows[row]), int(columns[column])
    if not mutual and best.max() >= 0:  # possible only between equals
        top = int(best.argmax())
        yield int(rows[top]), int(columns[best_column[top]])


def _excess(state: _Groups, rows: Ints, columns: Ints) -> Floats:
    """By how much each pair is more alike than it must be; below zero it is not alike enough."""
    of_rows = state.topics + rows
    products = state.products[np.ix_(rows, columns)]
    excess = _cosines(products, state.squares[of_rows], state.squares[columns])
    alone_row = state.sizes[of_rows][:, None] < 2
    alone_column = state.sizes[columns][None, :] < 2
    excess -= np.where(alone_row ^ alone_column, np.float32(_JOIN), np.float32(_SAME))
    mean = products / np.outer(state.sizes[of_rows], state.sizes[columns])
    excess[mean < _COHERENT] = _NEVER
    excess[np.arange(len(rows)), state.topics + np.arange(len(rows))] = _NEVER
    return excess


def _unite(state: _Groups, row: int, column: int) -> None:
    """Add the group of an item to another one; of two groups of items the first remains."""
    other = column - state.topics
    first, gone = (column, row) if other < 0 else (state.topics + min(row, other), max(row, other))
    last = state.topics + gone
    state.squares[first] += state.squares[last] + 2 * state.products[gone, first]
    state.sizes[first] += state.sizes[last]
    if other >= 0:
        state.products[first - state.topics] += state.products[gone]
    state.products[:, first] += state.products[:, last]
    state.alive[gone] = False
    state.group[state.group == last] = first


def _cosines(products: Floats, left: Floats, right: Floats) -> Floats:
    norms = np.sqrt(np.maximum(np.outer(left, right), np.float32(1e-12)))
    return np.asarray(products / norms, dtype=np.float32)
