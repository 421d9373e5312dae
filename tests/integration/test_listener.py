"""What Airflow tells the listener about tries of tasks stands in `ops.task_runs`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from airflow.sdk import TaskInstanceState
from airflow.sdk._shared.listeners.spec import taskinstance
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
from airflow.sdk.listener import ListenerManager
from ytempire_airflow import listener

from ml.settings import get_settings
from ml.storage.postgres import connect

START = datetime(2026, 3, 1, 5, tzinfo=UTC)
RUNNING = TaskInstanceState.RUNNING


def try_of(task_id: str, number: int, state: str, map_index: int | None = -1):
    """A task instance as a worker has it when it ends."""
    return RuntimeTaskInstance.model_construct(
        dag_id="listened", run_id="r1", task_id=task_id, map_index=map_index, try_number=number,
        start_date=START, end_date=START + timedelta(seconds=number),
        state=TaskInstanceState(state),
    )  # fmt: skip


@pytest.fixture
def hook(stack):
    """Airflow's own way of calling listeners, which checks the arguments' names."""
    manager = ListenerManager()
    manager.add_hookspecs(taskinstance)
    manager.add_listener(listener)
    yield manager.hook
    with connect(stack.database_url) as conn:
        conn.execute("delete from ops.task_runs where dag_id = 'listened'")


def recorded(stack):
    with connect(stack.database_url) as conn:
        return conn.execute(
            "select task_id, map_index, try_number, state,"
            " extract(epoch from ended_at - started_at) from ops.task_runs"
            " where dag_id = 'listened' order by task_id, map_index, try_number"
        ).fetchall()


def test_every_end_of_a_try_is_a_row(stack, hook):
    def failed(ti):
        error = ValueError("x")
        hook.on_task_instance_failed(previous_state=RUNNING, task_instance=ti, error=error)

    failed(try_of("load", 1, "up_for_retry"))
    hook.on_task_instance_success(
        previous_state=RUNNING, task_instance=try_of("load", 2, "success")
    )
    failed(try_of("mapped", 1, "failed", map_index=3))
    skipped = try_of("none", 1, "skipped", map_index=None)
    hook.on_task_instance_skipped(previous_state=RUNNING, task_instance=skipped)
    expected = [
        ("load", -1, 1, "up_for_retry", 1),
        ("load", -1, 2, "success", 2),
        ("mapped", 3, 1, "failed", 1),
        ("none", -1, 1, "skipped", 1),
    ]
    assert recorded(stack) == expected
    # Airflow may tell it twice.
    failed(try_of("load", 1, "up_for_retry"))
    assert recorded(stack) == expected


def test_a_database_that_is_away_does_not_break_the_task(stack, hook, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody:none@127.0.0.1:1/none")
    get_settings.cache_clear()
    try:
        success = try_of("load", 1, "success")
        hook.on_task_instance_success(previous_state=RUNNING, task_instance=success)
    finally:
        monkeypatch.undo()
        get_settings.cache_clear()
    assert recorded(stack) == []
