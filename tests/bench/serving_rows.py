"""Fills an empty platform with what the API is measured on, without a main job.

Daily observations of made-up videos, from which the real feature models of dbt, Feast and the real
training make a champion of trend_video, and as many topics as are wanted, each of one video whose
features are online. About the values nothing is claimed; shapes, sizes and code are those of use.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from ml import features, warehouse
from ml.settings import Settings
from ml.storage.postgres import connect, copy_rows
from ml.trend.video.dataset import load_params
from ml.trend.video.train import train_video

START = datetime(2030, 1, 1, 5, tzinfo=UTC)
TRAINED_ON, SPAN, LIFE = 1500, 60, 11
AS_OF = START + timedelta(days=SPAN + LIFE)
COLUMNS = (
    "source", "region", "video_id", "observed_at", "available_at", "chart_rank", "title",
    "channel_id", "channel_title", "category_id", "published_at", "language", "duration_s",
    "views", "likes", "comments", "regions_listed", "made_for_kids", "bronze_key", "is_synthetic",
)  # fmt: skip
_SUBJECTS = ("castle in Minecraft", "new Lamborghini", "pasta from scratch", "chess opening")


def prepare(settings: Settings, topics: int) -> None:
    """Make features, champion and topics; what is there from an earlier call stays as it is."""
    # Rows of no world: a folder of archives, even an empty one, says so.
    own = settings.model_copy(update={"data_dir": Path(__file__).parent})
    with connect(own.require("database_url")) as conn:
        row = conn.execute("select count(*) from ml.topics").fetchone()
        if row and row[0] >= topics:
            return
        copy_rows(conn, "raw.youtube_videos", COLUMNS, observations(topics))
        conn.execute("analyze raw.youtube_videos")
    chosen = ["run", "--select", "+path:models/features", "path:models/staging"]
    warehouse.run_dbt(chosen, as_of=AS_OF, settings=own)
    features.apply(own)
    features.materialise(None, AS_OF, own)
    release = train_video(AS_OF, own, {**load_params(), "test_share": 0.2})
    if not release.is_champion:
        raise SystemExit(f"no champion came of it: {release.reason}")
    with connect(own.require("database_url")) as conn:
        _add_topics(conn, topics)


def _add_topics(conn: Any, topics: int) -> None:
    names = [(f"t_bench{number:05d}", f"bench{number:05d}") for number in range(topics)]
    copy_rows(
        conn,
        "ml.topics",
        ("topic_id", "label", "language", "first_seen_at", "last_seen_at"),
        ((topic, f"Topic {video}", "en", START, AS_OF) for topic, video in names),
    )
    copy_rows(
        conn,
        "ml.topic_assignments",
        ("source", "content_id", "topic_id", "similarity", "assigned_as_of"),
        (("youtube", video, topic, 1.0, AS_OF) for topic, video in names),
    )


def observations(topics: int) -> Iterator[tuple[Any, ...]]:
    """Rows of `raw.youtube_videos`: videos to learn from, then one for each topic, seen twice."""
    random = np.random.default_rng(17)
    for number in range(TRAINED_ON):
        first = START + timedelta(days=int(number * SPAN / TRAINED_ON), minutes=number % 60)
        # Charts are left at different ages, so that there is something to learn about that.
        yield from _video(random, f"model{number:05d}", first, int(random.choice([4, LIFE])))
    for number in range(topics):
        first = AS_OF - timedelta(days=1, minutes=int(number % 60))
        yield from _video(random, f"bench{number:05d}", first, 2)


def _video(
    random: np.random.Generator, video_id: str, first: datetime, days: int
) -> Iterator[tuple[Any, ...]]:
    number = int(video_id[5:])
    category = int(random.choice([10, 20]))
    growth, views = float(random.exponential(0.5)), float(random.lognormal(10, 1))
    published = first - timedelta(hours=float(random.uniform(5, 90)))
    for day in range(days):
        at = first + timedelta(days=day)
        yield (
            "youtube-panel", "ZZ", video_id, at, at, 1 + number % 50,
            f"I made a {_SUBJECTS[number % 4]} part {number}",
            f"channel{number % 60}", f"Channel {number % 60}", category, published, "en",
            60.0 + number % 500, int(views), int(views / 20) + 1,
            None if number % 11 == 0 else int(views / 200) + 1, 2, False, "raw/bench", False,
        )  # fmt: skip
        views *= math.exp(max(0.0, growth + random.normal(0, 0.03)))
        growth *= 0.85 if category == 10 else 0.35
