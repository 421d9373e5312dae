"""Mirrors DAG runs into `ops.dag_runs`, so that analysts need no access to Airflow's database."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from airflow.listeners import hookimpl

from ml.exceptions import YtempireError

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

log = logging.getLogger(__name__)

_UPSERT = """
insert into ops.dag_runs (dag_id, run_id, run_type, state, queued_at, started_at, ended_at, note)
values (%s, %s, %s, %s, %s, %s, %s, %s)
on conflict (dag_id, run_id) do update set state = excluded.state,
    started_at = excluded.started_at, ended_at = excluded.ended_at, note = excluded.note
"""


@hookimpl
def on_dag_run_running(dag_run: DagRun, msg: str) -> None:
    """Record that a run has started."""
    _record(dag_run, msg)


@hookimpl
def on_dag_run_success(dag_run: DagRun, msg: str) -> None:
    """Record that a run has succeeded."""
    _record(dag_run, msg)


@hookimpl
def on_dag_run_failed(dag_run: DagRun, msg: str) -> None:
    """Record that a run has failed."""
    _record(dag_run, msg)


def _record(dag_run: DagRun, msg: str) -> None:
    import psycopg

    from ml.storage.postgres import connect

    values = (
        dag_run.dag_id, dag_run.run_id, str(dag_run.run_type), str(dag_run.state),
        dag_run.queued_at, dag_run.start_date, dag_run.end_date, msg or None,
    )  # fmt: skip
    try:
        with connect() as connection:
            connection.execute(_UPSERT, values)
    except (YtempireError, psycopg.Error) as error:
        # The scheduler must go on; the next state change of the run writes the row whole.
        log.warning("run %s of %s is not recorded: %s", dag_run.run_id, dag_run.dag_id, error)
