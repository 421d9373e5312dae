"""YouTube Analytics: how the own channel and its videos did, by day.

YouTube Analytics API v2, reports.query, as documented on
https://developers.google.com/youtube/analytics/reference/reports/query and
https://developers.google.com/youtube/analytics/channel_reports (read 2026-11): the report with the
dimension `day`, and the "top videos" report (`dimensions=video`, at most 200 rows, which must be
sorted), one call a day because it cannot be split by day. Columns are found by the names in
`columnHeaders`, never by their place.

The access token comes from the refresh token grant of
https://developers.google.com/identity/protocols/oauth2/web-server#offline (read 2026-11); the
channel behind it is asked for by channels.list with `mine=true`. The refresh token needs the scopes
yt-analytics.readonly and youtube.readonly.

Days are Pacific days: a row's time is midnight there. The newest days are missing from a report
until two or three days later and are corrected for a while, so an interval asks for the days before
it again; a later observation of a day replaces the earlier one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ml.exceptions import ProviderError, RecordError, SourceUnavailableError
from ml.sources import fields
from ml.sources import youtube_data as api
from ml.sources.access import Access
from ml.sources.base import (
    Interval,
    Page,
    Record,
    Rejected,
    Source,
    SourceSpec,
    new_page,
    note,
    parameter,
    record,
)
from ml.sources.http import Credentials, HttpClient
from ml.sources.quota import Level

_OAUTH_URL = "https://oauth2.googleapis.com"
_ZONE = ZoneInfo(api.PACIFIC)
_SETTLING_DAYS = 4
_TOP_VIDEOS = 200
# What the provider calls a metric, and what we do. `views` of a Short are plays since 2025-03-31;
# `engagedViews` go on counting what `views` counted before.
_METRICS = {
    "views": "views",
    "engagedViews": "engaged_views",
    "likes": "likes",
    "comments": "comments",
    "shares": "shares",
    "estimatedMinutesWatched": "minutes_watched",
    "averageViewDuration": "average_view_s",
    "averageViewPercentage": "average_view_percent",
    "subscribersGained": "subscribers_gained",
    "subscribersLost": "subscribers_lost",
}


class YouTubeAnalyticsSource(Source):
    """Yields `channel_day` records, and `video_day` records of the 200 most viewed videos a day."""

    spec = SourceSpec(
        id="youtube_analytics",
        family="youtube_analytics",
        title="YouTube Analytics",
        docs=("https://developers.google.com/youtube/analytics/reference/reports/query (2026-11)",),
        kinds=("channel_day", "video_day"),
        base_url="https://youtubeanalytics.googleapis.com/v2",
        credentials=("youtube_client_id", "youtube_client_secret", "youtube_refresh_token"),
        quotas=(api.UNITS,),
        replayable=True,
    )

    def levels(self) -> tuple[Level, ...]:
        """One call of channels.list; the reports spend nothing of a documented quota."""
        return (Level("full", {api.UNITS.pool: 1}),)

    def fetch(
        self, interval: Interval, cursor: Mapping[str, Any] | None, access: Access
    ) -> Iterator[Page]:
        """Yield the report by day, then the top videos of each day that it has."""
        token = self._token(access)
        with access.client(self, base_url=api.BASE_URL, credentials=token) as http:
            channel = _own_channel(http)
        first, last = _days(interval)
        with access.client(self, credentials=token) as http:
            by_day = _report(http, channel, first, last, {"dimensions": "day", "sort": "day"})
            yield by_day
            top = {"dimensions": "video", "sort": "-views", "maxResults": str(_TOP_VIDEOS)}
            days = [day for day in _days_of(by_day) if first <= day <= last]
            for number, day in enumerate(days, start=1):
                yield _report(http, channel, day, day, top, number)

    def _token(self, access: Access) -> Credentials:
        form = {
            "grant_type": "refresh_token",
            "client_id": self.settings.require_credential("youtube_client_id"),
            "client_secret": self.settings.require_credential("youtube_client_secret"),
            "refresh_token": self.settings.require_credential("youtube_refresh_token"),
        }
        with access.client(self, base_url=_OAUTH_URL) as http:
            try:
                body = http.post("token", form=form).body
            except SourceUnavailableError as error:
                raise SourceUnavailableError(
                    f"{error}; check YOUTUBE_CLIENT_ID, YOUTUBE_CLIENT_SECRET and"
                    " YOUTUBE_REFRESH_TOKEN"
                ) from None
        granted = json.loads(body)
        token = granted.get("access_token") if isinstance(granted, dict) else None
        if not isinstance(token, str) or not token:
            raise ProviderError("youtube_analytics: the token answer has no token; retry later")
        return Credentials({"Authorization": f"Bearer {token}"}, variable="YOUTUBE_REFRESH_TOKEN")

    def parse(self, page: Page) -> Iterator[Record | Rejected]:
        """Turn a report into records; what does not parse becomes `Rejected`."""
        try:
            names, rows = _table(page.body)
        except RecordError as error:
            yield fields.rejected_body(page.stream, error, page.body)
            return
        yield from fields.parse_each(page.stream, rows, lambda row, _: [_row(names, row, page)])


def _own_channel(http: HttpClient) -> str:
    """Id of the channel whose owner granted the token.

    Raises:
        SourceUnavailableError: if the account has no channel.
        ProviderError: if the answer does not name it.
    """
    found = http.get("channels", {"part": "id", "mine": "true"}, cost=(api.UNITS, 1))
    items, _ = api.outline(found.body)
    if not items:
        raise SourceUnavailableError(
            "youtube_analytics: the account behind YOUTUBE_REFRESH_TOKEN has no channel"
        )
    channel = api.usable_id(items[0].get("id")) if isinstance(items[0], dict) else None
    if channel is None:
        raise ProviderError("youtube_analytics: the own channel has no id; retry later")
    return channel


def _days(interval: Interval) -> tuple[date, date]:
    """First and last Pacific day to ask for."""
    last = (interval.end - timedelta(microseconds=1)).astimezone(_ZONE).date()
    return interval.start.astimezone(_ZONE).date() - timedelta(days=_SETTLING_DAYS), last


def _report(
    http: HttpClient,
    channel: str,
    first: date,
    last: date,
    shape: Mapping[str, str],
    number: int = 0,
) -> Page:
    params = {
        "ids": "channel==MINE",
        "startDate": first.isoformat(),
        "endDate": last.isoformat(),
        "metrics": ",".join(_METRICS),
        **shape,
    }
    stream = "channel_day" if shape["dimensions"] == "day" else "video_day"
    fetched = http.get("reports", params)
    return new_page(stream, fetched, number=number, note=f"channel={channel}")


def _table(body: bytes) -> tuple[list[str], list[Any]]:
    """Column names and rows; a report without data has no rows.

    Raises:
        RecordError: if it is no table.
    """
    table = fields.mapping(fields.document(body), "report")
    headers, rows = table.get("columnHeaders"), table.get("rows", [])
    if not isinstance(headers, list) or not isinstance(rows, list):
        raise RecordError("the report has no table")
    names = [fields.required_text(fields.mapping(each, "columnHeader"), "name") for each in headers]
    if len(set(names)) < len(names):
        raise RecordError("the report names a column twice")
    return names, rows


def _days_of(page: Page) -> list[date]:
    """The different days that a report has rows of."""
    try:
        names, rows = _table(page.body)
    except RecordError:
        return []
    days = set()
    for row in rows:
        try:
            days.add(_date(_by_name(names, row), "day"))
        except RecordError:
            continue  # reported when the page is parsed
    return sorted(days)


def _by_name(names: list[str], row: Any) -> dict[str, Any]:
    if not isinstance(row, list) or len(row) != len(names):
        raise RecordError("the row does not fit the columns")
    return dict(zip(names, row, strict=True))


def _row(names: list[str], row: Any, page: Page) -> Record:
    """The record of one row.

    Raises:
        RecordError: naming the column that does not fit.
    """
    values = _by_name(names, row)
    channel = fields.required_text({"channel": note(page, "channel")}, "channel")
    payload: dict[str, Any] = {ours: _number(values, theirs) for theirs, ours in _METRICS.items()}
    if page.stream == "channel_day":
        day, record_id = _date(values, "day"), channel
    else:
        day = _date({"startDate": parameter(page, "startDate")}, "startDate")
        record_id = fields.required_text(values, "video")
        payload["channel_id"] = channel
    payload["day"] = day.isoformat()
    starts = datetime(day.year, day.month, day.day, tzinfo=_ZONE).astimezone(UTC)
    return record(page, page.stream, record_id, starts, payload)


def _date(values: Mapping[str, Any], name: str) -> date:
    text = fields.required_text(values, name)
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise RecordError(f"{name} is not a day: {ascii(text)[:60]}") from None
    if not 2000 <= day.year < 2200:
        raise RecordError(f"{name} is out of range: {day}")
    return day


def _number(values: Mapping[str, Any], name: str) -> int | float | None:
    """A number, which may be below zero (likes are taken back), or None where it is absent."""
    value = values.get(name)
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**63:
        return value
    raise RecordError(f"{name} is not a number: {ascii(value)[:60]}")
