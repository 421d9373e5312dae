"""Closed days.

Runs once for every day that all source families have announced, whether with rows or as an
explicit empty partition, and writes to `ops.days` what there is of it. A late backfill of a day
closes it again with its new counts. The run's partition key is the day.
"""

from __future__ import annotations

from functools import reduce
from operator import and_
from typing import Any

from airflow.sdk import PartitionedAssetTimetable, dag, task
from ytempire_airflow.assets import CLOSED_DAYS, RAW_DAYS
from ytempire_airflow.defaults import DEFAULT_ARGS


@dag(
    schedule=PartitionedAssetTimetable(assets=reduce(and_, RAW_DAYS.values())),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    tags=["ingest", "partitions"],
    doc_md=__doc__,
)
def close_days():
    @task(outlets=[CLOSED_DAYS])
    def close(dag_run: Any = None, **context: Any) -> dict[str, Any]:
        from ml.storage.landing import close_day

        counts = close_day(dag_run.partition_key)
        context["outlet_events"][CLOSED_DAYS].extra = counts
        context["outlet_events"][CLOSED_DAYS].add_partitions(dag_run.partition_key)
        return counts

    close()


close_days()
