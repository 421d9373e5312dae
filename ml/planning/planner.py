"""Ranks topics by the views they are expected to gain and schedules videos on the best.

The forecast of a topic is the sum, over its videos on the charts in the days before `as_of`, of the
video's daily gain of views times the probability that it keeps rising for 48 h (model
`trend_video`). It is a ranking score in views a day, not a promise of views for our video.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import dict_row

from ml.clock import as_of as current_as_of
from ml.exceptions import FatalError
from ml.generation.brief import Fact, SeriesPoint, VideoBrief
from ml.generation.facts import video_fact
from ml.planning.channels import ChannelConfig, active_channels, ensure_default_channels
from ml.settings import Settings, get_settings
from ml.storage.postgres import connect

log = logging.getLogger(__name__)

# A video is out about this long after it was planned: queue and render.
_LEAD_TIME = timedelta(hours=3)
_COVERED_FOR = timedelta(days=14)
_SERIES_DAYS = 10
_FACTS = 5


@dataclass(frozen=True)
class Plan:
    """What a planning run left in `content.video_schedule`.

    Attributes:
        video_ids: every video scheduled as of that moment.
        to_generate: those of them that are not finished yet.
    """

    as_of: datetime
    video_ids: list[str]
    to_generate: list[str]


_CANDIDATES = """
with latest as (
    select distinct on (d.video_id) d.*
    from marts.fct_video_daily as d
    where d.event_at > %(now)s - interval '3 days' and d.event_at <= %(now)s
        and d.topic_id is not null
    order by d.video_id, d.event_at desc
),
scored as (
    select distinct on (p.entity_id)
        p.entity_id as video_id, (p.prediction ->> 'probability')::float as probability,
        m.model_name, m.version
    from ml.model_predictions as p
    inner join ml.ml_models as m on m.id = p.model_id
    where p.prediction_type = 'trend_video' and p.as_of <= %(now)s
        and p.as_of > %(now)s - interval '3 days'
    order by p.entity_id, p.as_of desc
)
select t.topic_id, t.label, t.language, t.is_synthetic,
    count(*) as videos,
    sum(greatest(coalesce(l.views_gained_per_day, 0), 0) * s.probability) as forecast,
    avg(s.probability) as mean_probability,
    sum(l.views) as views,
    max(s.model_name) as model_name, max(s.version) as model_version
from latest as l
inner join scored as s using (video_id)
inner join marts.dim_topic as t using (topic_id)
group by t.topic_id, t.label, t.language, t.is_synthetic
having sum(greatest(coalesce(l.views_gained_per_day, 0), 0) * s.probability) > 0
order by forecast desc, t.topic_id
limit 500
"""

_ITEMS = """
select distinct on (d.video_id) d.video_id, d.title, d.channel_title, d.source, d.views,
    d.views_gained, d.regions_listed
from marts.fct_video_daily as d
where d.topic_id = %(topic_id)s and d.event_at <= %(now)s
    and d.event_at > %(now)s - interval '14 days'
order by d.video_id, d.event_at desc
"""

_TAGS = """
select lower(tag) as tag
from staging.stg_youtube__video_observations as o, unnest(o.tags) as tag
where o.video_id = any(%(video_ids)s) and o.event_at <= %(now)s
    and o.event_at > %(now)s - interval '14 days' and length(tag) between 3 and 30
group by 1
order by count(distinct o.video_id) desc, count(*) desc, 1
limit 8
"""

_SERIES = """
select date_trunc('day', d.event_at) as at, sum(d.views)::float as value
from marts.fct_video_daily as d
where d.topic_id = %(topic_id)s and d.event_at <= %(now)s
    and d.event_at > %(now)s - make_interval(days => %(days)s)
group by 1 order by 1
"""

_INSERT = """
insert into content.video_schedule (video_id, channel_id, topic_id, topic, as_of, publish_at,
    forecast, score, model_name, model_version, reasons, brief)
values (%(video_id)s, %(channel_id)s, %(topic_id)s, %(topic)s, %(as_of)s, %(publish_at)s,
    %(forecast)s, %(score)s, %(model_name)s, %(model_version)s, %(reasons)s, %(brief)s)
