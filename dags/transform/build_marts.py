"""Marts: build, check, publish.

Rebuilds the dbt models, layer by layer, after any source family has landed or archives were
imported. A build first waits until no ingest run is active, so that families that land together are
built once; a run whose events are covered by then skips. Topics are assigned between staging and
the rest. The marts are built in the schema `marts_build`; only when their gate passes does one
transaction point the views of `marts` at the new build.

[Models and their lineage](/reports/dbt/index.html); [all reports](/reports/).
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any

from airflow.sdk import chain, dag, task
from ytempire_airflow.assets import MARTS, RAW, RAW_ARCHIVES
from ytempire_airflow.clock import resolve_as_of
from ytempire_airflow.dbt import dbt_docs, dbt_layer
from ytempire_airflow.defaults import DEFAULT_ARGS, GATE_ARGS


@dag(
    schedule=reduce(or_, RAW.values(), RAW_ARCHIVES),
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    tags=["transform", "dbt"],
    doc_md=__doc__,
)
def build_marts():
    @task.sensor(poke_interval=3, timeout=1200, mode="reschedule")
    def settle(dag_run: Any = None) -> Any:
        from airflow.sdk import PokeReturnValue

        from ml.warehouse.rounds import settle as settled

        found = settled(dag_run.start_date)
        return PokeReturnValue(is_done=found is not None, xcom_value=found)

    @task.short_circuit
    def is_new(triggering_asset_events: Any = None) -> bool:
        from ml.warehouse.rounds import is_covered

        events = (triggering_asset_events or {}).values()
        return not is_covered([event.timestamp for found in events for event in found])

    @task
    def assign_topics(now: str) -> dict[str, Any]:
        from dataclasses import asdict
        from datetime import datetime

        from ml.topics import assign_topics

        return asdict(assign_topics(datetime.fromisoformat(now)))

    @task(**GATE_ARGS)
    def check(now: str, run_id: str | None = None) -> list[str]:
        from datetime import datetime

        from ml.gates import check_build

        return check_build(str(run_id), datetime.fromisoformat(now))

    @task(outlets=[MARTS])
    def publish(
        now: str, settled: dict[str, Any], run_id: str | None = None, **context: Any
    ) -> None:
        from datetime import datetime

        from ml.warehouse import publish_marts
        from ml.warehouse.rounds import remember_round

        publish_marts(str(run_id), datetime.fromisoformat(now))
        remember_round(datetime.fromisoformat(settled["at"]))
        extra = {"as_of": now, "build": run_id, "covers": settled["covers"]}
        context["outlet_events"][MARTS].extra = extra

    settled = settle()
    now = resolve_as_of()
    staging = dbt_layer("staging", ["path:models/staging"], now)
    layers = ["path:models/intermediate", "path:snapshots", "path:models/marts"]
    models = dbt_layer("models", layers, now)
    published = publish(now, settled)
    chain(settled, is_new(), now, staging, assign_topics(now), models, check(now), published)
    published >> dbt_docs(now)


build_marts()
