"""How published videos do 1 hour, 24 hours and 7 days after they came out.

Views, likes and comments are what YouTube counts when it is asked, so it has to be asked in time:
what is asked too late is kept as *missed* and not as a figure of that horizon. Retention (YouTube
Analytics) and click-through (daily reports, see `ml.publishing.reach`) are of whole Pacific days
and known two to three days later: they cover the days up to the end of the horizon, are filled in
when they are there, and there are none for 1 hour.
Time is YouTube's, as its answers tell it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
from psycopg.types.json import Jsonb

from ml.exceptions import SourceUnavailableError
from ml.publishing.reach import collect_reach
from ml.publishing.release import owner, reject
from ml.publishing.youtube_client import LIST, AccountSuspendedError, YouTube
from ml.settings import Settings, get_settings
from ml.sources.youtube_data import PACIFIC, PAGE_SIZE
from ml.storage.postgres import connect, query
from ml.storage.quotas import LedgerMeter

log = logging.getLogger(__name__)

HORIZONS = {"1h": timedelta(hours=1), "24h": timedelta(hours=24), "7d": timedelta(days=7)}
# How late a figure may be and still be called that of its horizon.
_TOLERANCE = {"1h": timedelta(hours=1), "24h": timedelta(hours=12), "7d": timedelta(days=2)}
_ANALYTICS_FROM, _ANALYTICS_UNTIL = timedelta(days=2), timedelta(days=14)
_ZONE = ZoneInfo(PACIFIC)

_OPEN = """
select p.video_id, p.external_id, p.published_at, v.channel_id,
    array_remove(array_agg(m.horizon), null) as known
from content.publications as p
inner join content.videos as v using (video_id)
left join content.video_metrics as m using (video_id)
where p.destination = 'youtube' and p.status = 'published' and p.published_at is not null
group by 1, 2, 3, 4
having count(m.horizon) < %s
order by p.published_at, p.video_id
"""
_UNREPORTED = """
select m.video_id, m.horizon, m.due_at, p.external_id, p.published_at
from content.video_metrics as m
inner join content.publications as p using (video_id)
inner join content.videos as v using (video_id)
where m.status = 'observed' and m.horizon <> '1h' and m.average_view_percent is null
    and p.destination = 'youtube' and v.channel_id = %(channel_id)s
    and m.due_at between %(now)s - %(until)s and %(now)s - %(from)s
order by m.due_at
"""
_INSERT = """
insert into content.video_metrics (video_id, horizon, due_at, observed_at, status, views, likes,
    comments, is_synthetic)
values (%(video_id)s, %(horizon)s, %(due_at)s, %(observed_at)s, %(status)s, %(views)s, %(likes)s,
    %(comments)s, %(is_synthetic)s)
on conflict (video_id, horizon) do nothing
"""
_RETENTION = """
update content.video_metrics set average_view_s = %s, average_view_percent = %s
where video_id = %s and horizon = %s
"""
# What was predicted of a video, beside what became of it.
_OUTCOME = """
update ml.model_predictions set actual_outcome = %s
where entity_id = %s and prediction_type in ('video_forecast', 'video_quality', 'thumbnail_ctr')
    and actual_outcome is distinct from %s
