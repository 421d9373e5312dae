"""Scores of any texts, in batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

_BATCH = 512


def score_texts(model: Any, texts: Sequence[str]) -> pd.DataFrame:
    """Score texts with `quality_policy`; one row a text, in order.

    Args:
        model: what `releases.load_champion("quality_policy")` gives, or a `PolicyModel`.
        texts: titles, comments or whole scripts.

    Returns:
        `clickbait`, `spam` and `toxicity` as probabilities; `readability` (Flesch reading ease) and
        `coherence` (cosine, -1 to 1), which are formulas and NaN for texts too short for them.
    """
    import pandas as pd

    parts = [
        model.predict(pd.DataFrame({"text": list(texts[start : start + _BATCH])}))
        for start in range(0, len(texts), _BATCH)
    ]
    columns = ["clickbait", "spam", "toxicity", "readability", "coherence"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)
