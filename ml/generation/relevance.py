"""Are scripts about their topic? Similarity of script and own topic against other topics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ml.generation.embedding import embed


@dataclass(frozen=True)
class RelevanceReport:
    """Shares over all scripts.

    Attributes:
        beats_other: share of scripts nearer to their own topic than to one other, shuffled topic.
        beats_mean: share nearer to their own topic than to the mean of all others.
        beats_all: share nearer to their own topic than to every other one.
        own: mean similarity to the own topic.
        others: mean similarity to the other topics.
    """

    topics: int
    beats_other: float
    beats_mean: float
    beats_all: float
    own: float
    others: float


def measure(topics: Sequence[str], scripts: Sequence[str], *, seed: int = 0) -> RelevanceReport:
    """Compare each script with its own topic and with the others.

    Args:
        topics: distinct topics, at least two.
        scripts: what is spoken about each, in the same order.
        seed: of the shuffled control; no script is paired with its own topic.

    Raises:
        ValueError: if there are fewer than two topics, or not one script for each.
    """
    if len(topics) < 2 or len(topics) != len(scripts):
        raise ValueError("relevance needs at least two topics and one script for each")
    scores = embed(scripts) @ embed(topics).T
    n = len(topics)
    own = np.diagonal(scores)
    order = np.random.default_rng(seed).permutation(n)
    control = np.empty(n, dtype=np.float64)
    control[order] = scores[order, np.roll(order, 1)]  # a cycle: nobody keeps the own topic
    mean_other = (scores.sum(axis=1) - own) / (n - 1)
    off = np.where(np.eye(n, dtype=bool), -np.inf, scores)
    return RelevanceReport(
        topics=n,
        beats_other=float((own > control).mean()),
        beats_mean=float((own > mean_other).mean()),
        beats_all=float((own > off.max(axis=1)).mean()),
        own=float(own.mean()),
        others=float(mean_other.mean()),
    )
