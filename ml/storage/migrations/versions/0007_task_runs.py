"""Tries of tasks, so that retries and slow tasks can be seen without Airflow's database."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"

_TABLE = """
create table ops.task_runs (
    dag_id text not null,
    run_id text not null,
    task_id text not null,
    map_index integer not null default -1,
    try_number integer not null,
    state text not null,
    started_at timestamptz,
    ended_at timestamptz,
    primary key (dag_id, run_id, task_id, map_index, try_number)
);
comment on table ops.task_runs is
    'One row per ended try of a task, written by a listener in Airflow: by its worker, or by the scheduler where the worker has died, then with what is known of its times. A try that nobody saw end has none.';
"""


def upgrade() -> None:
    """Create the table."""
    op.execute(_TABLE)


def downgrade() -> None:
    """Drop the table."""
    op.execute("drop table ops.task_runs")