on conflict do nothing
"""


def plan_and_store(settings: Settings | None = None) -> Plan:
    """Plan for every active channel and store the plan; planning again changes nothing.

    Raises:
        FatalError: if no topic can be planned at all; the message says why.
    """
    settings = settings or get_settings()
    with connect(settings.require("database_url")) as conn:
        now = current_as_of(conn, settings)
        ensure_default_channels(conn)
        candidates = _rows(conn, _CANDIDATES, now=now)
        for channel in active_channels(conn):
            _plan_channel(conn, channel, candidates, now, settings)
        rows = conn.execute(
            "select video_id, status from content.video_schedule where as_of = %s"
            " order by score desc, video_id",
            (now,),
        ).fetchall()
    if not rows:
        raise FatalError(
            f"no topic to plan as of {now:%Y-%m-%d %H:%M}: {len(candidates)} topics have a "
            "forecast, none is in the language of a channel, allowed and not covered yet"
        )
    return Plan(
        as_of=now,
        video_ids=[row[0] for row in rows],
        to_generate=[row[0] for row in rows if row[1] in ("scheduled", "generating", "failed")],
    )


def _plan_channel(
    conn: psycopg.Connection,
    channel: ChannelConfig,
    candidates: list[dict[str, Any]],
    now: datetime,
    settings: Settings,
) -> None:
    wanted = min(channel.videos_per_day, settings.videos_per_plan)
    planned = conn.execute(
        "select count(*) from content.video_schedule where channel_id = %s and as_of = %s",
        (channel.channel_id, now),
    ).fetchone()
    covered = {
        row[0]
        for row in conn.execute(
            "select topic_id from content.video_schedule where channel_id = %s and as_of > %s"
            " and as_of <= %s",
            (channel.channel_id, now - _COVERED_FOR, now),
        )
    }
    fitting = [row for row in candidates if _fits(row, channel) and row["topic_id"] not in covered]
    for rank, row in enumerate(fitting[: wanted - (planned[0] if planned else 0)], start=1):
        _schedule(conn, channel, row, rank, now, settings)


def _fits(row: dict[str, Any], channel: ChannelConfig) -> bool:
    label = row["label"].lower()
    return row["language"] == channel.language and not any(
        word.lower() in label for word in channel.prohibited_topics
    )


def _schedule(
    conn: psycopg.Connection,
    channel: ChannelConfig,
    row: dict[str, Any],
    rank: int,
    now: datetime,
    settings: Settings,
) -> None:
    key = f"{channel.channel_id}|{row['topic_id']}|{now.isoformat()}"
    video_id = "v-" + hashlib.sha256(key.encode()).hexdigest()[:16]
    items = _top_items(conn, row["topic_id"], now)
    brief = VideoBrief(
        video_id=video_id,
        channel=channel.brief(),
        topic=row["label"],
        topic_id=row["topic_id"],
        keywords=_keywords(conn, items, now),
        facts=tuple(video_fact(**item) for item in items),
        series=_series(conn, row["topic_id"], now),
        series_label="views",
        language=channel.language,
        width=settings.video_width,
        height=settings.video_height,
        seed=int(hashlib.sha256(video_id.encode()).hexdigest()[:8], 16),
        synthetic=row["is_synthetic"],
        as_of=now,
    )
    reasons = {
        "rank": rank,
        "videos_on_charts": row["videos"],
        "views": int(row["views"]),
        "mean_probability_of_rising": round(row["mean_probability"], 4),
        "forecast_views_per_day": round(row["forecast"], 1),
    }
    conn.execute(
        _INSERT,
        {
            "video_id": video_id,
            "channel_id": channel.channel_id,
            "topic_id": row["topic_id"],
            "topic": row["label"],
            "as_of": now,
            "publish_at": now + _LEAD_TIME,
            "forecast": row["forecast"],
            "score": row["forecast"],
            "model_name": row["model_name"],
            "model_version": row["model_version"],
            "reasons": json.dumps(reasons),
            "brief": brief.model_dump_json(),
        },
    )
    log.info("scheduled %s on %s for %s", video_id, row["label"], channel.channel_id)


def _top_items(conn: psycopg.Connection, topic_id: str, now: datetime) -> list[dict[str, Any]]:
    rows = _rows(conn, _ITEMS, topic_id=topic_id, now=now)
    rows.sort(key=lambda row: (-row["views"], row["video_id"]))
    return rows[:_FACTS]


def _keywords(
    conn: psycopg.Connection, items: list[dict[str, Any]], now: datetime
) -> tuple[str, ...]:
    video_ids = [item["video_id"] for item in items]
    return tuple(row["tag"] for row in _rows(conn, _TAGS, video_ids=video_ids, now=now))


def _series(conn: psycopg.Connection, topic_id: str, now: datetime) -> tuple[SeriesPoint, ...]:
    rows = _rows(conn, _SERIES, topic_id=topic_id, now=now, days=_SERIES_DAYS)
    points = tuple(SeriesPoint(at=row["at"], value=row["value"]) for row in rows)
    return points if len(points) > 1 else ()


def _rows(conn: psycopg.Connection, query: str, **values: Any) -> list[dict[str, Any]]:
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query.encode(), values).fetchall()


def topic_material(
    conn: psycopg.Connection, topic_id: str, now: datetime
) -> tuple[tuple[Fact, ...], tuple[str, ...], tuple[SeriesPoint, ...]]:
    """What the marts know of a topic as of `now`: facts, keywords and its curve of views."""
    items = _top_items(conn, topic_id, now)
    facts = tuple(video_fact(**item) for item in items)
    return facts, _keywords(conn, items, now), _series(conn, topic_id, now)
