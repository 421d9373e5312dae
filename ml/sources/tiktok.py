"""TikTok: the videos made in each configured region, from the Research API.

https://developers.tiktok.com/doc/research-api-specs-query-videos (read 2026-11): videos made on UTC
days, at most 30 apart, newest first, 100 a page and sometimes fewer; the next page is asked for by
`cursor` and `search_id`. Tokens last two hours
(https://developers.tiktok.com/doc/client-access-token-management). 1000 requests a day for an
approved research project, counted anew at midnight UTC
(https://developers.tiktok.com/doc/research-api-faq); an error may come with status 200
(https://developers.tiktok.com/doc/tiktok-api-v2-error-handling).

The API knows whole days: an interval asks for the days that it touches, so that hourly intervals
see the videos of a day again and again, each time with the counts of that moment. Past days can be
asked for at any time; their counts are those of today. Of a region and 30 days the newest thousand
are read, and fewer where the quota wants it; the rest is left out on purpose.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

from ml.exceptions import (
    ProviderError,
    QuotaExceededError,
    RateLimitedError,
    RecordError,
    SourceUnavailableError,
)
from ml.settings import Settings
from ml.sources import fields
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
from ml.sources.http import Credentials, HttpClient
from ml.sources.quota import Level, Quota

UNITS = Quota("tiktok", per_day=1000, unit="requests")
PAGES = (10, 5, 2, 1)
_PAGE_SIZE = 100
_SPAN = timedelta(days=30)
_CREDENTIALS = ("tiktok_client_key", "tiktok_client_secret")
_TO_CHECK = "TIKTOK_CLIENT_KEY and TIKTOK_CLIENT_SECRET"
_FIELDS = (
    "id,video_description,create_time,region_code,share_count,view_count,like_count,comment_count,"
    "music_id,hashtag_names,username,voice_to_text,video_duration"
)
_REGION = re.compile(r"[A-Z]{2}")
_PASSING = frozenset({"internal_error", "timeout"})


class TikTokSource(Source):
    """Yields a `video` and a `snapshot` record for each video."""

    spec = SourceSpec(
        id="tiktok",
        family="tiktok",
        title="TikTok videos",
        docs=(
            "https://developers.tiktok.com/doc/research-api-specs-query-videos (2026-11)",
            "https://developers.tiktok.com/doc/research-api-faq (2026-11)",
        ),
        kinds=("video", "snapshot"),
        base_url="https://open.tiktokapis.com/v2",
        credentials=_CREDENTIALS,
        quotas=(UNITS,),
        replayable=True,
        params={"regions": "tiktok_regions"},
    )

    def __init__(self, settings: Settings, *, pages: int = PAGES[0]) -> None:
        super().__init__(settings)
        self._pages = pages

    def availability(self) -> Availability:
        """Whether there is a research client and a region."""
        if not self.settings.tiktok_regions:
            return Availability(False, 'set TIKTOK_REGIONS, for example ["US"]')
        return super().availability()

    def levels(self) -> tuple[Level, ...]:
        """Ever fewer pages of each region."""
        regions = len(self.settings.tiktok_regions)
        depths = [self._pages, *(pages for pages in PAGES if pages < self._pages)]
        return tuple(Level(f"pages={depth}", {UNITS.pool: depth * regions}) for depth in depths)

    def fetch(
        self, interval: Interval, cursor: Mapping[str, Any] | None, access: Access
    ) -> Iterator[Page]:
        """Yield the pages of each region, newest videos first."""
        regions = self.settings.tiktok_regions
        costs = {level.name: level.costs[UNITS.pool] // len(regions) for level in self.levels()}
        pages = costs.get(access.level.name, self._pages)
        numbers = count()
        with access.client(self, credentials=self._sign_in(access)) as http:
            for region in regions:
                for first, last in _spans(interval):
                    yield from _search(http, region, first, last, pages, numbers)

    def _sign_in(self, access: Access) -> Credentials:
        """A client access token; it is kept nowhere."""
        key, secret = (self.settings.require_credential(name) for name in _CREDENTIALS)
        form = {"client_key": key, "client_secret": secret, "grant_type": "client_credentials"}
        with access.client(self, credentials=Credentials(variable=_TO_CHECK)) as http:
            answered = http.post("oauth/token/", form=form)
        token = json.loads(answered.body)
        if not isinstance(token, dict) or not isinstance(token.get("access_token"), str):
            # Refusals may come with status 200 here.
            raise SourceUnavailableError(f"tiktok: it gives no token; check {_TO_CHECK}")
        return Credentials({"Authorization": f"Bearer {token['access_token']}"}, variable=_TO_CHECK)

    def parse(self, page: Page) -> Iterator[Record | Rejected]:
        """Turn a page into rows of `raw.records`; what does not parse becomes `Rejected`."""
        return fields.parse_items(page, "video", _videos, lambda item, _: _records(item, page))


def _spans(interval: Interval) -> Iterator[tuple[date, date]]:
    """The days that an interval touches, in spans that the API takes."""
    day = interval.start.astimezone(UTC).date()
    end = (interval.end.astimezone(UTC) - timedelta(microseconds=1)).date()
    while day <= end:
        last = min(day + _SPAN, end)
        yield day, last
        day = last + timedelta(days=1)


def _search(
    http: HttpClient, region: str, first: date, last: date, pages: int, numbers: Iterator[int]
) -> Iterator[Page]:
    """The pages of one search.

    Raises:
        YtempireError: what an error of TikTok means.
    """
    condition = {"operation": "IN", "field_name": "region_code", "field_values": [region]}
    body: dict[str, Any] = {
        "query": {"and": [condition]},
        "start_date": f"{first:%Y%m%d}",
        "end_date": f"{last:%Y%m%d}",
        "max_count": _PAGE_SIZE,
    }
    for _ in range(pages):
        fetched = http.post(
            "research/video/query/", {"fields": _FIELDS}, content=body, cost=(UNITS, 1)
        )
        _check(fetched.body, fetched.fetched_at)
        yield new_page("videos", fetched, region=region, number=next(numbers))
        following = _following(fetched.body)
        if following is None or following["cursor"] <= body.get("cursor", 0):
            return
        body |= following


def _check(body: bytes, now: datetime) -> None:
    """Raise what an error in an answer of status 200 means."""
    code = _error_code(body)
    if code in ("ok", ""):
        return
    what = f"tiktok: {ascii(code)[:60]}"
    if code == "daily_quota_limit_exceeded":
        resets_at = UNITS.resets_at(now)
        raise QuotaExceededError(f"{what}; wait until {resets_at}", resets_at=resets_at)
    if code == "rate_limit_exceeded":
        raise RateLimitedError(f"{what}; retry later")
    if code in _PASSING:
        raise ProviderError(f"{what}; retry later")
    raise SourceUnavailableError(f"{what}; check {_TO_CHECK}, and TIKTOK_REGIONS")


def _error_code(body: bytes) -> str:
    """The code, empty where the answer has none: then its videos decide."""
    try:
        page = fields.mapping(fields.document(body), "page")
        return fields.text(fields.mapping(page.get("error", {}), "error"), "code") or ""
    except RecordError:
        return ""


def _data(body: bytes) -> Mapping[str, Any]:
    """The data of an answer.

    Raises:
        RecordError: if it has none, or is an error.
    """
    page = fields.mapping(fields.document(body), "page")
    code = _error_code(body)
    if code not in ("ok", ""):
        raise RecordError(f"the answer is an error: {ascii(code)[:60]}")
    return fields.mapping(page.get("data"), "data")


def _videos(body: bytes) -> list[Any]:
    """The videos of an answer.

    Raises:
        RecordError: if it has no list of them.
    """
    videos = _data(body).get("videos")
    if not isinstance(videos, list):
        raise RecordError("the page has no list of videos")
    return videos


def _following(body: bytes) -> dict[str, Any] | None:
    """What asks for the next page, None at the end."""
    try:
        data = _data(body)
        more, cursor = fields.flag(data, "has_more"), fields.count(data, "cursor")
        search_id = fields.text(data, "search_id")
    except RecordError:
        return None
    if not more or cursor is None:
        return None
    return {"cursor": cursor, **({"search_id": search_id} if search_id else {})}


def _records(item: Any, page: Page) -> Iterator[Record]:
    """The video and its snapshot.

    Raises:
        RecordError: naming the field that does not fit.
    """
    video = fields.mapping(item, "video")
    number = fields.required_count(video, "id")
    region = fields.text(video, "region_code") or page.region
    if not _REGION.fullmatch(region):
        raise RecordError(f"region_code is not a country: {ascii(region)[:60]}")
    created = fields.unix_moment(video, "create_time")
    described = _description(video, number)
    measured = {
        "views": fields.count(video, "view_count"),
        "likes": fields.count(video, "like_count"),
        "comments": fields.count(video, "comment_count"),
        "shares": fields.count(video, "share_count"),
    }
    yield record(page, "video", str(number), created, described, region=region)
    yield record(page, "snapshot", str(number), page.fetched_at, measured, region=region)


def _caption(video: Mapping[str, Any]) -> str | None:
    """The caption, empty where its maker wrote none.

    Raises:
        RecordError: if it is there and no text; null is none.
    """
    name = "video_description"
    if video.get(name, "") is None:
        raise RecordError(f"{name} is null")
    return fields.text(video, name)


def _description(video: Mapping[str, Any], number: int) -> dict[str, Any]:
    author = fields.text(video, "username") or None
    music = fields.count(video, "music_id")
    return {
        "title": _caption(video) or None,
        "url": f"https://www.tiktok.com/@{author}/video/{number}" if author else None,
        "author": author,
        "text": fields.text(video, "voice_to_text") or None,
        "hashtags": fields.texts(video, "hashtag_names"),
        "music_id": None if music is None else str(music),
        "duration_s": fields.count(video, "video_duration"),
    }
