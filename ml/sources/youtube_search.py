"""YouTube search: what is uploaded on the configured subjects, the most viewed first.

YouTube Data API v3, search.list, as documented on
https://developers.google.com/youtube/v3/docs/search/list (read 2026-11). Its allowance of 100 calls
a day is apart from all others (https://developers.google.com/youtube/v3/determine_quota_cost), so
it is one call a query: the 50 most viewed videos that were published in the interval. A result has
no counts, therefore the videos that were found are read by videos.list, 50 a call.

Where the allowance only lasts for every other interval, or a longer stride, the search goes back
over the intervals that were skipped, so that what was uploaded in them is found too.

Titles and names in a search result are HTML-escaped, which the documentation does not say; those of
a video resource are not (https://github.com/DialmasterOrg/Youtarr/pull/654, 2026-06).

Two kinds of rows: a `search_result` record each (its id is the video's; of two queries that find a
video at the same instant the first is kept), and a row of `raw.youtube_videos` in region ZZ for
each different video.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from ml.exceptions import RecordError
from ml.settings import Settings
from ml.sources import fields
from ml.sources import youtube_data as api
from ml.sources.access import Access
from ml.sources.base import (
    Availability,
    Interval,
    Page,
    Record,
    Rejected,
    Source,
    SourceSpec,
    new_page,
    parameter,
    record,
)
from ml.sources.http import HttpClient
from ml.sources.quota import Level, shares


class YouTubeSearchSource(Source):
    """Yields `search_result` records and the rows of the videos that were found."""

    spec = SourceSpec(
        id="youtube_search",
        family="youtube",
        title="YouTube search",
        docs=("https://developers.google.com/youtube/v3/docs/search/list (2026-11)",),
        kinds=("search_result",),
        base_url=api.BASE_URL,
        credentials=(api.KEY,),
        quotas=(api.SEARCHES, api.UNITS),
        params={"queries": "youtube_search_queries"},
    )

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._queries = tuple(settings.youtube_search_queries)

    def availability(self) -> Availability:
        """Whether there is a key and something to search for."""
        if not self._queries:
            return Availability(False, 'set YOUTUBE_SEARCH_QUERIES, for example ["news"]')
        return super().availability()

    def levels(self) -> tuple[Level, ...]:
        """All queries, or the first half of them, or the first alone."""
        return tuple(
            Level(name, {api.SEARCHES.pool: count, api.UNITS.pool: count})
            for name, count in shares("queries", len(self._queries)).items()
        )

    def fetch(
        self, interval: Interval, cursor: Mapping[str, Any] | None, access: Access
    ) -> Iterator[Page]:
        """Yield the results of each query, then the videos that they name."""
        total = len(self._queries)
        count = shares("queries", total).get(access.level.name, total)
        since = access.skipped_since or interval.start
        with api.client(self, access) as http:
            pages = self._pages(http, self._queries[:count], since, interval.end)
            for number, page in enumerate(pages):
                yield replace(page, number=number)

    def _pages(
        self, http: HttpClient, queries: tuple[str, ...], since: datetime, until: datetime
    ) -> Iterator[Page]:
        found: list[str] = []
        for query in queries:
            params: dict[str, str | int] = {
                "part": "snippet",
                "type": "video",
                "order": "viewCount",
                "q": query,
                "publishedAfter": _rfc3339(since),
                "publishedBefore": _rfc3339(until),
                "maxResults": api.PAGE_SIZE,
            }
            fetched = http.get("search", params, cost=(api.SEARCHES, 1))
            yield new_page("search", fetched)
            items, _ = api.outline(fetched.body)
            found += filter(None, map(_video_id, items))
        for ids in api.batches(found):
            yield new_page("videos", api.get_videos(http, id=ids))

    def parse(self, page: Page) -> Iterator[Record | Rejected]:
        """Turn a page into rows; what does not parse becomes `Rejected`."""
        if page.stream == "videos":
            return fields.parse_items(
                page, "video", api.items, lambda item, _: [api.video_row(item, page)]
            )
        return fields.parse_items(
            page,
            "search_result",
            api.items,
            lambda item, position: [_result(item, page, position + 1)],
        )


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _video_id(item: Any) -> str | None:
    identity = item.get("id") if isinstance(item, dict) else None
    return api.usable_id(identity.get("videoId")) if isinstance(identity, dict) else None


def _result(item: Any, page: Page, rank: int) -> Record:
    """The record of one search result.

    Raises:
        RecordError: naming the field that does not fit.
    """
    result = fields.mapping(item, "item")
    identity = fields.mapping(result.get("id"), "id")
    snippet = fields.mapping(result.get("snippet"), "snippet")
    published = fields.moment(snippet, "publishedAt")
    title = _plain(snippet, "title")
    if not (title or "").strip():
        raise RecordError("title is absent")
    payload = {
        "query": fields.text({"q": parameter(page, "q")}, "q"),
        "rank": rank,
        "title": title,
        "text": _plain(snippet, "description"),
        "author": _plain(snippet, "channelTitle"),
        "channel_id": fields.text(snippet, "channelId"),
        "published_at": published.isoformat() if published else None,
    }
    video = fields.required_text(identity, "videoId")
    return record(page, "search_result", video, page.fetched_at, payload)


def _plain(snippet: Mapping[str, Any], name: str) -> str | None:
    """A text without its HTML escapes.

    Raises:
        RecordError: if it is no text that can be stored.
    """
    value = fields.text(snippet, name)
    return html.unescape(value) if value else value
