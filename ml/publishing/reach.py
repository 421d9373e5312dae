"""How often thumbnails are shown and clicked, by day, from the YouTube Reporting API.

Only its bulk reports tell (`channel_reach_basic_a1`; the Analytics API does not): a job is created
once, the first reports come two days later, then one a Pacific day.
https://developers.google.com/youtube/reporting/v1/reports (read 2026-11).
"""

from __future__ import annotations

import csv
import io
import logging
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg

from ml.exceptions import FatalError, ProviderError
from ml.publishing.youtube_client import YouTube, reason_of, translated
from ml.sources.youtube_data import PACIFIC

log = logging.getLogger(__name__)

REPORT_TYPE = "channel_reach_basic_a1"
_IMPRESSIONS, _RATE = "video_thumbnail_impressions", "video_thumbnail_impressions_ctr"
_NEWEST = (
    "select max(d.day) from content.video_reach_days as d"
    " inner join content.videos as v using (video_id) where v.channel_id = %s"
)
_PUT = """
insert into content.video_reach_days (video_id, day, impressions, clicks)
select p.video_id, %(day)s, %(impressions)s, %(clicks)s
from content.publications as p
inner join content.videos as v using (video_id)
where p.destination = 'youtube' and p.external_id = %(external_id)s
    and v.channel_id = %(channel_id)s
on conflict (video_id, day) do update
    set impressions = excluded.impressions, clicks = excluded.clicks
"""
# A horizon's figures are of the days up to its end, once the report of that day is there.
_FILL = """
update content.video_metrics as m
set impressions = r.impressions, click_through_rate = r.clicks / nullif(r.impressions, 0)
from (
    select m.video_id, m.horizon, sum(d.impressions)::bigint as impressions, sum(d.clicks) as clicks
    from content.video_metrics as m
    inner join content.videos as v using (video_id)
    inner join content.video_reach_days as d
        on m.video_id = d.video_id and d.day <= (m.due_at at time zone %(zone)s)::date
    where v.channel_id = %(channel_id)s and m.horizon <> '1h' and m.impressions is null
        and m.status = 'observed' and (m.due_at at time zone %(zone)s)::date <= %(newest)s
    group by 1, 2
) as r
where m.video_id = r.video_id and m.horizon = r.horizon
returning m.video_id
"""


def collect_reach(conn: psycopg.Connection, youtube: YouTube, channel_id: str) -> list[str]:
    """Read the reports that are new and fill in what they tell: all of it, or none when killed.

    Returns:
        Ids of the videos of which figures were filled in.

    Raises:
        ProviderError: if a report is none.
    """
    api = youtube.reporting
    job = _job(youtube, api)
    if job is None:
        return []
    row = conn.execute(_NEWEST, (channel_id,)).fetchone()
    options: dict[str, Any] = {"jobId": job}
    newest: date | None = row[0] if row else None
    if newest is not None:
        after = datetime.combine(newest + timedelta(days=1), datetime.min.time(), ZoneInfo(PACIFIC))
        options["startTimeAtOrAfter"] = after.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    found = _reports(youtube, api, options)
    rows = [
        values | {"channel_id": channel_id}
        for report in found
        for values in read(_download(api, report))
    ]
    days = [_day(report) for report in found] + ([newest] if newest is not None else [])
    if not days:
        return []
    about = {"channel_id": channel_id, "zone": PACIFIC, "newest": max(days)}
    # One transaction, because the newest day that is there says where the next call goes on.
    with conn.transaction(), conn.cursor() as cursor:
        cursor.executemany(_PUT, rows)
        return [each[0] for each in cursor.execute(_FILL, about).fetchall()]


def read(text: str) -> list[dict[str, Any]]:
    """The rows of a report.

    Raises:
        ProviderError: if it lacks a column or has no number where one belongs.
    """
    try:
        return [
            {
                "external_id": row["video_id"],
                "day": datetime.strptime(row["date"], "%Y%m%d").date(),  # noqa: DTZ007 - a day
                "impressions": int(row[_IMPRESSIONS]),
                "clicks": float(row[_RATE]) * int(row[_IMPRESSIONS]),
            }
            for row in csv.DictReader(io.StringIO(text))
        ]
    except (KeyError, ValueError, TypeError) as error:
        raise ProviderError(
            f"youtube: a report of {REPORT_TYPE} is not as documented: {error}"
        ) from error


def _reports(youtube: YouTube, api: Any, options: dict[str, Any]) -> list[dict[str, Any]]:
    """The reports of all pages; of two of one day the one that was made later comes later."""
    found: list[dict[str, Any]] = []
    request = api.jobs().reports().list(**options)
    while request is not None:
        page = youtube.call(request)
        found += page.get("reports", [])
        request = api.jobs().reports().list_next(request, page)
    return sorted(found, key=lambda each: datetime.fromisoformat(each["createTime"]))


def _job(youtube: YouTube, api: Any) -> str | None:
    """Id of the job that makes the reports; None where the API is not enabled."""
    try:
        jobs = youtube.call(api.jobs().list()).get("jobs", [])
        for each in jobs:
            if each["reportTypeId"] == REPORT_TYPE:
                return str(each["id"])
        body = {"reportTypeId": REPORT_TYPE, "name": "ytempire reach"}
        return str(youtube.call(api.jobs().create(body=body))["id"])
    except FatalError as error:
        if reason_of(error.__cause__) in ("accessNotConfigured", "forbidden"):
            log.warning("click-through rates are not known: %s", error)
            return None
        raise


def _day(report: dict[str, Any]) -> date:
    return datetime.fromisoformat(report["startTime"]).astimezone(ZoneInfo(PACIFIC)).date()


def _download(api: Any, report: dict[str, Any]) -> str:
    request = api.media().download(resourceName="")
    response, content = translated(lambda: request.http.request(report["downloadUrl"]))
    if response.status != 200:
        raise ProviderError(f"youtube answers {response.status} for the report of {_day(report)}")
    return bytes(content).decode()
