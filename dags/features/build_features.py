"""Features.

Appends to the feature tables from the published build, and to those that streams fill by the SQL
functions that the streams call too, brings the feature store up to date with its definitions and
materialises the newest values into the online store.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import chain, dag, task
from ytempire_airflow.assets import FEATURES, MARTS
from ytempire_airflow.clock import resolve_as_of
from ytempire_airflow.dbt import dbt_layer
from ytempire_airflow.defaults import DEFAULT_ARGS


@dag(
    schedule=[MARTS],
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    tags=["features", "feast", "dbt"],
    doc_md=__doc__,
)
def build_features():
    @task
    def apply_definitions() -> None:
        from ml.features import apply

        apply()

    @task
    def append_streamed() -> int:
        from ml.streaming.tables import append_new

        return append_new()

    @task(outlets=[FEATURES])
    def materialise(now: str, **context: Any) -> None:
        from datetime import datetime

        from ml.features import materialise as copy_online

        seconds = copy_online(None, datetime.fromisoformat(now))
        context["outlet_events"][FEATURES].extra = {"as_of": now, "seconds": seconds}

    now = resolve_as_of()
    tables = dbt_layer("tables", ["path:models/features"], now)
    chain(now, [tables, append_streamed(), apply_definitions()], materialise(now))


build_features()
