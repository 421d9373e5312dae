"""What a person wants to see of the videos: the plan, what runs, what waits, what is out."""

from __future__ import annotations

from typing import Any

import psycopg

from ml.storage.postgres import query

_SHOWN = 60  # of each status, so that many that are done hide none that waits for a person
_VIDEOS = """
with shown as (
    select *, row_number() over (partition by status order by as_of desc, score desc, video_id)
        as place
    from content.video_schedule
    where %(video_id)s::text is null or video_id = %(video_id)s
)
select s.video_id, s.channel_id, s.topic, s.status, s.status_reason, s.as_of, s.publish_at, s.rank,
    s.forecast, s.interest_at_publish, s.audience_score, s.expected_cost_usd,
    v.title, v.verdict, v.scores, v.duration_s, v.files, v.finished_at,
    p.url, p.destination, p.published_at,
    (select round(coalesce(sum(c.cost_usd), 0), 4) from ops.cost_ledger as c
        where c.video_id = s.video_id) as cost_usd,
    (select max(r.stage) from content.stage_results as r where r.video_id = s.video_id
        and r.finished_at = (select max(finished_at) from content.stage_results
            where video_id = s.video_id)) as last_stage,
    (select jsonb_object_agg(m.horizon, m.views) from content.video_metrics as m
        where m.video_id = s.video_id and m.status = 'observed') as views
from shown as s
left join content.videos as v using (video_id)
left join lateral (
    select url, destination, published_at from content.publications
    where video_id = s.video_id order by updated_at desc limit 1
) as p on true
where s.place <= %(shown)s
order by s.as_of desc, s.score desc, s.video_id
"""
_COSTS = """
select stage, provider, sum(quantity) filter (where unit = 'seconds')::float as seconds,
    sum(cost_usd) as cost_usd
from ops.cost_ledger where video_id = %s group by 1, 2 order by min(created_at), 1, 2
"""
_MANIFEST = """
select manifest from content.provenance where video_id = %s order by sequence desc limit 1
"""
_FILES = "select files from content.videos where video_id = %s"


def videos(conn: psycopg.Connection) -> list[dict[str, Any]]:
    """The newest videos of the plan, of each status, with what has become of them."""
    return query(conn, _VIDEOS, {"video_id": None, "shown": _SHOWN})


def video(conn: psycopg.Connection, video_id: str) -> dict[str, Any] | None:
    """One video with its cost by stage and its manifest as text, None if it is not in the plan."""
    found = query(conn, _VIDEOS, {"video_id": video_id, "shown": 1})
    if not found:
        return None
    manifests = query(conn, _MANIFEST, (video_id,))
    return found[0] | {
        "costs": query(conn, _COSTS, (video_id,)),
        "manifest": manifests[0]["manifest"] if manifests else None,
    }


def file_of(conn: psycopg.Connection, video_id: str, name: str) -> dict[str, Any] | None:
    """Key, size and hash of a file of a finished video, None if there is none."""
    row = conn.execute(_FILES, (video_id,)).fetchone()
    found: dict[str, Any] | None = row[0].get(name) if row else None
    return found
