"""Records a second of each source, from the provider's answer to committed rows.

Each source lands one day of the simulated world over HTTP: fetch, bronze, parse, merge, commit. The
world answers in microseconds where a provider takes tenths of a second, and politeness towards it
(the least time between two requests) is kept, so this is what our side costs and not what a
provider's network allows.

    ytempire up --only postgres,valkey,objects,world
    python tests/bench/bench_sources.py
"""

from __future__ import annotations

import argparse
import json
import os
import time
import uuid
from datetime import timedelta
from pathlib import Path

from provenance import provenance

from ml.sources.base import Interval
from ml.sources.catalog import all_sources
from ml.storage.landing import land
from ml.world.parameters import WORLD_START

_DAY = Interval(WORLD_START + timedelta(days=30), WORLD_START + timedelta(days=31))
_OUT = Path(__file__).parent / "results" / "sources.json"


def main() -> None:
    """Land a day of every source, and write one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=_OUT)
    arguments = parser.parse_args()
    load = round(os.getloadavg()[0], 2)
    measured = {source.id: _measure(source) for source in all_sources()}
    rows, seconds = (sum(each[name] for each in measured.values()) for name in ("rows", "seconds"))
    report = {
        **provenance(),
        "load_before": load,
        "input": "one day of the simulated world, over HTTP",
        "rows_per_second": round(rows / seconds),
        "sources": measured,
    }
    arguments.out.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


def _measure(source):
    started = time.perf_counter()
    result = land(source, _DAY, run_id=f"bench-{uuid.uuid4().hex[:8]}")
    seconds = time.perf_counter() - started
    return {
        "rows": result.rows,
        "pages": result.pages,
        "seconds": round(seconds, 3),
        "rows_per_second": round(result.rows / seconds),
        "least_seconds_between_requests": source.spec.min_interval_s,
    }


if __name__ == "__main__":
    main()
