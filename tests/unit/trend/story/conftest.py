"""Stories that grow on where place and entry go together, which a linear model cannot see."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

START = datetime(2030, 1, 1, 6, tzinfo=UTC)
PARAMS = {
    "model": "trend_story",
    "feature_service": "trend_story_v1",
    "seed": 42,
    "test_share": 0.2,
    "validation_share": 0.15,
    "early_stopping_rounds": 10,
    "max_rounds": 60,
    "refit_rounds_factor": 1.1,
    "xgboost": {"max_depth": 3, "learning_rate": 0.2, "nthread": 1},
}
COLUMNS = (
    "upvotes", "comments", "rank", "log_upvotes", "age_h", "upvotes_per_h", "entry_upvotes",
    "hours_since_entry", "log_growth_since_entry", "has_link",
)  # fmt: skip
REQUIRED = ["upvotes", "log_upvotes", "age_h"]


@pytest.fixture(scope="session")
def make_stories():
    return _make_stories


@pytest.fixture(scope="session")
def stories():
    return _make_stories(1500)


def _make_stories(count, seed=3, vanishing=0.6):
    """Rows as `ml.trend.story.dataset` builds them, an hour apart."""
    import pandas as pd

    random = np.random.default_rng(seed)
    entry, pace = random.integers(2, 31, count), random.exponential(20, count)
    upvotes = entry + np.floor(pace)
    place = random.integers(1, 31, count)
    stays = random.uniform(size=count) > vanishing * (place > 15)
    going = (place < 15) == (entry < 15)
    most = upvotes + np.where(stays, pace * random.uniform(1, 3, count) * (1 + 4 * going), 0)
    at = pd.to_datetime([START + timedelta(hours=n) for n in range(count)], utc=True)
    return pd.DataFrame(
        {
            "story_id": [f"{n:05d}" for n in range(count)],
            "event_timestamp": at,
            "label_known_at": at + pd.Timedelta(hours=47),
            "most_upvotes": most.astype(int),
            "sights": np.where(stays, 9, 2),
            "upvotes": upvotes.astype(int),
            "comments": np.where(random.uniform(size=count) < 0.3, np.nan, np.floor(pace / 3)),
            "rank": place,
            "log_upvotes": np.log(upvotes),
            "age_h": random.uniform(0, 99, count),
            "upvotes_per_h": pace,
            "entry_upvotes": entry,
            "hours_since_entry": random.uniform(0.5, 1, count),
            "log_growth_since_entry": np.log(upvotes / entry),
            "has_link": np.where(random.uniform(size=count) < 0.1, None, place > 3),
        }
    )
