"""The YouTube Data API v3, as far as our sources share it: key, quotas, the video resource.

Parameters, errors and costs are those of https://developers.google.com/youtube/v3/docs/videos/list
and https://developers.google.com/youtube/v3/determine_quota_cost (read 2026-11): 10,000 units a
day, 1 for each list call, and 100 calls a day for search.list in a pool of its own; both start
anew at midnight Pacific time. The key travels in the `X-Goog-Api-Key` header
(https://cloud.google.com/apis/docs/system-parameters), so that no URL ever holds it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ml.exceptions import RecordError
from ml.sources import fields
from ml.sources.access import Access
from ml.sources.base import Page, Record, Source
from ml.sources.http import Credentials, Fetched, HttpClient
from ml.sources.quota import Quota

BASE_URL = "https://www.googleapis.com/youtube/v3"
KEY = "youtube_api_key"
PAGE_SIZE = 50  # results of a page, and ids of a call
PACIFIC = "America/Los_Angeles"
UNITS = Quota("youtube", per_day=10_000, unit="units", zone=PACIFIC)
SEARCHES = Quota("youtube", per_day=100, pool="search", zone=PACIFIC)
_VIDEO_PARTS = "snippet,contentDetails,statistics,status"


def client(source: Source, access: Access) -> HttpClient:
    """A client that presents the key."""
    key = source.settings.require_credential(KEY)
    credentials = Credentials({"X-Goog-Api-Key": key}, variable="YOUTUBE_API_KEY")
    return access.client(source, credentials=credentials)


def get_videos(http: HttpClient, **selection: str | int) -> Fetched:
    """One call of videos.list, by ids or by chart, with the parts that `video_row` reads."""
    return http.get("videos", {"part": _VIDEO_PARTS, **selection}, cost=(UNITS, 1))


def batches(ids: Iterable[str]) -> Iterator[str]:
    """The different ids, as many to a text as one call takes."""
    different = list(dict.fromkeys(ids))
    for start in range(0, len(different), PAGE_SIZE):
        yield ",".join(different[start : start + PAGE_SIZE])


def items(body: bytes) -> list[Any]:
    """The items of a list response; Google leaves an empty list out.

    Raises:
        RecordError: if it is no such response.
    """
    page = fields.mapping(fields.document(body), "page")
    is_list = str(page.get("kind")).endswith("ListResponse")
    found = page.get("items", [] if is_list else None)
    if not isinstance(found, list):
        raise RecordError("the page has no list of items")
    return found


def outline(body: bytes) -> tuple[list[Any], str | None]:
    """Items and next page token, as far as the body has them."""
    try:
        token = fields.text(fields.mapping(fields.document(body), "page"), "nextPageToken")
        return items(body), token
    except RecordError:
        return [], None


def usable_id(value: Any) -> str | None:
    """An id that can be asked for in a list of ids, or None."""
    usable = isinstance(value, str) and value.isascii() and value.isprintable()
    return value if usable and value.strip() and "," not in value else None


def video_row(item: Any, page: Page, rank: int | None = None) -> Record:
    """The row of one video resource.

    Args:
        item: the resource.
        page: where it was found.
        rank: its place on the region's chart.

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
    values = {
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
    return Record("raw.youtube_videos", values)
