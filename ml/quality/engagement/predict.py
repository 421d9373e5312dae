"""Scores of titles that are not published yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ml.quality.engagement.model import OUTPUTS

if TYPE_CHECKING:
    import pandas as pd


def score_titles(
    model: Any,
    titles: Sequence[str],
    *,
    earlier: Sequence[tuple[str, float]] = (),
    duration_s: float | None = None,
    category_id: int | None = None,
) -> pd.DataFrame:
    """Score titles of one channel, such as variants for a video; one row a title, in order.

    Args:
        model: what `releases.load_champion("quality_engagement")` gives, or an `EngagementModel`.
        titles: of the planned video.
        earlier: title and duration in seconds of the channel's last videos, oldest first.
        duration_s: of the planned video.
        category_id: of YouTube.

    Returns:
        What `EngagementModel.predict` does.
    """
    import pandas as pd

    if not titles:
        return pd.DataFrame(columns=list(OUTPUTS))
    durations = [seconds for _, seconds in earlier if np.isfinite(seconds)]
    frame = pd.DataFrame(
        {
            "title": [str(title) for title in titles],
            "earlier_titles": "\n".join(" ".join(title.split()) for title, _ in earlier),
            "duration_s": np.nan if duration_s is None else float(duration_s),
            "usual_duration_s": float(np.median(durations)) if durations else np.nan,
            "category_id": np.nan if category_id is None else float(category_id),
        }
    )
    scored: pd.DataFrame = model.predict(frame)
    return scored
