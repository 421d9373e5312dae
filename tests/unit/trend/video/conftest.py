"""A small population whose growth depends on the category, which a linear model cannot see."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

START = datetime(2030, 1, 1, 6, tzinfo=UTC)


@pytest.fixture(scope="session")
def required():
    return ["views", "log_views", "title_chars"]


@pytest.fixture(scope="session")
def labelled_rows():
    return _labelled_rows


def _labelled_rows(videos, seed=3, days=60):
    """Rows as `ml.trend.video.dataset` builds them, days 1 to 3 of each video."""
    import pandas as pd

    random = np.random.default_rng(seed)
    rows = []
    for number in range(videos):
        first = START + timedelta(days=int(random.integers(0, days)))
        category, growth = int(random.choice([10, 20])), float(random.exponential(0.5))
        age, views = float(random.uniform(12, 200)), float(random.lognormal(10, 1))
        for day in (1, 2, 3):
            at = first + timedelta(days=day)
            rows.append(
                {
                    "video_id": f"v{number:05d}",
                    "event_timestamp": pd.Timestamp(at),
                    "entity_day": day,
                    "label_known_at": pd.Timestamp(at + timedelta(days=2)),
                    "growth_48h": (0.9 if category == 10 else 0.2) * growth / day
                    + random.normal(0, 0.05),
                    "growth_7d": np.nan,
                    "listed": np.nan,
                    "day_number": day,
                    "views": views,
                    "log_views": np.log(views),
                    "log_growth_1d": growth / day,
                    "like_growth_1d": growth / day + random.normal(0, 0.1),
                    "comment_growth_1d": np.nan if random.random() < 0.1 else growth / day,
                    "hours_since_previous": 24.0,
                    "age_hours": age + 24 * day,
                    "lifetime_views_per_hour": views / age,
                    "channel_median_log_views_before": np.nan if random.random() < 0.4 else 9.0,
                    "category_id": category,
                    "language": random.choice(["en", "en-US", "es", None]),
                    "title_chars": int(random.integers(5, 100)),
                }
            )
    return pd.DataFrame(rows).sort_values(["event_timestamp", "video_id"]).reset_index(drop=True)
