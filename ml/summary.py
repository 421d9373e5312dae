"""What the platform holds as of now: rows, models, drift, videos. Shown by `ytempire run`."""

from __future__ import annotations

from typing import Any

from ml.clock import as_of
from ml.settings import Settings, get_settings
from ml.storage.postgres import connect, query

_QUERIES = {
    "rows": """
        select 'raw.youtube_videos' as "table", source, count(*) as rows,
            min(observed_at)::date as "from", max(observed_at)::date as "to"
        from raw.youtube_videos group by source
        union all
        select 'raw.records',
            case when starts_with(source, 'feed_') then 'all feeds' else source || ' ' || kind end,
            count(*), min(nullif(event_at, 'epoch'))::date, max(event_at)::date
        from raw.records group by 2
        union all
        select 'ops.dead_letters', source, count(*), null, null
        from ops.dead_letters where status = 'open' group by source
        union all
        select 'marts.fct_video_daily', null, count(*), min(observed_date), max(observed_date)
        from marts.fct_video_daily
        union all
        select 'marts.dim_topic', null, count(*), null, null from marts.dim_topic
        union all
        select 'features.video_momentum', null, count(*), min(event_at)::date,
            max(event_at)::date
        from features.video_momentum
        order by 1, 2
    """,
    "models": """
        select model_name as model, version, status, accuracy, created_at::timestamp(0) as created
        from ml.ml_models order by model_name, created_at desc limit 5
    """,
    "drift": """
        select model_name as model, model_version as version, verdict,
            columns_drifted || ' of ' || columns_checked as columns, report_key as report
        from ml.drift_reports order by created_at desc limit 1
    """,
    "videos": """
        select s.topic, coalesce(v.verdict, s.status) as verdict,
            round(v.duration_s::numeric, 1) as seconds, v.local_path || '/video.mp4' as file
        from content.video_schedule as s
        left join content.videos as v using (video_id)
        where s.as_of = (select max(as_of) from content.video_schedule)
        order by s.score desc
    """,
}


def summarise(settings: Settings | None = None) -> dict[str, list[dict[str, Any]]]:
    """Rows by table and source, models, the newest drift verdict and the planned videos."""
    settings = settings or get_settings()
    with connect(settings.require("database_url")) as conn:
        summary = {title: query(conn, text) for title, text in _QUERIES.items()}
        summary["as of"] = [{"moment": as_of(conn, settings).isoformat()}]
    return summary
