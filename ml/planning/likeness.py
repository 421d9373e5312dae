"""How near topics are to a channel's niche and to what it has covered, by their names' meaning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.generation.embedding import embed


@dataclass(frozen=True)
class Likeness:
    """Cosine similarities of sentence embeddings.

    Attributes:
        topics: embeddings, one row a topic.
        niche: of the niche; None if the channel has none.
        past: of the covered topics, one row each.
    """

    topics: NDArray[np.float32]
    niche: NDArray[np.float32] | None
    past: NDArray[np.float32]

    def to_niche(self, index: int) -> float | None:
        """Of a topic to the niche."""
        if self.niche is None:
            return None
        return round(float(self.topics[index] @ self.niche), 4)

    def to_past(self, index: int, chosen: Sequence[int] = ()) -> float | None:
        """Of a topic to the nearest covered one, or the nearest of others; None without any."""
        others = np.concatenate([self.past, self.topics[list(chosen)]])
        return round(float((others @ self.topics[index]).max()), 4) if len(others) else None


def likeness(niche: str, topics: Sequence[str], past: Sequence[str]) -> Likeness:
    """Embed all of them at once."""
    vectors = embed([*topics, *past, *([niche] if niche.strip() else [])])
    split = len(topics)
    return Likeness(
        topics=vectors[:split],
        niche=vectors[-1] if niche.strip() else None,
        past=vectors[split : split + len(past)],
    )
