"""Ranks topics by what they are expected to draw at publishing time and schedules the best.

For each channel: only topics of its language and niche, without a prohibited word, that it has not
covered in the last two weeks (the topic itself, or one whose name means nearly the same); as many
as its cadence, budget and upload quota allow. The score is the interest at publishing time, raised
by what viewers of the language prefer. The expected cost is the same for all topics of a channel,
so it decides how many are made and not which. Every reason is a column of `content.video_schedule`.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg

from ml.clock import as_of as current_as_of
from ml.exceptions import FatalError
from ml.generation.brief import Fact, SeriesPoint, VideoBrief
from ml.generation.facts import video_fact
from ml.planning.allowance import Allowance, allowance
from ml.planning.channels import ChannelConfig, active_channels, ensure_default_channels
from ml.planning.forecast import candidates, interest_at, lead_time, preferences
from ml.planning.likeness import Likeness, likeness
from ml.planning.upkeep import cancel_unwanted
from ml.settings import Settings, get_settings
from ml.storage.postgres import connect, query

log = logging.getLogger(__name__)

_COVERED_FOR = timedelta(days=14)
_CONSIDERED = 200  # topics a channel, the most interesting first
_SERIES_DAYS = 10
_FACTS = 5
# Cosine similarity of the embeddings of two names. Of the few pairs that were looked at, names of
# the same lie between 0.71 and 0.85, other things about one game between 0.35 and 0.49.
_SAME_TOPIC = 0.7


@dataclass(frozen=True)
class Plan:
    """What a planning run left in `content.video_schedule`.

    Attributes:
        video_ids: every video scheduled as of that moment.
        to_generate: those of them that are not finished and that nobody makes now, and the same of
            earlier plans, whose failed ones are dead letters and left alone.
        cancelled: waiting videos of earlier plans that are not wanted any more.
    """

    as_of: datetime
    video_ids: list[str]
    to_generate: list[str]
    cancelled: list[str]


_ITEMS = """
select distinct on (d.video_id) d.video_id, d.title, d.channel_title, d.source, d.views,
    d.views_gained, d.regions_listed, d.event_at
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
    forecast, score, model_name, model_version, reasons, brief, rank, mean_probability,
    videos_on_charts, views_on_charts, interest_at_publish, daily_growth, audience_score,
    niche_similarity, similarity_to_past, expected_cost_usd, trend_rows)
values (%(video_id)s, %(channel_id)s, %(topic_id)s, %(topic)s, %(as_of)s, %(publish_at)s,
    %(forecast)s, %(score)s, %(model_name)s, %(model_version)s, %(reasons)s, %(brief)s, %(rank)s,
    %(mean_probability)s, %(videos_on_charts)s, %(views_on_charts)s, %(interest_at_publish)s,
    %(daily_growth)s, %(audience_score)s, %(niche_similarity)s, %(similarity_to_past)s,
    %(expected_cost_usd)s, %(trend_rows)s)
on conflict do nothing
"""
# This plan's videos, and of any plan those that nobody makes: of one that was killed before it had
# started its runs, or that the command line made, and what a run left that ended without a word.
_LEFT = """
with known as (
    select video_id, score, status, as_of = %(now)s as is_new,
        status = 'scheduled' or (status = 'failed' and as_of = %(now)s)
        or (status = 'generating' and exists (
            select 1 from ops.dag_runs as r
            where r.dag_id = 'generate_video' and r.run_id = s.video_id
                and r.state in ('success', 'failed'))) as is_to_make
    from content.video_schedule as s
    where as_of <= %(now)s and status <> 'cancelled'
)
select video_id, is_new, is_to_make
from known where is_new or is_to_make
order by score desc, video_id
"""
_PLANNED = """
select video_id, channel_id, topic_id, topic, status, status_reason, publish_at, rank, score,
    forecast, interest_at_publish, daily_growth, audience_score, niche_similarity,
    similarity_to_past, expected_cost_usd, model_name, model_version
from content.video_schedule where as_of = %(as_of)s order by score desc, video_id
"""
# The forecast is a prediction about our video, so that its outcome can be held against it.
_PREDICTION = """
insert into ml.model_predictions (model_id, prediction_type, entity_id, as_of, input_data,
    prediction)
select id, 'video_forecast', %(video_id)s, %(as_of)s,
    jsonb_build_object('topic_id', %(topic_id)s::text, 'publish_at', %(publish_at)s::timestamptz),
    jsonb_build_object('interest_at_publish', %(interest_at_publish)s::float8)
