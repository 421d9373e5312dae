"""Rows a second into Postgres: our landing beside dlt, the usual library for it.

Both merge the same parsed rows by the same key into a table of the same columns, in the database of
the settings, twice: the second time nothing changes. dlt is not a dependency; to compare, install
it beside: `uv pip install "dlt[postgres]"` into a copy of the environment.

    python tests/bench/bench_loading.py --rows 100000
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from ml.settings import get_settings
from ml.storage import postgres, raw

_START = datetime(2026, 1, 1, tzinfo=UTC)
_KEY = ["source", "kind", "record_id", "region", "event_at"]


def make_rows(count: int) -> list[dict[str, Any]]:
    """Rows of `raw.records` as a parser yields them."""
    return [
        {
            "source": "bench", "kind": "snapshot", "record_id": str(number % (count // 10 or 1)),
            "region": "ZZ", "event_at": _START + timedelta(hours=number),
            "available_at": _START + timedelta(hours=number), "bronze_key": "bench",
            "is_synthetic": True,
            "payload": {"title": f"Title of {number}", "upvotes": number, "comments": number % 7},
        }
        for number in range(count)
    ]  # fmt: skip


def load_ours(rows: list[dict[str, Any]]) -> None:
    """Through `raw.Load`, as every landing does."""
    with postgres.transaction() as conn:
        load = raw.Load(conn, "raw.records", {"source": "bench"}, ("bronze_key", "is_synthetic"))
        load.add_rows(rows)
        load.finish()


def load_with_dlt(rows: list[dict[str, Any]]) -> None:
    """By dlt's merge (upsert) through CSV and COPY, its fastest way in from Python rows."""
    import dlt

    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    destination = dlt.destinations.postgres(postgres.libpq_url(get_settings().database_url or ""))
    pipeline = dlt.pipeline("bench", destination=destination, dataset_name="bench_dlt")
    resource = dlt.resource(
        rows, name="records", primary_key=_KEY, columns={"payload": {"data_type": "json"}},
        write_disposition={"disposition": "merge", "strategy": "upsert"},
    )  # fmt: skip
    pipeline.run(resource, loader_file_format="csv").raise_on_failed_jobs()


def rate(load: Callable[[list[dict[str, Any]]], None], rows: list[dict[str, Any]]) -> list[int]:
    """Rows a second of a first and a second, unchanged load."""
    rates = []
    for _ in range(2):
        started = time.perf_counter()
        load(rows)
        rates.append(round(len(rows) / (time.perf_counter() - started)))
    return rates


def main() -> None:
    """Measure and print one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    rows = make_rows(parser.parse_args().rows)
    found = {"rows": len(rows), "ours": rate(load_ours, rows)}
    if importlib.util.find_spec("dlt"):
        found["dlt"] = rate(load_with_dlt, rows)
    with postgres.connect() as conn:
        conn.execute("delete from raw.records where source = 'bench'")
        conn.execute("drop schema if exists bench_dlt, bench_dlt_staging cascade")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
