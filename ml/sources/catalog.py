"""Which sources there are. A new source is a module and a line here; a feed is data alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ml.exceptions import ConfigurationError
from ml.settings import Settings, get_settings
from ml.sources.base import Source
from ml.sources.feeds import feed_sources
from ml.sources.gdelt import GdeltSource
from ml.sources.github_trending import GitHubTrendingSource
from ml.sources.google_trends import GoogleTrendsSource
from ml.sources.google_trends_interest import GoogleTrendsInterestSource
from ml.sources.hackernews import (
    HackerNewsBestSource,
    HackerNewsNewSource,
    HackerNewsSource,
)
from ml.sources.hackernews_search import HackerNewsSearchSource
from ml.sources.reddit import RedditSource
from ml.sources.tiktok import TikTokSource
from ml.sources.wikipedia import WikipediaSource
from ml.sources.x import XCountsSource, XTrendsSource
from ml.sources.x_posts import XPostsSource
from ml.sources.youtube import YouTubeSource
from ml.sources.youtube_analytics import YouTubeAnalyticsSource
from ml.sources.youtube_channels import YouTubeChannelsSource
from ml.sources.youtube_search import YouTubeSearchSource

_SOURCES: tuple[Callable[[Settings], Source], ...] = (
    YouTubeSource,
    YouTubeSearchSource,
    YouTubeChannelsSource,
    YouTubeAnalyticsSource,
    HackerNewsSource,
    HackerNewsNewSource,
    HackerNewsBestSource,
    HackerNewsSearchSource,
    GoogleTrendsSource,
    GoogleTrendsInterestSource,
    GdeltSource,
    GitHubTrendingSource,
    WikipediaSource,
    RedditSource,
    XCountsSource,
    XTrendsSource,
    TikTokSource,
)
# Only a stream brings these: there is no interval of them to fetch.
_STREAMED: tuple[Callable[[Settings], Source], ...] = (XPostsSource,)


def all_sources(settings: Settings | None = None) -> list[Source]:
    """Every source whose intervals can be fetched, by family."""
    chosen = settings or get_settings()
    return list(_build(chosen))


def get_source(source_id: str, settings: Settings | None = None) -> Source:
    """Build a source by its id.

    Raises:
        ConfigurationError: if there is none of that id; the message lists those there are.
    """
    sources = {source.id: source for source in _with_streamed(settings)}
    if source_id not in sources:
        raise ConfigurationError(f"no source {source_id!r}; there are: {', '.join(sources)}")
    return sources[source_id]


def family(name: str, settings: Settings | None = None) -> list[Source]:
    """The sources of a family.

    Raises:
        ConfigurationError: if there is no such family; the message lists those there are.
    """
    sources = all_sources(settings)
    found = [source for source in sources if source.spec.family == name]
    if not found:
        known = ", ".join(dict.fromkeys(source.spec.family for source in sources))
        raise ConfigurationError(f"no family {name!r}; there are: {known}")
    return found


def list_sources(settings: Settings | None = None) -> list[dict[str, Any]]:
    """Id, family, availability with the reason if not, and quota of every source."""
    return [_listed(source) for source in _with_streamed(settings)]


def _with_streamed(settings: Settings | None) -> list[Source]:
    chosen = settings or get_settings()
    return [*all_sources(chosen), *(build(chosen) for build in _STREAMED)]


def _build(settings: Settings) -> Iterator[Source]:
    for build in _SOURCES:
        yield build(settings)
    yield from feed_sources(settings)


def _listed(source: Source) -> dict[str, Any]:
    state = source.availability()
    full = source.levels()[0]
    return {
        "id": source.id,
        "family": source.spec.family,
        "available": state.available,
        "reason": state.reason,
        "quota": [
            {
                "pool": quota.pool,
                "unit": quota.unit,
                "per_day": quota.per_day,
                "per_interval": full.costs.get(quota.pool, 0),
            }
            for quota in source.spec.quotas
        ],
    }
