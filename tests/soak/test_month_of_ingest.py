"""A month of every source and three days of hours through the real DAGs, with failing providers.

The simulated world refuses, cuts, breaks and repeats; the rows and dead letters come out exact, by
source and day, against what the sources yield when they are asked directly, and against the world's
own ledger of what it sent. The figures are written to `tests/soak/results/` with date and machine.
"""

from __future__ import annotations

import json
import os
import platform as machine
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import median

import httpx
import psutil
import pytest

from ml.airflow_client import AirflowClient
from ml.runtime.memory import PeakMemory
from ml.runtime.state import State
from ml.sources.access import Access
from ml.sources.base import Interval, Rejected
from ml.sources.catalog import all_sources, family
from ml.sources.families import FAMILIES
from ml.storage.postgres import connect

_MONTH = (datetime(2026, 2, 1, tzinfo=UTC), 30, timedelta(days=1))
_HOURS = (datetime(2026, 4, 1, tzinfo=UTC), 72, timedelta(hours=1))
_HOURLY = ("hackernews", "reddit", "x", "google_trends")
# What passes is asked for again; what is broken or repeated is so at every attempt.
_FAULTS = (
    "429;p=0.05;times=1;retry_after=1, 500;p=0.05;times=1, truncate;p=0.05;times=1, cut;p=0.02;"
    "times=1, malformed;rows=1;path=/hn.algolia.com, duplicate;rows=2;path=/open.tiktokapis.com"
)
# Routes whose every item is one row or one dead letter of one source.
_ONE_TO_ONE = {
    "hn.algolia.com": ("hackernews_search", "snapshot"),
    "open.tiktokapis.com": ("tiktok", "snapshot"),
}
_RESULTS = Path(__file__).parent / "results"


@pytest.fixture
def faulty_world(platform):
    client = AirflowClient(platform)
    client.pause("build_marts")  # what follows the landing is not looked at here
    _admin(platform, "PUT", "faults", _FAULTS)
    yield platform
    _admin(platform, "PUT", "faults", "")
    client.pause("build_marts", is_paused=False)


def test_a_month_of_all_sources_comes_out_exact(faulty_world):
    names = [each.name for each in FAMILIES]
    seconds, memory = _ingest(faulty_world, names, _MONTH)
    sent = _admin(faulty_world, "GET", "ledger")["rows"]
    rows, letters = _landed(faulty_world, names, _MONTH)
    expected_rows, expected_letters = _expected(names, _MONTH)
    assert rows == expected_rows
    assert letters == expected_letters
    assert sum(letters.values()) > 0
    for host, (source, kind) in _ONE_TO_ONE.items():
        assert _sent(sent, host) == _kept(faulty_world, source, kind, _MONTH)
    by_source = Counter()
    for (source, _), count in rows.items():
        by_source[source] += count
    _report("month_of_ingest", seconds, memory, by_source, sum(letters.values()))


def test_three_days_of_hours_come_out_exact(faulty_world):
    seconds, memory = _ingest(faulty_world, _HOURLY, _HOURS)
    rows, letters = _landed(faulty_world, _HOURLY, _HOURS)
    assert (rows, letters) == _expected(_HOURLY, _HOURS)
    by_source = Counter()
    for (source, _), count in rows.items():
        by_source[source] += count
    _report("hours_of_ingest", seconds, memory, by_source, sum(letters.values()))


def _ingest(settings, names, span):
    """Seconds that it took, and the memory of the platform while it did."""
    start, count, step = span
    client = AirflowClient(settings)
    conf = {
        "start": start.isoformat(),
        "end": (start + count * step).isoformat(),
        "hours": int(step / timedelta(hours=1)),
    }
    started = time.monotonic()
    with PeakMemory(State(settings.state_dir)) as memory:
        runs = {name: client.trigger(f"ingest_{name}", conf) for name in names}
        states = {name: _wait(client, f"ingest_{name}", run) for name, run in runs.items()}
    assert set(states.values()) == {"success"}, states
    return time.monotonic() - started, memory.samples


def _wait(client, dag_id, run_id):
    while True:
        run = client.run(dag_id, run_id)
        if run["state"] in ("success", "failed"):
            return run["state"]
        time.sleep(2)


