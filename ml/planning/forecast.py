"""What a topic is expected to draw when a video about it is out.

The forecast of a topic is the sum, over its videos on the charts in the days before `as_of`, of the
video's daily gain of views times the probability that it keeps rising for 48 h (model
`trend_video`). It is carried on to the time of publishing by the growth of the topic's volume that
`trend_topic` foresees from the next day to the one after; where that model has said nothing of the
topic, by the topic's own growth from the day before yesterday to yesterday, which is plain
extrapolation. Either is held between a half and twice a day. It is a ranking score in views a day,
not a promise of views for our video.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import psycopg

from ml.storage.postgres import query

_SLOWEST, _FASTEST = 0.5, 2.0  # growth a day
_UNMEASURED_LEAD = timedelta(hours=3)  # until a video was made here
_MARGIN = timedelta(minutes=10)
_PREFERENCES_FOR = timedelta(days=7)

_CANDIDATES = """
with latest as (
    select distinct on (d.video_id) d.*
    from marts.fct_video_daily as d
    where d.event_at > %(now)s - interval '3 days' and d.event_at <= %(now)s
        and d.topic_id is not null
        and (%(topic_id)s::text is null or d.topic_id = %(topic_id)s)
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
),
gains as (
    select d.topic_id,
        sum(greatest(d.views_gained_per_day, 0)) filter (
            where d.event_at > %(now)s - interval '1 day') as last_day,
        sum(greatest(d.views_gained_per_day, 0)) filter (
            where d.event_at <= %(now)s - interval '1 day') as day_before
    from marts.fct_video_daily as d
    where d.event_at > %(now)s - interval '2 days' and d.event_at <= %(now)s
        and d.topic_id is not null
    group by d.topic_id
),
foreseen as (
    select distinct on (p.entity_id)
        p.entity_id as topic_id, m.model_name || ' ' || m.version as model,
        (p.prediction -> 'volume_by_day' ->> 0)::float as first_day,
        (p.prediction -> 'volume_by_day' ->> 1)::float as second_day
    from ml.model_predictions as p
    inner join ml.ml_models as m on m.id = p.model_id
    where p.prediction_type = 'trend_topic' and p.as_of <= %(now)s
        and p.as_of > %(now)s - interval '1 day'
    order by p.entity_id, p.as_of desc
)
select t.topic_id, t.label, t.language, t.is_synthetic,
    count(*) as videos,
    sum(greatest(coalesce(l.views_gained_per_day, 0), 0) * s.probability) as forecast,
    avg(s.probability) as mean_probability,
    sum(l.views) as views,
    max(s.model_name) as model_name, max(s.version) as model_version,
    max(g.last_day)::float as last_day, max(g.day_before)::float as day_before,
    max(f.model) as growth_model, max(f.first_day) as first_day, max(f.second_day) as second_day
from latest as l
inner join scored as s using (video_id)
inner join marts.dim_topic as t using (topic_id)
left join gains as g using (topic_id)
left join foreseen as f using (topic_id)
group by t.topic_id, t.label, t.language, t.is_synthetic
having sum(greatest(coalesce(l.views_gained_per_day, 0), 0) * s.probability) > 0
order by forecast desc, t.topic_id
"""
# Ranks of topics by segment of viewers, of the segments that speak the language.
_PREFERENCES = """
with latest as (
    select distinct on (entity_id) entity_id, prediction
    from ml.model_predictions
    where prediction_type = 'audience_preference' and as_of <= %(now)s and as_of > %(since)s
        and entity_id like '%%/' || %(language)s
    order by entity_id, as_of desc
)
select t ->> 'topic_id' as topic_id,
    sum(1.0 / (t ->> 'rank')::int)::float / (select count(*) from latest) as score
from latest cross join lateral jsonb_array_elements(prediction -> 'topics') as t
group by 1
"""
_RENDER = """
select percentile_cont(0.5) within group (order by seconds)
from (
    select sum(seconds) as seconds
    from content.stage_results
    group by video_id
    having bool_or(stage = 'publish')
    order by max(finished_at) desc
    limit 20
) as made
"""


def candidates(
    conn: psycopg.Connection, now: datetime, topic_id: str | None = None
) -> list[dict[str, Any]]:
    """Topics with a forecast, the greatest first; or one of them.

    Returns:
        Rows with `daily_growth`, None where a day is missing, and `growth_from`, who says so,
        beside what the query gives.
    """
    rows = query(conn, _CANDIDATES, {"now": now, "topic_id": topic_id})
    for row in rows:
        row["growth_from"] = row["growth_model"]
        row["daily_growth"] = growth(row["second_day"], row["first_day"])
        if row["daily_growth"] is None:
            row["growth_from"] = "extrapolation"
            row["daily_growth"] = growth(row["last_day"], row["day_before"])
    return rows


def growth(later: float | None, earlier: float | None) -> float | None:
    """Growth of a topic from one day to the next, within bounds; None if it is not known."""
    if not later or not earlier:
        return None
    return min(max(later / earlier, _SLOWEST), _FASTEST)


def interest_at(forecast: float, daily_growth: float | None, ahead: timedelta) -> float:
    """The forecast carried on; unchanged where the growth is not known."""
    return float(forecast * (daily_growth or 1.0) ** (ahead / timedelta(days=1)))


def preferences(conn: psycopg.Connection, now: datetime, language: str) -> dict[str, float] | None:
    """By topic, how much viewers of a language are expected to like it: mean reciprocal rank.

    None if the audience model has not spoken in the last days.
    """
    about = {"now": now, "since": now - _PREFERENCES_FOR, "language": language}
    rows = query(conn, _PREFERENCES, about)
    return {row["topic_id"]: row["score"] for row in rows} or None


def lead_time(conn: psycopg.Connection) -> timedelta:
    """From the plan to the video: those that wait, and this one, at the usual time of rendering."""
    row = conn.execute(_RENDER).fetchone()
    if row is None or row[0] is None:
        return _UNMEASURED_LEAD
    waiting = conn.execute(
        "select count(*) from content.video_schedule where status in ('scheduled', 'generating')"
    ).fetchone()
    ahead = int(waiting[0]) if waiting else 0
    return timedelta(seconds=round(float(row[0]))) * (ahead + 1) + _MARGIN
