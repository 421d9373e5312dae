"""YouTube channels: how large those are whose videos lead the charts.

YouTube Data API v3, channels.list, as documented on
https://developers.google.com/youtube/v3/docs/channels/list and
https://developers.google.com/youtube/v3/docs/channels (read 2026-11). Subscriber counts have three
significant figures, and an owner can hide them: then there is none.

A source sees no other source's rows, so this one reads the first page of each region's chart for
the ids of its channels: one unit a region, and one for every 50 channels. A channel is therefore
observed as long as it has a video among the first 50. Of those pages only videos that name no
channel are reported; the videos themselves are the `youtube` source's rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
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
    record,
)
from ml.sources.http import HttpClient
from ml.sources.quota import Level, shares


class YouTubeChannelsSource(Source):
    """Yields `channel` records, one per channel on a chart's first page and observation."""

    spec = SourceSpec(
        id="youtube_channels",
        family="youtube",
        title="YouTube channels",
        docs=("https://developers.google.com/youtube/v3/docs/channels/list (2026-11)",),
        kinds=("channel",),
        base_url=api.BASE_URL,
        credentials=(api.KEY,),
        quotas=(api.UNITS,),
        params={"regions": "youtube_regions"},
    )

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._regions = tuple(settings.youtube_regions)

    def availability(self) -> Availability:
        """Whether there is a key and a region."""
        if not self._regions:
            return Availability(False, 'set YOUTUBE_REGIONS, for example ["US"]')
        return super().availability()

    def levels(self) -> tuple[Level, ...]:
        """All regions, or the first half of them, or the first alone."""
        return tuple(
            Level(name, {api.UNITS.pool: 2 * count})
            for name, count in shares("regions", len(self._regions)).items()
        )

    def fetch(
        self, interval: Interval, cursor: Mapping[str, Any] | None, access: Access
    ) -> Iterator[Page]:
        """Yield the first page of each chart, then the channels of their videos."""
        total = len(self._regions)
        count = shares("regions", total).get(access.level.name, total)
        with api.client(self, access) as http:
            for number, page in enumerate(_pages(http, self._regions[:count])):
                yield replace(page, number=number)

    def parse(self, page: Page) -> Iterator[Record | Rejected]:
        """Turn a page into records; what does not parse becomes `Rejected`."""
        if page.stream == "chart":
            return fields.parse_items(page, "video", api.items, _check_owner)
        return fields.parse_items(
            page, "channel", api.items, lambda item, _: [_channel(item, page)]
        )


def _pages(http: HttpClient, regions: tuple[str, ...]) -> Iterator[Page]:
    owners: list[str] = []
    for region in regions:
        params: dict[str, str | int] = {
            "part": "snippet", "chart": "mostPopular", "regionCode": region,
            "maxResults": api.PAGE_SIZE,
        }  # fmt: skip
        fetched = http.get("videos", params, cost=(api.UNITS, 1))
        yield new_page("chart", fetched, region=region)
        items, _ = api.outline(fetched.body)
        owners += filter(None, map(_owner, items))
    for ids in api.batches(owners):
        params = {"part": "snippet,statistics", "id": ids, "maxResults": api.PAGE_SIZE}
        fetched = http.get("channels", params, cost=(api.UNITS, 1))
        yield new_page("channels", fetched)


def _owner(video: Any) -> str | None:
    snippet = video.get("snippet") if isinstance(video, dict) else None
    return api.usable_id(snippet.get("channelId")) if isinstance(snippet, dict) else None


def _check_owner(video: Any, _: int) -> list[Record]:
    """Report a video whose channel cannot be read; the others are another source's rows.

    Raises:
        RecordError: if it names none.
    """
    if _owner(video) is None:
        raise RecordError("the video names no channel")
    return []


def _channel(item: Any, page: Page) -> Record:
    """The record of one channel resource.

    Raises:
        RecordError: naming the field that does not fit.
    """
    channel = fields.mapping(item, "item")
    snippet = fields.mapping(channel.get("snippet"), "snippet")
    statistics = fields.mapping(channel.get("statistics", {}), "statistics")
    created = fields.moment(snippet, "publishedAt")
    hidden = fields.flag(statistics, "hiddenSubscriberCount")
    payload = {
        "title": fields.required_text(snippet, "title"),
        "handle": fields.text(snippet, "customUrl"),
        "country": fields.text(snippet, "country"),
        "created_at": created.isoformat() if created else None,
        "subscribers": None if hidden else fields.count(statistics, "subscriberCount"),
        "videos": fields.count(statistics, "videoCount"),
        "views": fields.count(statistics, "viewCount"),
    }
    return record(page, "channel", fields.required_text(channel, "id"), page.fetched_at, payload)