"""
_CHANNELS = """
select distinct v.channel_id
from content.publications as p
inner join content.videos as v using (video_id)
where p.destination = 'youtube' and p.status = 'published'
order by 1
"""


@dataclass(frozen=True)
class Collected:
    """What a collection did.

    Attributes:
        observed: figures that were taken in time.
        missed: those that nobody had asked for in time.
        gone: those of videos that YouTube knows no more.
        retention: horizons whose retention was filled in.
        reach: horizons whose click-through was filled in.
        rejected: videos that YouTube does not let stand.
    """

    observed: int = 0
    missed: int = 0
    gone: int = 0
    retention: int = 0
    reach: int = 0
    rejected: int = 0

    def __add__(self, other: Collected) -> Collected:
        return Collected(**{name: value + vars(other)[name] for name, value in vars(self).items()})


def collect_metrics(settings: Settings | None = None) -> Collected:
    """Take every figure that is due; each is taken once, however often this runs.

    Raises:
        QuotaExceededError: if the units of the day are used up.
        RetriableError: if YouTube or the database is away.
        FatalError: if the account of a channel cannot be used; the others are asked all the same.
    """
    settings = settings or get_settings()
    result, unusable = Collected(), []
    with (
        LedgerMeter(settings) as meter,
        connect(settings.require("database_url"), autocommit=True) as conn,
    ):
        open_videos: dict[str, list[dict[str, Any]]] = {
            row[0]: [] for row in conn.execute(_CHANNELS).fetchall()
        }
        for row in query(conn, _OPEN, (len(HORIZONS),)):
            open_videos[row["channel_id"]].append(row)
        for channel_id, videos in open_videos.items():
            try:
                youtube = owner(conn, settings, channel_id, meter)
                for found in _of_channel(
                    conn, youtube, channel_id, videos, is_synthetic=settings.uses_world
                ):
                    result += found
            except (SourceUnavailableError, AccountSuspendedError) as error:
                # What is not asked in time is missed for good: the other channels come first.
                log.error("channel %s: %s", channel_id, error)
                unusable.append(f"channel {channel_id}: {error}")
    log.info("collected %s", result)
    if unusable:
        raise SourceUnavailableError("; ".join(unusable))
    return result


def _of_channel(
    conn: psycopg.Connection,
    youtube: YouTube,
    channel_id: str,
    videos: list[dict[str, Any]],
    *,
    is_synthetic: bool,
) -> Iterator[Collected]:
    for start in range(0, len(videos), PAGE_SIZE):
        batch = videos[start : start + PAGE_SIZE]
        yield _counts(conn, youtube, batch, is_synthetic=is_synthetic)
    yield _retention(conn, youtube, channel_id)
    reached = collect_reach(conn, youtube, channel_id)
    for video_id in set(reached):
        _join_outcomes(conn, video_id)
    yield Collected(reach=len(reached))


def _counts(
    conn: psycopg.Connection,
    youtube: YouTube,
    videos: list[dict[str, Any]],
    *,
    is_synthetic: bool,
) -> Collected:
    ids = ",".join(video["external_id"] for video in videos)
    listing = youtube.data.videos().list(part="statistics,status", id=ids)
    items = {item["id"]: item for item in youtube.call(listing, LIST).get("items", ())}
    now = youtube.now
    assert now is not None  # noqa: S101 - the call has set it
    counted = {"observed": 0, "missed": 0, "gone": 0, "rejected": 0}
    for video in videos:
        item = items.get(video["external_id"])
        if item is not None and item["status"].get("uploadStatus") == "rejected":
            reason = item["status"].get("rejectionReason", "no reason")
            log.error("%s", reject(conn, video["video_id"], video["channel_id"], now, reason))
            counted["rejected"] += 1
            continue
        for row in due_rows(video, item, now):
            conn.execute(_INSERT, row | {"is_synthetic": is_synthetic})
            counted[row["status"]] += 1
        _join_outcomes(conn, video["video_id"])
    return Collected(**counted)


def due_rows(
    video: Mapping[str, Any], item: Mapping[str, Any] | None, now: datetime
) -> Iterable[dict[str, Any]]:
    """The figures of a video that are due and not known.

    Args:
        video: `video_id`, `published_at` and the `known` horizons.
        item: its resource; None if YouTube knows it no more.
        now: by YouTube's clock.
    """
    for horizon, after in HORIZONS.items():
        due_at = video["published_at"] + after
        if horizon in video["known"] or due_at > now:
            continue
        status = "observed" if now - due_at <= _TOLERANCE[horizon] else "missed"
        statistics = item["statistics"] if item is not None and status == "observed" else {}
        yield {
            "video_id": video["video_id"],
            "horizon": horizon,
            "due_at": due_at,
            "observed_at": now,
            "status": "gone" if item is None else status,
            "views": _count(statistics, "viewCount"),
            "likes": _count(statistics, "likeCount"),
            "comments": _count(statistics, "commentCount"),
        }


def _count(statistics: Mapping[str, str], name: str) -> int | None:
    return int(statistics[name]) if name in statistics else None


def _retention(conn: psycopg.Connection, youtube: YouTube, channel_id: str) -> Collected:
    if youtube.now is None:
        youtube.call(youtube.data.channels().list(part="id", mine=True), LIST)
    about = {
        "channel_id": channel_id, "now": youtube.now, "from": _ANALYTICS_FROM,
        "until": _ANALYTICS_UNTIL,
    }  # fmt: skip
    filled = 0
    for row in query(conn, _UNREPORTED, about):
        request = youtube.analytics.reports().query(
            ids="channel==MINE",
            startDate=row["published_at"].astimezone(_ZONE).date().isoformat(),
            endDate=row["due_at"].astimezone(_ZONE).date().isoformat(),
            metrics="averageViewDuration,averageViewPercentage",
            filters=f"video=={row['external_id']}",
        )
        report = youtube.call(request)
        if report.get("rows"):
            names = [header["name"] for header in report["columnHeaders"]]
            found = dict(zip(names, report["rows"][0], strict=True))
            seconds, percent = found["averageViewDuration"], found["averageViewPercentage"]
            conn.execute(_RETENTION, (seconds, percent, row["video_id"], row["horizon"]))
            _join_outcomes(conn, row["video_id"])
            filled += 1
    return Collected(retention=filled)


def _join_outcomes(conn: psycopg.Connection, video_id: str) -> None:
    rows = query(
        conn,
        "select horizon, views, likes, comments, average_view_percent, click_through_rate"
        " from content.video_metrics where video_id = %s and status = 'observed' order by due_at",
        (video_id,),
    )
    if rows:
        outcome = Jsonb({row.pop("horizon"): row for row in rows})
        conn.execute(_OUTCOME, (outcome, video_id, outcome))