def _landed(settings, names, span):
    """Rows and dead letters in the database, by source and day of observation."""
    start, count, step = span
    end = start + count * step
    sources = [source.id for name in names for source in family(name)]
    with connect(settings.require("database_url")) as conn:
        rows = conn.execute(
            "select source, (available_at at time zone 'UTC')::date::text, count(*) from ("
            " select source, available_at from raw.records"
            " union all select source, available_at from raw.youtube_videos) as rows"
            " where source = any(%s) and available_at > %s and available_at <= %s group by 1, 2",
            (sources, start, end),
        ).fetchall()
        letters = conn.execute(
            "select source, substring(bronze_key from 'date=([0-9-]+)'), count(*)"
            " from ops.dead_letters where source = any(%s)"
            " and substring(bronze_key from 'date=([0-9-]+)')::date >= %s::date"
            " and substring(bronze_key from 'date=([0-9-]+)')::date < %s::date group by 1, 2",
            (sources, start, end),
        ).fetchall()
    return Counter({(s, d): n for s, d, n in rows}), Counter({(s, d): n for s, d, n in letters})


def _expected(names, span):
    """The same, of what the sources yield when they are asked directly, interval by interval."""
    start, count, step = span
    edges = [start + number * step for number in range(count + 1)]
    latest, letters = {}, Counter()
    for source in (source for name in names for source in family(name)):
        if not source.availability().available:
            continue
        cursor = None
        for interval in (Interval(first, last) for first, last in pairwise(edges)):
            pages = list(source.fetch(interval, cursor, Access(source.settings, at=interval.end)))
            cursor = source.next_cursor(interval, cursor, pages)
            for item in (item for page in pages for item in source.parse(page)):
                if isinstance(item, Rejected):
                    letters[source.id, f"{interval.start:%Y-%m-%d}"] += 1
                else:
                    key = _key(source.id, item)
                    latest[key] = max(item.values["available_at"], latest.get(key, start))
    rows = Counter((key[0], f"{moment:%Y-%m-%d}") for key, moment in latest.items())
    return rows, letters


def _key(source_id, item):
    if item.table == "raw.youtube_videos":
        names = ("region", "video_id", "observed_at")
    else:
        names = ("kind", "record_id", "region", "event_at")
    return (source_id, *(item.values[name] for name in names))


def _sent(ledger, host):
    """Different items, good or broken, that the world has sent, by day."""
    days = Counter()
    for row in ledger:
        if row["route"].lstrip("/").startswith(host):
            days[row["day"]] += row["items"] - row["duplicates"]
    return {day: count for day, count in days.items() if count}


def _kept(settings, source, kind, span):
    """Rows and dead letters of a source, by the day that the world was asked about."""
    start, count, step = span
    with connect(settings.require("database_url")) as conn:
        rows = conn.execute(
            "select day, sum(found)::int from ("
            " select (available_at at time zone 'UTC')::date::text as day, count(*) as found"
            " from raw.records where source = %(source)s and kind = %(kind)s"
            " and available_at > %(start)s and available_at <= %(end)s group by 1"
            " union all select (substring(bronze_key from 'date=([0-9-]+)')::date + 1)::text,"
            " count(*) from ops.dead_letters where source = %(source)s"
            " and substring(bronze_key from 'date=([0-9-]+)')::date >= %(start)s::date group by 1"
            ") as parts group by 1",
            {"source": source, "kind": kind, "start": start, "end": start + count * step},
        ).fetchall()
    return dict(rows)


def _admin(settings, method, path, content=None):
    key = settings.world_key.get_secret_value()
    response = httpx.request(
        method,
        f"{settings.world_url}/admin/{path}",
        content=content,
        headers={"Authorization": f"Bearer {key}"},
        timeout=60,
    )
    response.raise_for_status()
    return response.json()


def _report(name, seconds, memory, rows, letters):
    _RESULTS.mkdir(exist_ok=True)
    total = sum(rows.values())
    result = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB,"
        f" {machine.system()} {machine.machine()}",
        "sources": len(all_sources()),
        "faults": _FAULTS,
        "rows": total,
        "dead_letters": letters,
        "seconds": round(seconds, 1),
        "rows_per_second": round(total / seconds),
        "peak_memory_gib": round(max(memory) / 2**30, 2),
        "memory_gib_by_third": [round(median(part) / 2**30, 2) for part in _thirds(memory)],
        "rows_by_source": dict(sorted(rows.items())),
    }
    (_RESULTS / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n")


def _thirds(samples):
    size = max(len(samples) // 3, 1)
    return samples[:size], samples[size : 2 * size] or samples, samples[-size:]
