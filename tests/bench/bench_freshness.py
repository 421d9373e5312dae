"""Seconds from a change at Hacker News to its features in the online store, and memory meanwhile.

The simulated world changes at each whole minute of its clock, which is the machine's. For a sample
of the stories that have other points or comments than a minute before, it is the time until the
online store gives the new ones. The stream runs as the service that it is:

    ytempire up --only postgres,valkey,objects,world,stream-hackernews
    python tests/bench/bench_freshness.py --minutes 10
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

import httpx
import psutil
from provenance import provenance

from ml import features
from ml.runtime import embedded
from ml.settings import get_settings
from ml.sources.http import WORLD_NOW_HEADER

_SERVICE = "stream-hackernews"
_SAMPLE = 25
_GIVE_UP_S = 55.0
_EVERY_S = 0.25
_WARM_S = 60.0
_OUT = Path(__file__).parent / "results" / "freshness.json"

Counts = tuple[int, int]


_MINUTE = timedelta(minutes=1)


class World:
    """What the world says at a minute, whatever time it is."""

    def __init__(self) -> None:
        host = "hacker-news.firebaseio.com/v0"
        self._http = httpx.Client(base_url=f"{get_settings().world_url}/{host}", trust_env=False)

    def changes(self, minute: datetime) -> dict[str, Counts]:
        """New points and comments of stories that had others a minute before."""
        found = {}
        for number in self._ask("updates", minute)["items"]:
            now, before = self._item(number, minute), self._item(number, minute - _MINUTE)
            if before is not None and now != before:
                found[str(number)] = now
            if len(found) == _SAMPLE:
                break
        return found

    def _item(self, number: int, at: datetime) -> Counts | None:
        item = self._ask(f"item/{number}", at)
        return (item["score"], item["descendants"]) if item else None

    def _ask(self, path: str, at: datetime) -> Any:
        answer = self._http.get(f"/{path}.json", headers={WORLD_NOW_HEADER: at.isoformat()})
        return answer.raise_for_status().json()


def main() -> None:
    """Measure, and write one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=10)
    parser.add_argument("--out", type=Path, default=_OUT)
    arguments = parser.parse_args()
    process = _process()
    store, world = features.open_store(), World()
    seconds: list[float] = []
    missed, memory = 0, []
    load_before = os.getloadavg()[0]
    for _ in range(arguments.minutes):
        minute = datetime.now(UTC).replace(second=0, microsecond=0) + _MINUTE
        time.sleep(max((minute - datetime.now(UTC)).total_seconds(), 0.0))
        # The world answers for any moment: what changes is known as soon as it has.
        waiting = world.changes(minute)
        found = _await(waiting, minute, store)
        seconds += found
        missed += len(waiting) - len(found)
        age = time.time() - process.create_time()
        memory.append((age, process.memory_full_info().uss / 2**20))
        print(f"{minute:%H:%M} {len(found)}/{len(waiting)} {memory[-1][1]:.1f} MB", flush=True)
    report = {
        **provenance(),
        "load_before": load_before,
        "input": "the simulated world, a change a minute",
        "updates": len(seconds),
        "missed": missed,
        "seconds": _quantiles(seconds),
        "memory": _memory(memory),
    }
    arguments.out.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


def _process() -> psutil.Process:
    rows = {row.name: row for row in embedded.status()}
    if _SERVICE not in rows or rows[_SERVICE].pid is None:
        raise SystemExit(f"{_SERVICE} does not run; see --help")
    return psutil.Process(rows[_SERVICE].pid)


def _await(wanted: dict[str, Counts], minute: datetime, store: Any) -> list[float]:
    """Seconds since the minute until each story's new counts were read."""
    left, seconds = dict(wanted), []
    service = store.get_feature_service("story_v1")
    while left and datetime.now(UTC) < minute + timedelta(seconds=_GIVE_UP_S):
        rows = [{"story_id": story} for story in left]
        answer = store.get_online_features(features=service, entity_rows=rows).to_dict()
        took = (datetime.now(UTC) - minute).total_seconds()
        read = zip(answer["story_id"], answer["upvotes"], answer["comments"], strict=True)
        for story, upvotes, comments in read:
            if left[story] == (upvotes, comments):
                seconds.append(took)
                del left[story]
        time.sleep(_EVERY_S)
    return seconds


def _quantiles(seconds: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(seconds, n=20, method="inclusive")
    found = {"p50": cuts[9], "p95": cuts[18], "max": max(seconds)}
    return {name: round(value, 2) for name, value in found.items()}


def _memory(samples: list[tuple[float, float]]) -> dict[str, float]:
    """Of the process alone, once it has started: first, last, and the slope between."""
    settled = [sample for sample in samples if sample[0] > _WARM_S] or samples
    ages, sizes = zip(*settled, strict=True)
    found = {"minutes": (ages[-1] - ages[0]) / 60, "first_mb": sizes[0], "last_mb": sizes[-1]}
    if len(settled) > 2:
        slope = statistics.linear_regression(ages, sizes).slope
        found["mb_per_hour"] = slope * 3600
    return {name: round(value, 2) for name, value in found.items()}


if __name__ == "__main__":
    main()
