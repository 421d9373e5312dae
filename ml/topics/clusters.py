"""Leader clustering: every item joins the nearest topic that is near enough, or founds one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ml.topics.embeddings import Vectors

# Cosine from which two titles are about one thing. Chosen by reading the clusters of two weeks of
# charts: lower joins different games and songs, higher splits episodes of one series.
SIMILARITY = 0.62
# The encoder learned from English: titles in other scripts all lie close together, so only near
# copies of them are taken for one topic.
SIMILARITY_OTHER_SCRIPT = 0.90


@dataclass(frozen=True)
class Membership:
    """One item's topic, and how near its leader is (cosine)."""

    topic_id: str
    similarity: float
    founded: bool


def assign_to_leaders(
    keys: Sequence[str],
    vectors: Vectors,
    topic_ids: Sequence[str],
    leaders: Vectors,
    thresholds: Sequence[float],
) -> list[Membership]:
    """Assign items in order to existing leaders first; the rest found topics.

    A leader never moves, so an item's topic depends only on what came before it, and ids stay.

    Args:
        keys: item keys; the key of a founding item decides its topic's id.
        vectors: unit vectors, shape (items, width).
        topic_ids: ids of the topics that exist.
        leaders: their unit vectors, shape (topics, width).
        thresholds: per item, the smallest cosine at which it joins a topic.
    """
    width = vectors.shape[1] if len(vectors) else leaders.shape[-1]
    known = np.zeros((len(topic_ids) + len(keys), width), dtype=np.float32)
    known[: len(topic_ids)] = leaders
    ids = list(topic_ids)
    result = []
    for key, vector, threshold in zip(keys, vectors, thresholds, strict=True):
        if ids:
            cosines = known[: len(ids)] @ vector
            nearest = int(np.argmax(cosines))
            if cosines[nearest] >= threshold:
                similarity = min(float(cosines[nearest]), 1.0)
                result.append(Membership(ids[nearest], similarity, founded=False))
                continue
        known[len(ids)] = vector
        ids.append(topic_id(key))
        result.append(Membership(ids[-1], 1.0, founded=True))
    return result


def topic_id(key: str) -> str:
    """Id of the topic that the item with this key founded."""
    return "t_" + hashlib.sha256(key.encode()).hexdigest()[:16]


def medoid(vectors: Vectors) -> int:
    """Position of the member that is nearest to all others."""
    return int(np.argmax(vectors @ vectors.sum(axis=0)))
