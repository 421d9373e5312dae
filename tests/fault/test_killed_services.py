"""A service is killed with SIGKILL in the middle of an ingest run: the rows come out exact."""

from __future__ import annotations

import os
import signal
import time
from datetime import UTC, datetime, timedelta

import pytest

from ml.airflow_client import AirflowClient
from ml.exceptions import RetriableError
from ml.runtime import embedded
from ml.sources.access import Access
from ml.sources.base import Interval, Record
from ml.sources.catalog import get_source
from ml.storage.postgres import connect

# Each service gets days of its own, far from those of the main job.
_DAYS = 3
_FIRST_DAY = {
    "airflow-scheduler": datetime(2026, 3, 1, tzinfo=UTC),
    "postgres": datetime(2026, 3, 11, tzinfo=UTC),
    "valkey": datetime(2026, 3, 21, tzinfo=UTC),
    "objects": datetime(2026, 4, 1, tzinfo=UTC),
}


@pytest.mark.parametrize("service", list(_FIRST_DAY))
def test_ingest_is_exact_though_a_service_is_killed(platform, service):
    start = _FIRST_DAY[service]
    end = start + timedelta(days=_DAYS)
    client = AirflowClient(platform)
    conf = {"start": start.isoformat(), "end": end.isoformat()}
    run_id = client.trigger("ingest_youtube", conf)
    _wait(lambda: _loaded(platform, start, end) or _landing(client, run_id), 60)

    victim = next(row for row in embedded.status() if row.name == service)
    os.kill(victim.pid, signal.SIGKILL)

    run = _wait(lambda: _finished(client, run_id), 300)
    assert run["state"] == "success"
    assert _loaded_rows(platform, start, end) == _expected_rows(platform, start, end)
    revived = _wait(lambda: _healthy(service), 60)
    assert revived.pid != victim.pid


def _landing(client, run_id):
    tasks = client.tasks("ingest_youtube", run_id)
    return any(task["task_id"] == "land" and task["state"] == "running" for task in tasks)


def _finished(client, run_id):
    run = client.run("ingest_youtube", run_id)
    return run if run and run["state"] in ("success", "failed") else None


def _healthy(service):
    return next((row for row in embedded.status() if row.name == service and row.healthy), None)


def _loaded(settings, start, end):
    return len(_loaded_rows(settings, start, end))


def _loaded_rows(settings, start, end):
    with connect(settings.require("database_url")) as conn:
        return sorted(
            conn.execute(
                "select region, video_id, observed_at, views, likes from raw.youtube_videos"
                " where source = 'youtube' and observed_at > %s and observed_at <= %s",
                (start, end),
            ).fetchall(),
            key=str,
        )


def _expected_rows(settings, start, end):
    """What the source yields for the same days, without Airflow and without faults."""
    source = get_source("youtube", settings)
    rows = {}
    for day in range((end - start).days):
        interval = Interval(start + timedelta(days=day), start + timedelta(days=day + 1))
        for page in source.fetch(interval, None, Access(settings, at=interval.end)):
            for item in source.parse(page):
                assert isinstance(item, Record)
                value = item.values
                key = (value["region"], value["video_id"], value["observed_at"])
                rows[key] = (*key, value.get("views"), value.get("likes"))
    return sorted(rows.values(), key=str)


def _wait(call, timeout_s):
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            result = call()
        except RetriableError:
            result = None
        if result:
            return result
        time.sleep(0.2)
    raise AssertionError(f"nothing within {timeout_s} s")
