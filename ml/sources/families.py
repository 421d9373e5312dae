"""Source families: what becomes one DAG, one pool, one asset. Light: DAG files import it.

A new source of a family needs no line here; a new family is one line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

Gate = Literal["raw_youtube_videos", "raw_records"]


@dataclass(frozen=True)
class Family:
    """A family of sources.

    Attributes:
        name: part of the DAG's id; the `family` of its sources.
        title: for people.
        doc: shown in the UI below what all ingest DAGs say.
        gates: suites that check the raw tables it fills.
        params: settings that a run may override, by the name that the form shows.
        slots: landings that may run at once: 1 where the provider limits calls.
        deadline: how long after it was queued a run should be done.
        is_present_only: whether none of its sources can be asked about the past.
    """

    name: str
    title: str
    doc: str
    gates: tuple[Gate, ...] = ("raw_records",)
    params: Mapping[str, str] = field(default_factory=dict)
    slots: int = 1
    deadline: timedelta = timedelta(hours=2)
    is_present_only: bool = False


FAMILIES: tuple[Family, ...] = (
    Family(
        "youtube",
        "YouTube",
        "The most popular videos of every configured region and category, what a search finds,"
        " and the channels behind them, from the YouTube Data API.",
        gates=("raw_youtube_videos", "raw_records"),
        params={
            "regions": "youtube_regions",
            "categories": "youtube_categories",
            "queries": "youtube_search_queries",
        },
        slots=2,
    ),
    Family(
        "youtube_analytics",
        "YouTube Analytics",
        "Views, watch time and subscribers of the own channels, by day and video.",
    ),
    Family(
        "hackernews",
        "Hacker News",
        "The front page, the newest and the best stories, and what a search finds.",
        params={"queries": "hackernews_queries"},
        slots=2,
    ),
    Family(
        "reddit",
        "Reddit",
        "Hot, new and rising posts of the configured subreddits.",
        params={"subreddits": "reddit_subreddits"},
    ),
    Family(
        "google_trends",
        "Google Trends",
        "The daily trending searches of each region, and interest over time by keyword.",
        params={"regions": "google_trends_regions", "keywords": "google_trends_keywords"},
    ),
    Family(
        "wikipedia",
        "Wikipedia",
        "The most read articles of each project and how often they are read.",
        params={"projects": "wikipedia_projects"},
    ),
    Family(
        "gdelt",
        "GDELT",
        "News articles of the whole world and their volume, by query.",
        params={"queries": "gdelt_queries"},
    ),
    Family(
        "x",
        "X",
        "Posts an hour by query, and the trends of places.",
        params={"places": "x_woeids", "queries": "x_queries"},
    ),
    Family(
        "tiktok",
        "TikTok",
        "Videos of the configured regions, from the Research API.",
        params={"regions": "tiktok_regions"},
    ),
    Family(
        "github",
        "GitHub",
        "The repositories that trend today.",
        params={"languages": "github_languages"},
    ),
    Family(
        "feeds",
        "Feeds",
        "Every RSS or Atom feed of the configured list.",
        slots=2,
        is_present_only=True,
    ),
)