from ml.ml_models where model_name = %(model_name)s and version = %(model_version)s
on conflict do nothing
"""


def plan_and_store(settings: Settings | None = None) -> Plan:
    """Plan for every active channel and store the plan; planning again changes nothing.

    Raises:
        FatalError: if no topic can be planned and nothing is left to make; the message says why.
    """
    settings = settings or get_settings()
    with connect(settings.require("database_url")) as conn:
        now = current_as_of(conn, settings)
        ensure_default_channels(conn)
        found = candidates(conn, now)
        forecasts = {row["topic_id"]: row["forecast"] for row in found}
        cancelled = cancel_unwanted(conn, now, forecasts)
        for channel in active_channels(conn, now):
            _plan_channel(conn, channel, found, now, settings)
        rows = query(conn, _LEFT, {"now": now})
    if not rows:
        raise FatalError(
            f"no topic to plan as of {now:%Y-%m-%d %H:%M}: {len(found)} topics have a forecast;"
            " none is in the language and niche of a channel that may plan now, allowed and not"
            " covered yet, or cadence, budget and quota leave no room"
        )
    return Plan(
        as_of=now,
        video_ids=[row["video_id"] for row in rows if row["is_new"]],
        to_generate=[row["video_id"] for row in rows if row["is_to_make"]],
        cancelled=cancelled,
    )


def planned(as_of: datetime, settings: Settings | None = None) -> list[dict[str, Any]]:
    """The videos planned as of a moment, the best first, with the reasons of each."""
    settings = settings or get_settings()
    with connect(settings.require("database_url")) as conn:
        return query(conn, _PLANNED, {"as_of": as_of})


def _plan_channel(
    conn: psycopg.Connection,
    channel: ChannelConfig,
    found: list[dict[str, Any]],
    now: datetime,
    settings: Settings,
) -> None:
    room = allowance(conn, channel, now, lead_time(conn), settings)
    if room.videos == 0:
        log.info("no room for %s: %s", channel.channel_id, room.limit)
        return
    past: dict[str, str] = dict(
        conn.execute(
            "select topic_id, topic from content.video_schedule where channel_id = %s"
            " and as_of > %s and as_of <= %s and status <> 'cancelled'",
            (channel.channel_id, now - _COVERED_FOR, now),
        ).fetchall()
    )
    fitting = [row for row in found if _fits(row, channel) and row["topic_id"] not in past]
    ranked = _ranked(conn, channel, fitting, now, room)[:_CONSIDERED]
    alike = likeness(channel.niche, [row["label"] for row in ranked], list(past.values()))
    chosen = choose(ranked, alike, channel.niche_similarity, room.videos)
    for rank, row in enumerate(chosen, start=1):
        _schedule(conn, channel, row | {"rank": rank}, room, now, settings)


def _ranked(
    conn: psycopg.Connection,
    channel: ChannelConfig,
    rows: list[dict[str, Any]],
    now: datetime,
    room: Allowance,
) -> list[dict[str, Any]]:
    """The topics with their interest, preference and score, the best first."""
    liked = preferences(conn, now, channel.language)
    ranked = []
    for row in rows:
        interest = interest_at(row["forecast"], row["daily_growth"], room.first_at - now)
        audience = None if liked is None else liked.get(row["topic_id"], 0.0)
        score = interest * (1.0 + (audience or 0.0))
        ranked.append(row | {"interest": interest, "audience": audience, "score": score})
    return sorted(ranked, key=lambda row: (-row["score"], row["topic_id"]))


def choose(
    ranked: list[dict[str, Any]], alike: Likeness, least_niche: float, count: int
) -> list[dict[str, Any]]:
    """The best topics that are in the niche and say something new, each other included."""
    chosen: list[dict[str, Any]] = []
    for index, row in enumerate(ranked):
        if len(chosen) == count:
            break
        niche = alike.to_niche(index)
        past = alike.to_past(index, [each["index"] for each in chosen])
        if (niche is not None and niche < least_niche) or (past or 0.0) >= _SAME_TOPIC:
            continue
        chosen.append(row | {"index": index, "niche": niche, "past": past})
    return chosen


def _fits(row: dict[str, Any], channel: ChannelConfig) -> bool:
    label = row["label"].lower()
    return row["language"] == channel.language and not any(
        word.lower() in label for word in channel.prohibited_topics
    )


def _schedule(
    conn: psycopg.Connection,
    channel: ChannelConfig,
    row: dict[str, Any],
    room: Allowance,
    now: datetime,
    settings: Settings,
) -> None:
    key = f"{channel.channel_id}|{row['topic_id']}|{now.isoformat()}"
    video_id = "v-" + hashlib.sha256(key.encode()).hexdigest()[:16]
    facts, keywords, series = topic_material(conn, row["topic_id"], now)
    brief = VideoBrief(
        video_id=video_id,
        channel=channel.brief(),
        topic=row["label"],
        topic_id=row["topic_id"],
        keywords=keywords,
        facts=facts,
        series=series,
        series_label="views",
        language=channel.language,
        width=settings.video_width,
        height=settings.video_height,
        seed=int(hashlib.sha256(video_id.encode()).hexdigest()[:8], 16),
        synthetic=row["is_synthetic"],
        as_of=now,
    )
    values = {
        "video_id": video_id,
        "channel_id": channel.channel_id,
        "topic_id": row["topic_id"],
        "topic": row["label"],
        "as_of": now,
        "publish_at": room.publish_at(row["rank"] - 1),
        "forecast": row["forecast"],
        "score": row["score"],
        "model_name": row["model_name"],
        "model_version": row["model_version"],
        "rank": row["rank"],
        "mean_probability": round(row["mean_probability"], 4),
        "videos_on_charts": row["videos"],
        "views_on_charts": int(row["views"]),
        "interest_at_publish": row["interest"],
        "daily_growth": row["daily_growth"],
        "audience_score": row["audience"],
        "niche_similarity": row["niche"],
        "similarity_to_past": row["past"],
        "expected_cost_usd": room.cost_usd,
        "trend_rows": json.dumps(_trend_rows(conn, row["topic_id"], now), default=str),
        "brief": brief.model_dump_json(),
    }
    reasons = {
        "rank": row["rank"],
        "videos_on_charts": row["videos"],
        "views": int(row["views"]),
        "mean_probability_of_rising": values["mean_probability"],
        "forecast_views_per_day": round(row["forecast"], 1),
        "interest_at_publish": round(row["interest"], 1),
        "growth_from": row["growth_from"],
        "audience_score": row["audience"],
        "room_limited_by": room.limit,
    }
    conn.execute(_INSERT, values | {"reasons": json.dumps(reasons)})
    conn.execute(_PREDICTION, values)
    log.info("scheduled %s on %s for %s", video_id, row["label"], channel.channel_id)


def topic_material(
    conn: psycopg.Connection, topic_id: str, now: datetime
) -> tuple[tuple[Fact, ...], tuple[str, ...], tuple[SeriesPoint, ...]]:
    """What the marts know of a topic as of `now`: facts, keywords and its curve of views."""
    items = _top_items(conn, topic_id, now)
    facts = tuple(video_fact(**item) for item in items)
    return facts, _keywords(conn, items, now), _series(conn, topic_id, now)


def _top_items(conn: psycopg.Connection, topic_id: str, now: datetime) -> list[dict[str, Any]]:
    rows = _newest(conn, topic_id, now)
    return [{name: row[name] for name in row if name != "event_at"} for row in rows]


def _trend_rows(conn: psycopg.Connection, topic_id: str, now: datetime) -> list[dict[str, Any]]:
    """Keys of the rows that the facts come from."""
    names = ("source", "video_id", "event_at")
    return [{name: row[name] for name in names} for row in _newest(conn, topic_id, now)]


def _newest(conn: psycopg.Connection, topic_id: str, now: datetime) -> list[dict[str, Any]]:
    """The topic's most viewed videos, as they were seen last."""
    rows = query(conn, _ITEMS, {"topic_id": topic_id, "now": now})
    rows.sort(key=lambda row: (-row["views"], row["video_id"]))
    return rows[:_FACTS]


def _keywords(
    conn: psycopg.Connection, items: list[dict[str, Any]], now: datetime
) -> tuple[str, ...]:
    video_ids = [item["video_id"] for item in items]
    return tuple(row["tag"] for row in query(conn, _TAGS, {"video_ids": video_ids, "now": now}))


def _series(conn: psycopg.Connection, topic_id: str, now: datetime) -> tuple[SeriesPoint, ...]:
    rows = query(conn, _SERIES, {"topic_id": topic_id, "now": now, "days": _SERIES_DAYS})
    points = tuple(SeriesPoint(at=row["at"], value=row["value"]) for row in rows)
    return points if len(points) > 1 else ()
