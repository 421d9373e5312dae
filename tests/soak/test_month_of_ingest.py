"""Thirty daily intervals of both live sources through the real DAGs, with failing providers.

The simulated world answers some requests with 429, 500 and half a body; the rows come out exact.
The figures are written to `tests/soak/results/` with date and machine.
"""

from __future__ import annotations

import json
import os
import platform as machine
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import psutil
import pytest

from ml.airflow_client import AirflowClient
from ml.runtime.memory import PeakMemory
from ml.runtime.state import State
from ml.sources.access import Access
from ml.sources.base import Interval, Record
from ml.sources.catalog import get_source
from ml.storage.postgres import connect

_DAYS = 30
_START = datetime(2026, 2, 1, tzinfo=UTC)
_FAULTS = "429;p=0.05;times=1;retry_after=1, 500;p=0.05;times=1, truncate;p=0.05;times=1"
_RESULTS = Path(__file__).parent / "results"
_COUNTS = {
    "youtube": "select count(*) from raw.youtube_videos where source = 'youtube'"
    " and observed_at > %s and observed_at <= %s",
    "hackernews": "select count(*) from raw.records where source = 'hackernews'"
    " and available_at > %s and available_at <= %s",
}


@pytest.fixture
def faulty_world(platform):
    _plan_faults(platform, _FAULTS)
    yield platform
    _plan_faults(platform, "")


def test_a_month_with_failing_providers_comes_out_exact(faulty_world):
    settings = faulty_world
    end = _START + timedelta(days=_DAYS)
    client = AirflowClient(settings)
    started = time.monotonic()
    with PeakMemory(State(settings.state_dir)) as memory:
        conf = {"start": _START.isoformat(), "end": end.isoformat()}
        runs = {f"ingest_{source}": "" for source in _COUNTS}
        for dag_id in runs:
            runs[dag_id] = client.trigger(dag_id, conf)
        states = {dag_id: _wait(client, dag_id, run_id) for dag_id, run_id in runs.items()}
    seconds = time.monotonic() - started
    assert set(states.values()) == {"success"}
    _plan_faults(settings, "")
    counts = {source: _loaded(settings, source, end) for source in _COUNTS}
    assert counts == {source: _expected(source) for source in _COUNTS}
    _report(seconds, memory.peak_bytes, counts)


def _plan_faults(settings, plan):
    key = settings.world_key.get_secret_value()
    response = httpx.put(
        f"{settings.world_url}/admin/faults",
        content=plan,
        headers={"Authorization": f"Bearer {key}"},
    )
    response.raise_for_status()


def _wait(client, dag_id, run_id):
    while True:
        run = client.run(dag_id, run_id)
        if run["state"] in ("success", "failed"):
            return run["state"]
        time.sleep(2)


def _loaded(settings, source, end):
    with connect(settings.require("database_url")) as conn:
        return conn.execute(_COUNTS[source], (_START, end)).fetchone()[0]


def _expected(source):
    """Distinct keys that the source yields, without Airflow and without faults."""
    subject = get_source(source)
    keys = set()
    for day in range(_DAYS):
        interval = Interval(_START + timedelta(days=day), _START + timedelta(days=day + 1))
        for page in subject.fetch(interval, None, Access(subject.settings, at=interval.end)):
            for item in subject.parse(page):
                assert isinstance(item, Record)
                names = (
                    ("region", "video_id", "observed_at")
                    if item.table == "raw.youtube_videos"
                    else ("kind", "record_id", "event_at")
                )
                keys.add(tuple(item.values[name] for name in names))
    return len(keys)


def _report(seconds, peak_bytes, counts):
    _RESULTS.mkdir(exist_ok=True)
    result = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB,"
        f" {machine.system()} {machine.machine()}",
        "days": _DAYS,
        "faults": _FAULTS,
        "rows": counts,
        "seconds": round(seconds, 1),
        "peak_memory_gib": round(peak_bytes / 2**30, 2),
    }
    (_RESULTS / "month_of_ingest.json").write_text(json.dumps(result, indent=2) + "\n")
