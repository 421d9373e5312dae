"""One ingest DAG a source, all of one shape: land each interval, then gate the raw table."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Asset, Param, task

from ml.settings import get_settings
from ytempire_airflow.defaults import DEFAULT_ARGS, GATE_ARGS


def ingest_dag(source: str, *, step: timedelta, asset: Asset, gate: str, doc: str) -> DAG:
    """Build the DAG `ingest_<source>`.

    A scheduled run lands its own data interval. A manual run may name `start` and `end`: every
    interval of length `step` between them is landed by a task of its own.

    Args:
        source: id of the source in `ml.sources.catalog`.
        step: length of one interval.
        asset: updated when the gate has passed; the event says which intervals and rows.
        gate: name of the suite that checks the raw table.
        doc: Markdown shown in the UI.
    """
    with DAG(
        dag_id=f"ingest_{source}",
        schedule=get_settings().ingest_schedule,
        start_date=datetime.fromisoformat("2026-01-01T00:00:00+00:00"),
        catchup=False,
        max_active_runs=1,
        default_args=DEFAULT_ARGS,
        tags=["ingest", source],
        doc_md=doc,
        params={
            "start": Param(None, type=["null", "string"], format="date-time"),
            "end": Param(None, type=["null", "string"], format="date-time"),
        },
    ) as dag:

        @task
        def split_interval(
            params: dict[str, Any] | None = None,
            data_interval_start: datetime | None = None,
            data_interval_end: datetime | None = None,
        ) -> list[dict[str, str]]:
            """The intervals that this run covers."""
            from ml.sources.intervals import split

            wanted = params or {}
            start = wanted.get("start") or data_interval_start
            end = wanted.get("end") or data_interval_end
            return [
                {"start": part.start.isoformat(), "end": part.end.isoformat()}
                for part in split(start, end, step)
            ]

        @task(pool="ingest", map_index_template="{{ interval['start'] }}")
        def land(interval: dict[str, str], run_id: str | None = None) -> dict[str, Any]:
            """Fetch to bronze, then load; both happen once however often this runs."""
            from ml.sources.catalog import get_source
            from ml.sources.intervals import parse
            from ml.storage.landing import land as land_interval

            result = land_interval(get_source(source), parse(interval), run_id=str(run_id))
            return {"interval": interval, "rows": result.rows, "rejected": result.rejected}

        @task(outlets=[asset], **GATE_ARGS)
        def check(landed: Any, run_id: str | None = None, **context: Any) -> dict[str, Any]:
            """Stop everything downstream if the raw table is not fit for use."""
            from ml.gates import run_gate

            run_gate(gate, run_id=str(run_id))
            landed = list(landed)
            covered = {
                "source": source,
                "intervals": [item["interval"] for item in landed],
                "rows": sum(item["rows"] for item in landed),
                "rejected": sum(item["rejected"] for item in landed),
            }
            context["outlet_events"][asset].extra = covered
            return covered

        check(land.expand(interval=split_interval()))
    return dag
