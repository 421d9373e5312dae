"""YouTube: the `mostPopular` chart of each configured region.

YouTube Data API v3, videos.list with `chart=mostPopular`: parameters, paging, errors and the cost
of 1 unit a page are those of https://developers.google.com/youtube/v3/docs/videos/list (read
2026-01); the resource is https://developers.google.com/youtube/v3/docs/videos. The key travels in
the `X-Goog-Api-Key` header (https://cloud.google.com/apis/docs/system-parameters), so that no URL
ever holds it.

Since 21 July 2025 the chart stands for the Music, Movies and Gaming charts; older archives of
"trending" videos do not match it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs

from ml.exceptions import RecordError
from ml.settings import Settings
from ml.sources import fields
from ml.sources.access import Access
from ml.sources.base import Availability, Interval, Page, Record, Rejected, Source, SourceSpec
from ml.sources.http import Credentials, HttpClient
from ml.sources.quota import Level, Quota

PARTS = "snippet,contentDetails,statistics,status"
PAGE_SIZE = 50
MAX_VIDEOS = 200  # the provider's own end of the chart
UNITS = Quota("youtube", per_day=10_000, unit="units", zone="America/Los_Angeles")


class YouTubeSource(Source):
    """Yields `raw.youtube_videos` rows, one per region, listed video and observation."""

    spec = SourceSpec(
        id="youtube",
        family="youtube",
        title="YouTube charts",
        docs=("https://developers.google.com/youtube/v3/docs/videos/list (2026-01)",),
        kinds=(),
        base_url="https://www.googleapis.com/youtube/v3",
        credentials=("youtube_api_key",),
        quotas=(UNITS,),
        params={"regions": "youtube_regions"},
    )

    def __init__(self, settings: Settings, *, max_videos: int = MAX_VIDEOS) -> None:
        super().__init__(settings)
        self._regions = settings.youtube_regions
        self._pages = -(-min(max_videos, MAX_VIDEOS) // PAGE_SIZE)

    def availability(self) -> Availability:
        """Whether there is a key and a region."""
        if not self._regions:
            return Availability(False, 'set YOUTUBE_REGIONS, for example ["US"]')
        return super().availability()

    def levels(self) -> tuple[Level, ...]:
        """All regions, or the first half of them, or the first alone."""
        counts = dict.fromkeys((len(self._regions), -(-len(self._regions) // 2), 1))
        return tuple(
            Level(f"regions={count}", {UNITS.pool: self._pages * count}) for count in counts
        )

    def fetch(
        self, interval: Interval, cursor: Mapping[str, Any] | None, access: Access
    ) -> Iterator[Page]:
        """Yield the pages of every region's chart; a chart has no increments, so no cursor."""
        key = self.settings.require_credential("youtube_api_key")
        credentials = Credentials({"X-Goog-Api-Key": key}, variable="YOUTUBE_API_KEY")
        number = 0
        with access.client(self, credentials=credentials) as http:
            for region in self._regions[: self._wanted(access.level)]:
                for page in self._chart(http, region, number):
                    yield page
                    number += 1

    def _wanted(self, level: Level) -> int:
        costs = {each.name: each.costs[UNITS.pool] // self._pages for each in self.levels()}
        return costs.get(level.name, len(self._regions))

    def _chart(self, http: HttpClient, region: str, number: int) -> Iterator[Page]:
        """The pages of one region.

        The rank of a page's first video is kept as the fragment `#rank=51` of the request (a
        fragment is never sent): page tokens are opaque, and the body does not say it.
        """
        params: dict[str, str | int] = {
            "part": PARTS, "chart": "mostPopular", "regionCode": region, "maxResults": PAGE_SIZE,
        }  # fmt: skip
        rank = 1
        for page_number in range(number, number + self._pages):
            fetched = http.get("videos", params, cost=(UNITS, 1))
            yield Page(
                stream="chart",
                region=region,
                number=page_number,
                body=fetched.body,
                request=f"{fetched.request}#rank={rank}",
                fetched_at=fetched.fetched_at,
            )
            items, token = _outline(fetched.body)
            if not token or token == params.get("pageToken"):
                return
            params["pageToken"] = token
            rank += items

    def parse(self, page: Page) -> Iterator[Record | Rejected]:
        """Turn a page into rows of `raw.youtube_videos`; what does not parse becomes `Rejected`."""
        try:
            items = fields.mapping(fields.document(page.body), "page").get("items")
            if not isinstance(items, list):
                raise RecordError("the page has no list of items")
        except RecordError as error:
            yield fields.rejected_body("video", error, page.body)
            return
        first = _first_rank(page.request)
        for position, item in enumerate(items):
            try:
                yield Record("raw.youtube_videos", _row(item, page, first + position))
            except RecordError as error:
                yield fields.rejected("video", error, item, position)


def _outline(body: bytes) -> tuple[int, str | None]:
    """Number of items and next page token, as far as the body has them."""
    try:
        page = fields.mapping(fields.document(body), "page")
        items = page.get("items")
        return len(items) if isinstance(items, list) else 0, fields.text(page, "nextPageToken")
    except RecordError:
        return 0, None


def _first_rank(request: str) -> int:
    value = parse_qs(request.rpartition("#")[2]).get("rank", ["1"])[0]
    return int(value) if value.isascii() and value.isdigit() else 1


def _row(item: Any, page: Page, rank: int) -> dict[str, Any]:
    """Columns of one video resource.

    Raises:
        RecordError: naming the field that does not fit.
    """
    video = fields.mapping(item, "item")
    snippet = fields.mapping(video.get("snippet"), "snippet")
    details = fields.mapping(video.get("contentDetails", {}), "contentDetails")
    statistics = fields.mapping(video.get("statistics", {}), "statistics")
    status = fields.mapping(video.get("status", {}), "status")
    category = fields.count(snippet, "categoryId")
    if category is not None and category > 1000:
        raise RecordError(f"categoryId is out of range: {category}")
    language = fields.text(snippet, "defaultLanguage")
    return {
        "region": page.region,
        "video_id": fields.required_text(video, "id"),
        "observed_at": page.fetched_at,
        "available_at": page.fetched_at,
        "chart_rank": rank,
        "title": fields.required_text(snippet, "title"),
        "channel_id": fields.text(snippet, "channelId"),
        "channel_title": fields.text(snippet, "channelTitle"),
        "category_id": category,
        "published_at": fields.moment(snippet, "publishedAt"),
        "tags": fields.texts(snippet, "tags"),
        "language": language or fields.text(snippet, "defaultAudioLanguage"),
        "duration_s": fields.seconds(details, "duration"),
        "views": fields.count(statistics, "viewCount"),
        "likes": fields.count(statistics, "likeCount"),
        "dislikes": None,  # private since December 2021
        "comments": fields.count(statistics, "commentCount"),
        "regions_listed": None,
        "made_for_kids": fields.flag(status, "madeForKids"),
    }
