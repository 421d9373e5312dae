"""The landing operator gives its worker back while a provider makes it wait."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from airflow.sdk.exceptions import TaskDeferred
from ytempire_airflow.operators import LandOperator, resume_at

from ml.exceptions import ProviderError, QuotaExceededError
from ml.storage import postgres

INTERVALS = [
    {"start": f"2026-01-{day:02}T00:00:00+00:00", "end": f"2026-01-{day + 1:02}T00:00:00+00:00"}
    for day in (10, 11)
]


@pytest.fixture
def faults(stack):
    def plan(text):
        key = stack.world_key.get_secret_value()
        answer = httpx.put(
            f"{stack.world_url}/admin/faults",
            content=text,
            headers={"Authorization": f"Bearer {key}"},
        )
        answer.raise_for_status()

    yield plan
    plan("")


def operator(**options):
    return LandOperator(task_id="land", family="github", intervals=INTERVALS, **options)


def landed(run_id):
    with postgres.connect() as conn:
        return conn.execute(
            "select source, rows from ops.landings where run_id = %s order by 1, interval_start",
            (run_id,),
        ).fetchall()


def test_a_long_wait_is_slept_in_the_triggerer_and_the_work_goes_on(faults):
    faults("429;retry_after=3600")
    with pytest.raises(TaskDeferred) as deferred:
        operator().execute({"run_id": "wait"})
    asked = deferred.value.trigger.moment - datetime.now(UTC)
    assert timedelta(minutes=55) < asked <= timedelta(hours=1)
    assert landed("wait") == []
    faults("")
    results = operator().execute({"run_id": "wait"}, event=None)
    assert [row["status"] for row in results] == ["landed"] * len(results)
    assert len(landed("wait")) == len(results) >= 2
    assert operator().execute({"run_id": "wait"}) == [{**row, "rows_new": 0} for row in results]


def test_a_dry_run_counts_and_keeps_nothing(faults):
    results = operator(is_dry_run=True).execute({"run_id": "dry"})
    assert all(row["rows"] > 0 for row in results)
    assert landed("dry") == []


def test_short_waits_are_left_to_the_retries_of_the_task():
    now = datetime.now(UTC)
    assert resume_at(ProviderError("x", retry_after_s=30)) is None
    assert resume_at(ProviderError("x")) is None
    assert resume_at(QuotaExceededError("x")) is None
    assert resume_at(ProviderError("x", retry_after_s=600)) > now + timedelta(minutes=9)
    reset = now + timedelta(hours=5)
    assert resume_at(QuotaExceededError("x", resets_at=reset)) == reset
