"""What grows with every run and is not needed for good: results and reports of gates, drift pages.

Stored marts are not among it: a publication drops all but the last two builds.
"""

from __future__ import annotations

import logging

import psycopg
from psycopg import sql

from ml.gates.stages import BLOCKED_RUNS
from ml.settings import Settings, get_settings
from ml.storage.objects import ObjectStore
from ml.storage.postgres import transaction

log = logging.getLogger(__name__)

_DRIFT_FOLDER = "drift/"
# Rows are stamped by the clock of the database, and are compared with it. The newest run of a gate,
# and of each DAG that asks it for rows, says what holds now; so does every one that still blocks.
_OLD_RUNS = """
    with blocked as ({blocked}),

    runs as (
        select
            gate, run_id, max(report_key) as report_key, max(checked_at) as checked_at,
            case when run_id like '%/%' then split_part(run_id, '/', 1) end as dag
        from ops.gate_results
        group by gate, run_id
    ),

    ordered as (
        select
            *, row_number() over (partition by gate, dag order by checked_at desc) = 1 as is_newest
        from runs
    )

    select gate, run_id, report_key
    from ordered
    where
        not is_newest
        and checked_at < now() - make_interval(days => {days})
        and (gate, run_id) not in (select gate, run_id from blocked)
"""
_OLD_PAGES = """
    select report_key
    from (
        select
            report_key, created_at,
            row_number() over (partition by model_name order by current_end desc) = 1 as is_newest
        from ml.drift_reports
    ) as ordered
    where not is_newest and created_at < now() - make_interval(days => %s)
"""


def forget_old_reports(settings: Settings | None = None) -> dict[str, int]:
    """Delete what is older than `YTEMPIRE_KEEP_REPORTS_DAYS`; rows of drift reports stay.

    Objects go before the rows that name them, so a run that was killed is completed by the next.

    Returns:
        How many runs of gates and pages of drift reports went.

    Raises:
        ServiceUnavailableError: if Postgres or object storage does not answer.
    """
    settings = settings or get_settings()
    with transaction(settings.require("database_url")) as conn:
        gone = {
            "gate_runs": _forget_gate_runs(conn, settings),
            "drift_pages": _forget_drift_pages(conn, settings),
        }
    log.info("older than %s days: %s", settings.keep_reports_days, gone)
    return gone


def _forget_gate_runs(conn: psycopg.Connection, settings: Settings) -> int:
    query = sql.SQL(_OLD_RUNS).format(
        blocked=sql.SQL(BLOCKED_RUNS), days=sql.Literal(settings.keep_reports_days)
    )
    runs = conn.execute(query).fetchall()
    reports = [key for _, _, key in runs if key]
    pages = [key.removesuffix(".json") + ".html" for key in reports]
    ObjectStore(settings).delete(settings.bucket("reports"), reports + pages)
    conn.execute(
        "delete from ops.gate_results using unnest(%s::text[], %s::text[]) as old (gate, run_id)"
        " where gate_results.gate = old.gate and gate_results.run_id = old.run_id",
        ([gate for gate, _, _ in runs], [run for _, run, _ in runs]),
    )
    return len(runs)


def _forget_drift_pages(conn: psycopg.Connection, settings: Settings) -> int:
    store, bucket = ObjectStore(settings), settings.bucket("reports")
    old = {key for (key,) in conn.execute(_OLD_PAGES, (settings.keep_reports_days,))}
    there = sorted(old.intersection(store.list_keys(bucket, _DRIFT_FOLDER))) if old else []
    store.delete(bucket, there)
    return len(there)
