"""Seconds from a post on X to the features of its query in the online store.

The simulated world sends posts as they are made, by the machine's clock. A post counts as online
once the online store gives a row of its query that is as new as its arrival; both X and the online
store know times to the second. The stream runs as the service that it is, for a minute at least,
with queries that much matches:

    X_QUERIES='["the OR a OR to", "gaming"]' \
        ytempire up --only postgres,valkey,objects,world,stream-x
    python tests/bench/bench_freshness_x.py --minutes 10
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from provenance import provenance

from ml import features
from ml.runtime import embedded
from ml.settings import get_settings
from ml.storage.postgres import connect

_SERVICE = "stream-x"
_EVERY_S = 0.25
_LAST_S = 30.0  # for the last posts to get online
_OUT = Path(__file__).parent / "results" / "freshness_x.json"
_QUERIES = "select distinct query_id from features.query_momentum"
_POSTS = """
select query, event_at, available_at
from raw.records cross join lateral jsonb_array_elements_text(payload -> 'queries') as q (query)
where source = 'x_posts' and event_at >= %s and event_at < %s
"""


def main() -> None:
    """Measure, and write one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--out", type=Path, default=_OUT)
    arguments = parser.parse_args()
    if not any(row.name == _SERVICE and row.healthy for row in embedded.status()):
        raise SystemExit(f"{_SERVICE} does not run; see --help")
    store = features.open_store()  # takes seconds
    load_before = os.getloadavg()[0]
    begun = datetime.now(UTC)
    ended = begun + timedelta(minutes=arguments.minutes)
    seen = _watch(store, ended + timedelta(seconds=_LAST_S))
    with connect(get_settings().require("database_url")) as conn:
        posts = conn.execute(_POSTS, (begun, ended)).fetchall()
    seconds = []
    for query, made_at, arrived_at in posts:
        online = next((at for at, newest in seen.get(query, ()) if newest >= arrived_at), None)
        if online is not None:
            seconds.append((online - made_at).total_seconds())
    cuts = statistics.quantiles(seconds, n=20, method="inclusive")
    report = {
        **provenance(),
        "load_before": load_before,
        "input": "the simulated world, as it is by default",
        "posts": len(posts),
        "missed": len(posts) - len(seconds),
        "seconds": {
            "p50": round(cuts[9], 2), "p95": round(cuts[18], 2), "max": round(max(seconds), 2),
        },
    }  # fmt: skip
    arguments.out.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


def _watch(store: Any, until: datetime) -> dict[str, list[tuple[datetime, datetime]]]:
    """By query, when a row was first read online, and how new it is."""
    service = store.get_feature_service("query_v1")
    seen: dict[str, list[tuple[datetime, datetime]]] = {}
    with connect(get_settings().require("database_url"), autocommit=True) as conn:
        while (now := datetime.now(UTC)) < until:
            queries = [row[0] for row in conn.execute(_QUERIES)]
            rows = [{"query_id": query} for query in queries]
            answer = store.get_online_features(features=service, entity_rows=rows)
            times = answer.to_dict(include_event_timestamps=True)["posts_1h__ts"] if rows else []
            for query, epoch in zip(queries, times, strict=True):
                newest = datetime.fromtimestamp(epoch, UTC) + timedelta(seconds=1)
                rows_seen = seen.setdefault(query, [])
                if not rows_seen or newest > rows_seen[-1][1]:
                    rows_seen.append((now, newest))
            time.sleep(_EVERY_S)
    return seen


if __name__ == "__main__":
    main()
