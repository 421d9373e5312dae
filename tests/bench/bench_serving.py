"""The HTTP API under load: latency at a fixed rate, saturation, features, and the start.

    ytempire up --only postgres,valkey,objects,mlflow
    python tests/bench/bench_serving.py [--topics 10000] [--seconds 6] [--write]

It starts `ytempire serve` on the platform of YTEMPIRE_STATE_DIR and asks from this process. With
`--topics` it first fills an empty platform (`serving_rows.py`: one video a topic); without, the
platform must have a champion of trend_video. Figures are medians of five runs, which take turns.
Requests are due at fixed times whatever the answers do (open loop), and latency counts from when a
request was due. Caches of answers are off (`Cache-Control: no-cache`) but where the name says
otherwise; authentication, rate limits and recording are on.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import numpy as np
import psutil
from provenance import provenance
from serving_rows import prepare

from ml.settings import get_settings
from ml.storage.postgres import connect

RUNS = 5
WORKERS = 2
CONNECTIONS = 32
# The event loop's timer wakes up to so much late; the rest is waited for awake, or it would count
# as latency of the server.
_TIMER_S = 0.002
RESULTS = Path(__file__).parent / "results" / "serving.json"


class Caller(asyncio.Protocol):
    """One connection: a request at a time, as cheap for this process as it can be."""

    def connection_made(self, transport):
        self.transport, self.buffer, self.answered = transport, b"", None

    def data_received(self, data):
        self.buffer += data
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        at = head.lower().index(b"content-length:") + 15
        length = int(head[at:].split(b"\r\n", 1)[0])
        if len(body) >= length:
            self.buffer = b""
            self.answered.set_result(int(head[9:12]))

    def connection_lost(self, error):
        if self.answered is not None and not self.answered.done():
            self.answered.set_exception(ConnectionError("closed"))

    async def ask(self, request):
        if self.transport.is_closing():
            # The server closes what is idle for some seconds; a client opens another.
            raise ConnectionError("closed")
        self.answered = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self.answered


async def connections(port, count):
    loop = asyncio.get_running_loop()
    made = [await loop.create_connection(Caller, "127.0.0.1", port) for _ in range(count)]
    return [protocol for _, protocol in made]


async def open_loop(port, requests, rate, seconds):
    """Latencies, statuses: `rate` requests a second are due, whoever is free takes the next."""
    # The one that was used last comes first: the others stay open for a burst.
    free = asyncio.LifoQueue()
    for caller in await connections(port, CONNECTIONS):
        free.put_nowait(caller)
    taken, statuses = [], []

    async def one(due, request):
        caller = await free.get()
        try:
            statuses.append(await caller.ask(request))
        except ConnectionError:
            (caller,) = await connections(port, 1)
            statuses.append(await caller.ask(request))
        taken.append(time.perf_counter() - due)
        free.put_nowait(caller)

    start, tasks = time.perf_counter() + 0.1, []
    for number in range(int(rate * seconds)):
        due = start + number / rate
        await asyncio.sleep(max(0, due - _TIMER_S - time.perf_counter()))
        while time.perf_counter() < due:
            await asyncio.sleep(0)
        tasks.append(asyncio.create_task(one(due, requests[number % len(requests)])))
    await asyncio.gather(*tasks)
    return taken, statuses


async def closed_loop(port, requests, seconds):
    """How many answers a second all connections get that ask without a pause."""
    end, answered = time.perf_counter() + seconds, []

    async def ask_on(caller, first):
        number = first
        while time.perf_counter() < end:
            answered.append(await caller.ask(requests[number % len(requests)]))
            number += CONNECTIONS

    callers = await connections(port, CONNECTIONS)
    started = time.perf_counter()
    await asyncio.gather(*(ask_on(caller, i) for i, caller in enumerate(callers)))
    return len(answered) / (time.perf_counter() - started), answered


def http(path, body, key, *, cached=False):
    content = json.dumps(body).encode()
    lines = [
        f"POST /ml/v1/{path} HTTP/1.1", "Host: 127.0.0.1", f"X-API-Key: {key}",
        "Content-Type: application/json", f"Content-Length: {len(content)}",
    ]  # fmt: skip
    if not cached:
        lines.append("Cache-Control: no-cache")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


def quantiles(taken, statuses):
    p50, p95, p99 = np.quantile(np.array(taken) * 1000, (0.5, 0.95, 0.99)).round(2).tolist()
    counts = {str(status): statuses.count(status) for status in sorted(set(statuses))}
    return {"requests": len(taken), "p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "status": counts}


def cpu_seconds(process):
    family = [process, *process.children(recursive=True)]
    return sum(sum(each.cpu_times()[:2]) for each in family)


def settle(process):
    """Wait until every worker has loaded its models: two quiet seconds, a minute at most."""
    for _ in range(30):
        before = cpu_seconds(process)
        time.sleep(2)
        if cpu_seconds(process) - before < 0.1:
            return
    print("the workers did not become quiet", flush=True)


def measure(port, process, sets, seconds):
    """Medians of the runs of each set, and the latencies of every run."""
    for requests, rate in sets.values():
        # Warm, in every worker: at a low rate one connection alone would be used.
        asyncio.run(closed_loop(port, requests, 1))
        asyncio.run(open_loop(port, requests, rate, 2))
    runs = {}
    for number in range(RUNS):
        for name, (requests, rate) in sets.items():
            before = cpu_seconds(process)
            taken, statuses = asyncio.run(open_loop(port, requests, rate, seconds))
            used = (cpu_seconds(process) - before) / len(taken) * 1000
            figures = {**quantiles(taken, statuses), "server_cpu_ms_per_request": used}
            runs.setdefault(name, []).append({"rate": rate, **figures})
        for name in ("trend", "trend_cached"):
            before = cpu_seconds(process)
            rate, answered = asyncio.run(closed_loop(port, sets[name][0], seconds))
            used = (cpu_seconds(process) - before) / len(answered) * 1000
            figures = {"requests_per_s": rate, "server_cpu_ms_per_request": used}
            failed = sum(status != 200 for status in answered)
            runs.setdefault(f"{name}_saturation", []).append(
                {"connections": CONNECTIONS, **figures, "failed": failed}
            )
        print(f"run {number + 1} of {RUNS}", {n: each[-1] for n, each in runs.items()}, flush=True)
    return {name: medians(each) for name, each in runs.items()}


def medians(runs):
    """The median of each figure; what is no number is that of the first run."""
    found = {}
    for name, first in runs[0].items():
        values = [run[name] for run in runs]
        found[name] = first if isinstance(first, dict) else round(float(np.median(values)), 2)
        if name in ("p95_ms", "p99_ms", "requests_per_s"):
            found[f"{name}_of_runs"] = [round(value, 2) for value in values]
    return found


def request_sets(key, settings):
    with connect(settings.require("database_url")) as conn:
        topics = [
            row[0]
            for row in conn.execute(
                "select distinct t.topic_id from ml.topics as t"
                " inner join ml.topic_assignments as a using (topic_id)"
                " inner join features.video_momentum as v on v.video_id = a.content_id"
                " where a.source = 'youtube' and t.status = 'active'"
                " and v.event_at > (select max(event_at) from features.video_momentum)"
                " - interval '2 days' order by 1"
            )
        ]
        videos = [
            row[0]
            for row in conn.execute(
                "select video_id from features.video_standing order by event_at desc, 1 limit 500"
            )
        ]
    from ml.features import open_store

    service = open_store(settings).get_feature_service("trend_video_v2")
    names = [
        f"{projection.name}:{feature.name}"
        for projection in service.feature_view_projections
        for feature in projection.features
    ]
    trend = [{"topic": topic} for topic in topics]
    chunks = [videos[i : i + 50] for i in range(0, len(videos) - 49, 50)]
    one = [{"features": names[:50], "entities": [video]} for video in videos]
    many = [{"features": names[:50], "entities": chunk} for chunk in chunks]
    unseen = [{"topic": f"never seen {number}"} for number in range(1000)]
    return len(topics), {
        "trend": ([http("predict/trend", body, key) for body in trend], 50),
        "trend_cached": ([http("predict/trend", body, key, cached=True) for body in trend], 50),
        "trend_unseen_topic": ([http("predict/trend", body, key) for body in unseen], 50),
        "features_1_row_50_features": ([http("features", body, key) for body in one], 50),
        "features_50_rows_50_features": ([http("features", body, key) for body in many], 5),
    }


def feast_alone(settings, videos=50):
    """What Feast itself takes for the rows of one and of 50 videos, in this process."""
    from ml.features import open_store

    store = open_store(settings)
    service = store.get_feature_service("trend_video_v2")
    with connect(settings.require("database_url")) as conn:
        ids = [
            row[0]
            for row in conn.execute("select video_id from features.video_standing limit %s", (50,))
        ]
    found = {}
    for count in (1, videos):
        rows, taken = [{"video_id": each} for each in ids[:count]], []
        for _ in range(20):
            start = time.perf_counter()
            store.get_online_features(features=service, entity_rows=rows).to_dict()
            taken.append(time.perf_counter() - start)
        found[f"{count}_rows_median_ms"] = round(float(np.median(taken)) * 1000, 2)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=6, help="of each run of a route")
    parser.add_argument("--topics", type=int, default=0, help="fill an empty platform with so many")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    settings = get_settings()
    key = settings.require("api_key")
    if options.topics:
        prepare(settings, options.topics)
    topics, sets = request_sets(key, settings)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    load_before = os.getloadavg()[0]
    started = time.monotonic()
    serve = [sys.executable, "-m", "ml.cli", "serve", "--port", str(port)]
    running = subprocess.Popen([*serve, "--workers", str(WORKERS)])
    try:
        process = psutil.Process(running.pid)
        while True:
            try:
                if httpx.get(f"http://127.0.0.1:{port}/ready").status_code == 200:
                    break
            except httpx.TransportError:
                pass
            assert running.poll() is None, "the API ended"
            time.sleep(0.1)
        ready_s = round(time.monotonic() - started, 1)
        print("ready after", ready_s, "s", flush=True)
        settle(process)
        found = measure(port, process, sets, options.seconds)
        resident = sum(p.memory_info().rss for p in [process, *process.children(recursive=True)])
    finally:
        running.terminate()
        running.wait(30)
    result = {
        **provenance(),
        "note": "other work ran on the machine, see load_1m; niced" if os.nice(0) else
        "see load_1m for what else ran on the machine",
        "load_1m": {"before": round(load_before, 2), "after": round(os.getloadavg()[0], 2)},
        "workers": WORKERS,
        "topics": topics,
        "ready_s": ready_s,
        "resident_mb": round(resident / 2**20),
        "routes": found,
        "feast_get_online_features": feast_alone(settings),
    }  # fmt: skip
    print(json.dumps(result, indent=1))
    if options.write:
        RESULTS.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
