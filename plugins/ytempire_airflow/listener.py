"""Mirrors DAG runs into `ops.dag_runs` and tries of tasks into `ops.task_runs`.

So analysts need no access to Airflow's database. Runs are seen by the scheduler, tries by the
worker that ends them, and by the scheduler where a worker has died and the try is known to be lost.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.listeners import hookimpl

from ml.exceptions import YtempireError

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

log = logging.getLogger(__name__)

_UPSERT_RUN = """
insert into ops.dag_runs (dag_id, run_id, run_type, state, queued_at, started_at, ended_at, note)
values (%s, %s, %s, %s, %s, %s, %s, %s)
on conflict (dag_id, run_id) do update set state = excluded.state,
    started_at = excluded.started_at, ended_at = excluded.ended_at, note = excluded.note
"""
_UPSERT_TRY = """
insert into ops.task_runs (dag_id, run_id, task_id, map_index, try_number, state, started_at,
    ended_at)
values (%s, %s, %s, %s, %s, %s, %s, %s)
on conflict (dag_id, run_id, task_id, map_index, try_number) do update set
    state = excluded.state, started_at = excluded.started_at, ended_at = excluded.ended_at
"""


@hookimpl
def on_dag_run_running(dag_run: DagRun, msg: str) -> None:
    """Record that a run has started."""
    _record_run(dag_run, msg)


@hookimpl
def on_dag_run_success(dag_run: DagRun, msg: str) -> None:
    """Record that a run has succeeded."""
    _record_run(dag_run, msg)


@hookimpl
def on_dag_run_failed(dag_run: DagRun, msg: str) -> None:
    """Record that a run has failed."""
    _record_run(dag_run, msg)


@hookimpl
def on_task_instance_success(task_instance: Any) -> None:
    """Record that a try has succeeded."""
    _record_try(task_instance, "success")


@hookimpl
def on_task_instance_failed(task_instance: Any) -> None:
    """Record that a try has failed, for good or to be tried again."""
    again = str(getattr(task_instance.state, "value", task_instance.state)) == "up_for_retry"
    _record_try(task_instance, "up_for_retry" if again else "failed")


@hookimpl
def on_task_instance_skipped(task_instance: Any) -> None:
    """Record that a task has skipped itself."""
    _record_try(task_instance, "skipped")


def _record_run(dag_run: DagRun, msg: str) -> None:
    values = (
        dag_run.dag_id, dag_run.run_id, str(dag_run.run_type), str(dag_run.state),
        dag_run.queued_at, dag_run.start_date, dag_run.end_date, msg or None,
    )  # fmt: skip
    _write(_UPSERT_RUN, values)


def _record_try(ti: Any, state: str) -> None:
    index = -1 if ti.map_index is None else ti.map_index
    values = (
        ti.dag_id, ti.run_id, ti.task_id, index, ti.try_number, state, ti.start_date, ti.end_date,
    )  # fmt: skip
    _write(_UPSERT_TRY, values)


def _write(statement: str, values: Sequence[Any]) -> None:
    import psycopg

    from ml.storage.postgres import connect

    try:
        with connect() as connection:
            connection.execute(statement.encode(), values)
    except (YtempireError, psycopg.Error) as error:
        # Airflow must go on; the next change of state of a run writes its row whole.
        log.warning("not recorded: %s of %s: %s", values[1], values[0], error)
