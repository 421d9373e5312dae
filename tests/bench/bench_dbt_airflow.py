"""S2: the dbt layers as Airflow tasks against a plain `dbt build` of the same models and tests.

Needs a running platform of its own without any raw row, whose DAGs it uses; it pauses all others,
which a published build would start beside the next measurement:

    export YTEMPIRE_STATE_DIR=/tmp/bench; ytempire up
    python tests/bench/bench_dbt_airflow.py --rows 10000000

Both build everything from nothing and then build again; who begins takes turns. The time in Airflow
is that from the start of the first layer to the end of the last, without the task between them that
assigns topics, which is no dbt.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

from provenance import provenance
from warehouse_rows import Size, seed

from ml.airflow_client import AirflowClient
from ml.clock import as_of
from ml.settings import get_settings
from ml.storage.postgres import connect
from ml.warehouse import run_dbt
from ml.world.parameters import WORLD_START

_RESULTS = Path(__file__).parent / "results" / "dbt_airflow.json"
_DAG = "build_marts"
_LAYERS = ("path:models/staging", "path:models/intermediate", "path:snapshots", "path:models/marts")
_SCHEMAS = ("marts_build", "intermediate", "staging", "snapshots")


def main() -> None:
    """Seed, measure in turns and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--seeded", action="store_true", help="the raw rows are there from an earlier bench"
    )
    parser.add_argument(
        "--full", action="store_true", help="builds from nothing alone, not again after them"
    )
    arguments = parser.parse_args()
    if not arguments.seeded:
        if _raw_rows():
            raise SystemExit(
                "this platform has raw rows; give the bench a state directory of its own"
            )
        size = Size(arguments.rows)
        seed(size, WORLD_START, size.days, get_settings())
    client = AirflowClient()
    for dag_id in client.known_dags() - {_DAG}:
        client.pause(dag_id)
    with connect() as conn:
        now = as_of(conn)
    methods = {"plain": plain, "airflow": in_airflow}
    found: dict[str, dict[str, list[float]]] = {
        kind: {name: [] for name in methods}
        for kind in (("full",) if arguments.full else ("full", "again"))
    }
    for number in range(arguments.rounds):
        for name in sorted(methods, reverse=bool(number % 2)):
            _forget()
            for kind in found:
                seconds = methods[name](now)
                found[kind][name].append(round(seconds, 1))
                print(f"{kind} {name}: {seconds:.1f} s", flush=True)
    report = {
        **provenance(),
        "rows": _raw_rows(),
        "load": os.getloadavg()[0],
        "seconds": found,
        "ratio": {
            kind: round(median(each["airflow"]) / median(each["plain"]), 3)
            for kind, each in found.items()
        },
    }
    _RESULTS.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report["ratio"]))


def plain(now: datetime) -> float:
    """Seconds of one `dbt build`, its start included."""
    begin = time.monotonic()
    run_dbt(["build", "--select", *_LAYERS], as_of=now)
    return time.monotonic() - begin


def in_airflow(now: datetime) -> float:
    """Seconds of the layers in a run of the DAG, from the first's start to the last's end."""
    del now  # the DAG finds the same by itself
    client = AirflowClient()
    client.pause(_DAG, is_paused=False)
    run_id = client.trigger(_DAG, {})
    times: dict[str, dict[str, Any]] = {}
    while "models" not in times:
        time.sleep(1)
        tasks = client.tasks(_DAG, run_id)
        failed = [
            task["task_id"] for task in tasks if task["state"] in ("failed", "upstream_failed")
        ]
        if failed:
            raise SystemExit(f"{run_id}: {', '.join(failed)} failed")
        times = {task["task_id"]: task for task in tasks if task["state"] == "success"}
    while (client.run(_DAG, run_id) or {}).get("state") not in ("success", "failed"):
        time.sleep(2)  # the rest of the run must not slow the next measurement
    whole = _moment(times["models"], "end_date") - _moment(times["staging"], "start_date")
    return whole - float(times["assign_topics"]["duration"])


def _moment(task: dict[str, Any], name: str) -> float:
    return datetime.fromisoformat(task[name].replace("Z", "+00:00")).timestamp()


def _raw_rows() -> int:
    with connect() as conn:
        row = conn.execute(
            "select (select count(*) from raw.records) + (select count(*) from raw.youtube_videos)"
        ).fetchone()
    return int(row[0]) if row else 0


def _forget() -> None:
    """Drop what dbt has built, so that the next build is one from nothing."""
    with connect(autocommit=True) as conn:
        for schema in _SCHEMAS:
            conn.execute(f"drop schema if exists {schema} cascade".encode())


if __name__ == "__main__":
    main()
