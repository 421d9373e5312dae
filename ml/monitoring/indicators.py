"""Figures that the early-warning rules look at, one statement each: subject and value.

`as_of` is "now" for what is about data. What is about the running platform has its rows stamped by
the clock of the database, and is compared with that clock.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import httpx
import psycopg

from ml.settings import Settings

_TIMEOUT_S = 5.0
_LEAST_REQUESTS = 50

_QUERIES: Mapping[str, str] = {
    # Of the live champions: a former one may drift as it likes.
    "drift_share": """
        select distinct on (report.model_name)
            report.model_name, report.drift_share
        from ml.drift_reports as report
        inner join ml.ml_models as model
            on model.model_name = report.model_name and model.version = report.model_version
        where model.status = 'champion'
            and report.current_end <= %(as_of)s and report.current_end > %(as_of)s - %(window)s
        order by report.model_name, report.current_end desc
    """,
    # None where chance alone may explain it (one-sided at 5 %, the weeks before taken as known).
    "accuracy_drop": """
        select
            model.model_name,
            case
                when avg(before.accuracy) - now.accuracy > 1.645 * sqrt(
                    avg(before.accuracy) * (1 - avg(before.accuracy)) / now.predictions_count
                ) then 1 - now.accuracy / avg(before.accuracy)
                else 0
            end
        from ml.ml_models as model
        cross join lateral (
            select metric_date, accuracy, predictions_count from ml.model_performance_metrics
            where model_id = model.id and accuracy is not null and predictions_count > 0
                and metric_date <= (%(as_of)s)::date
                and metric_date >= (%(as_of)s - %(window)s)::date
            order by metric_date desc limit 1
        ) as now
        inner join ml.model_performance_metrics as before
            on before.model_id = model.id and before.accuracy > 0
            and before.metric_date < now.metric_date and before.metric_date >= now.metric_date - 14
        where model.status = 'champion'
        group by model.model_name, now.accuracy, now.predictions_count
    """,
    # Sustained: the best quarter of the hour is still that much slower.
    "latency_increase": """
        with quarters as (
            select
                prediction_type, floor(extract(epoch from now() - created_at) / 900) as quarter,
                percentile_cont(0.95) within group (order by latency_ms) as p95
            from ml.model_predictions
            where created_at > now() - %(window)s and latency_ms is not null
            group by prediction_type, quarter
            having count(*) >= 20
        )
        select quarters.prediction_type, min(quarters.p95) / usual.p95 - 1
        from quarters
        cross join lateral (
            select percentile_cont(0.95) within group (order by latency_ms) as p95
            from ml.model_predictions
            where prediction_type = quarters.prediction_type and latency_ms is not null
                and created_at <= now() - %(window)s
                and created_at > now() - %(window)s - interval '7 days'
        ) as usual
        where usual.p95 > 0
        group by quarters.prediction_type, usual.p95
        having count(*) >= 3
    """,
    "failed_try_share": """
        select dag_id, avg((state in ('failed', 'up_for_retry'))::integer)
        from ops.task_runs
        where ended_at > now() - %(window)s and dag_id ~ '^(train|score)_'
        group by dag_id
    """,
    # A provider's day begins where the provider says: a row counts while its day is today somewhere
    # on Earth, from UTC-12 to UTC+14. A pool without such a row has spent nothing today.
    "quota_share": """
        select
            provider || '/' || pool,
            coalesce((array_agg(used::float8 / nullif(quota, 0) order by day desc) filter (
                where day between ((%(as_of)s - interval '12 hours') at time zone 'UTC')::date
                        and ((%(as_of)s + interval '14 hours') at time zone 'UTC')::date
                    or day between ((now() - interval '12 hours') at time zone 'UTC')::date
                        and ((now() + interval '14 hours') at time zone 'UTC')::date
            ))[1], 0)
        from ops.quota_ledger
        group by provider, pool
    """,
    "least_cost_of_ten": """
        select 'videos', min(cost_usd)
        from (
            select cost_usd from content.videos where finished_at > now() - %(window)s
            order by finished_at desc, video_id limit 10
        ) as latest
        having count(*) = 10
    """,
    "low_quality_share": """
        select channel_id, avg(((scores ->> 'overall')::float8 < 0.7)::integer)
        from content.videos
        where finished_at > now() - %(window)s and scores ? 'overall'
        group by channel_id
        having count(*) >= 10
    """,
    "rejected_videos": """
        select
            channel_id,
            count(*) filter (where verdict = 'rejected' and finished_at > now() - %(window)s)
        from content.videos
        group by channel_id
    """,
}


def read(
    name: str, as_of: datetime, window: timedelta, conn: psycopg.Connection, settings: Settings
) -> dict[str, float]:
    """Values of an indicator by subject; a subject that cannot be measured is left out.

    Args:
        name: one of `NAMES`.
        as_of: "now" of the data.
        window: how far it looks back.
        conn: in a transaction.
        settings: where else there are figures.
    """
    if name in _OTHERS:
        return _OTHERS[name](conn, settings)
    rows = conn.execute(_QUERIES[name].encode(), {"as_of": as_of, "window": window}).fetchall()
    return {str(subject): float(value) for subject, value in rows if value is not None}


def _api_error_share(conn: psycopg.Connection, settings: Settings) -> dict[str, float]:
    """Share of 5xx by route since it was last measured; counters only grow until a restart."""
    if settings.api_metrics_url is None:
        return {}
    key = settings.api_key.get_secret_value() if settings.api_key else ""
    try:
        page = httpx.get(settings.api_metrics_url, headers={"X-API-Key": key}, timeout=_TIMEOUT_S)
        page.raise_for_status()
    except httpx.HTTPError:
        # No answer is the health check's business, and nothing is known about answers.
        return {}
    shares, base = _shares(_last_counts(conn), _requests(page.text))
    conn.execute(
        "insert into ops.cursors (source, stream, cursor) values ('early_warning', 'api', %s)"
        " on conflict (source, stream) do update set cursor = excluded.cursor, updated_at = now()",
        (json.dumps(base),),
    )
    return shares


def _requests(page: str) -> dict[str, tuple[float, float]]:
    """Answers and those with a 5xx, by route."""
    from prometheus_client.parser import text_string_to_metric_families

    counted: dict[str, tuple[float, float]] = {}
    for metric in text_string_to_metric_families(page):
        for sample in metric.samples:
            if sample.name != "ytempire_requests_total":
                continue
            answers, errors = counted.get(sample.labels["route"], (0.0, 0.0))
            is_error = sample.labels["status"].startswith("5")
            counted[sample.labels["route"]] = (
                answers + sample.value,
                errors + is_error * sample.value,
            )
    return counted


def _last_counts(conn: psycopg.Connection) -> dict[str, tuple[float, float]]:
    row = conn.execute(
        "select cursor from ops.cursors where source = 'early_warning' and stream = 'api'"
        " for update"
    ).fetchone()
    return {
        route: (answers, errors) for route, (answers, errors) in (row[0] if row else {}).items()
    }


def _shares(
    before: Mapping[str, tuple[float, float]], now: Mapping[str, tuple[float, float]]
) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """Shares of the routes with enough answers, and the counts to measure from next time."""
    shares, base = {}, {}
    for route, (answers, errors) in now.items():
        answers_then, errors_then = before.get(route, (0.0, 0.0))
        if answers < answers_then:  # the API has started anew
            answers_then = errors_then = 0.0
        base[route] = (answers_then, errors_then)
        if answers - answers_then >= _LEAST_REQUESTS:
            shares[route] = (errors - errors_then) / (answers - answers_then)
            base[route] = (answers, errors)
    return shares, base


_OTHERS: Mapping[str, Callable[[psycopg.Connection, Settings], dict[str, float]]] = {
    "api_error_share": _api_error_share
}
NAMES = frozenset({*_QUERIES, *_OTHERS})
