"""Marts: build, check, publish.

Rebuilds the dbt models, task by task, whenever every source family has announced what it has (or
that it has nothing), or archives were imported. Topics
are assigned between staging and the rest. The marts are built in the schema `marts_build`; only
when their gate passes does one transaction point the views of `marts` at the new build.
"""

from __future__ import annotations

from functools import reduce
from operator import and_
from typing import Any

from airflow.sdk import chain, dag, task
from ytempire_airflow.assets import MARTS, RAW, RAW_ARCHIVES
from ytempire_airflow.clock import resolve_as_of
from ytempire_airflow.dbt import dbt_models
from ytempire_airflow.defaults import DEFAULT_ARGS, GATE_ARGS


@dag(
    schedule=reduce(and_, RAW.values()) | RAW_ARCHIVES,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    tags=["transform", "dbt"],
    doc_md=__doc__,
)
def build_marts():
    @task
    def assign_topics(now: str) -> dict[str, Any]:
        from dataclasses import asdict
        from datetime import datetime

        from ml.topics import assign_topics

        return asdict(assign_topics(datetime.fromisoformat(now)))

    @task(**GATE_ARGS)
    def check(now: str, run_id: str | None = None) -> None:
        from datetime import datetime

        from ml.gates import run_gate

        for mart in ("fct_video_daily", "dim_topic"):
            run_gate(mart, run_id=str(run_id), as_of=datetime.fromisoformat(now))

    @task(outlets=[MARTS])
    def publish(now: str, run_id: str | None = None, **context: Any) -> None:
        from datetime import datetime

        from ml.warehouse import publish_marts

        publish_marts(str(run_id), datetime.fromisoformat(now))
        context["outlet_events"][MARTS].extra = {"as_of": now, "build": run_id}

    now = resolve_as_of()
    staging = dbt_models("staging", ["path:models/staging"])
    models = dbt_models("models", ["path:models/intermediate", "path:models/marts"])
    chain(now, staging, assign_topics(now), models, check(now), publish(now))


build_marts()
