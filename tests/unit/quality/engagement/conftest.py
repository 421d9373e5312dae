from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from ml.quality.engagement.dataset import load_params, prepare

pd = pytest.importorskip("pandas")

START = datetime(2030, 1, 1, tzinfo=UTC)
QUIET = ("a walk by the river", "talking about cats", "our garden in may", "cooking rice at home")
LOUD = ("AMAZING walk by the river", "SHOUTING about cats", "OUR GARDEN in may", "COOKING rice NOW")


def videos(channels: int = 60, each: int = 16, seed: int = 0) -> pd.DataFrame:
    """Channels of different sizes and publics; within each, titles in capitals engage more."""
    random = np.random.default_rng(seed)
    rows = []
    for channel in range(channels):
        level, views = random.normal(-3.5, 1), np.exp(random.normal(11, 1.5))
        for video in range(each):
            published = START + timedelta(days=6 * video + channel % 6, hours=int(channel % 24))
            loud, age = bool(random.integers(2)), float(random.uniform(30, 300))
            seen = max(int(views * random.lognormal(0, 0.3)), 5000)
            rate = level + 0.4 * loud - 0.2 * np.log(age) + random.normal(0, 0.2)
            known = published + timedelta(hours=age)
            rows.append(
                (
                    f"v{channel}-{video}", f"c{channel}", (LOUD if loud else QUIET)[video % 4], 20,
                    "en", 300.0 + 10 * video, published, published + timedelta(hours=24), known,
                    age, seen, round(seen * np.exp(rate)), round(seen * np.exp(rate - 2)), None,
                )
            )  # fmt: skip
    names = (
        "video_id", "channel", "title", "category_id", "language", "duration_s", "published_at",
        "first_known_at", "known_at", "age_hours", "views", "likes", "comments", "retention",
    )  # fmt: skip
    return pd.DataFrame(rows, columns=list(names))


@pytest.fixture(scope="session")
def params() -> dict:
    kept = load_params()
    small = {
        "min_part": 20,
        "min_rows": 100,
        "meaning_components": 4,
        "rounds": 80,
        "validation_draws": 2,
    }
    trees = {**kept["trees"], "min_child_weight": 5, "eta": 0.1}
    return {**kept, **small, "trees": trees, "candidates": ["trees_plain", "trees_text"]}


@pytest.fixture(scope="session")
def rows(params) -> pd.DataFrame:
    return prepare(videos(), params)
