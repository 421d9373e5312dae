"""Prometheus metrics of the API, added up over its workers.

Latency quantiles, throughput and error rate are made of these by the rules in
`docker/prometheus/rules.yaml`, under the names of the reference.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import psutil
from prometheus_client import REGISTRY as _OWN
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
    values,
)
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)

LATENCY = Histogram(
    "ytempire_request_seconds", "Time to answer, by route", ["route"], buckets=_BUCKETS
)
REQUESTS = Counter("ytempire_requests", "Answers, by route and status", ["route", "status"])
RECORDED = Counter("ytempire_predictions_recorded", "Predictions written to Postgres")
SHED = Counter(
    "ytempire_predictions_shed", "Predictions dropped: too many waited, or Postgres refuses them"
)
FALLBACKS = Counter("ytempire_batch_fallbacks", "Answers made of batch predictions")
CACHE = Counter("ytempire_cache", "Look-ups of answers, by outcome", ["outcome"])
SHADOW = Counter(
    "ytempire_shadow_answers",
    "Answers of a shadow: whether its call agrees with that of the version that answered",
    ["model", "outcome"],
)
SHADOW_DISTANCE = Histogram(
    "ytempire_shadow_distance", "Distance of a shadow's probability from the answer's", ["model"],
    buckets=(0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1),
)  # fmt: skip
SHADOW_LATENCY = Histogram(
    "ytempire_shadow_seconds", "Time of a shadow to answer", ["model"], buckets=_BUCKETS
)

_BY_MODEL = {
    name: Gauge(name, f"{text}, of the last measurement", ["model"], multiprocess_mode="mostrecent")
    for name, text in {
        "accuracy": "Share of right calls",
        "precision": "Share of right ones among the positive calls",
        "recall": "Share of the positives that were called",
        "f1_score": "Harmonic mean of precision and recall",
        "prediction_drift": "Share of what is watched that has drifted",
    }.items()
}
_BUSINESS = {
    name: Gauge(name, text, multiprocess_mode="mostrecent")
    for name, text in {
        "videos_generated": "Videos that were generated",
        "cost_per_video": "Mean cost of a video, dollars",
        "quality_pass_rate": "Share of videos that passed the gate",
        "api_costs": "What providers were paid, dollars",
    }.items()
}
CPU = Gauge("cpu_utilization", "Share of one core, of all workers", multiprocess_mode="livesum")
MEMORY = Gauge("memory_used", "Resident bytes of all workers", multiprocess_mode="livesum")
DISK = Gauge("disk_io", "Bytes read and written by live workers", multiprocess_mode="livesum")
_PROCESS = psutil.Process()


def exposition() -> bytes:
    """All metrics in Prometheus' text format, of every worker if there are several."""
    MEMORY.set(_PROCESS.memory_info().rss)
    CPU.set(_PROCESS.cpu_percent() / 100)
    counters = _PROCESS.io_counters()
    DISK.set(counters.read_bytes + counters.write_bytes)
    if values.ValueClass is values.MutexValue:  # no directory is shared: one process
        return generate_latest(_OWN)
    registry = CollectorRegistry()
    collector: Callable[[CollectorRegistry], Any] = multiprocess.MultiProcessCollector
    collector(registry)
    return generate_latest(registry)


def show_figures(
    performance: Iterable[Mapping[str, Any]], business: Mapping[str, float | None]
) -> None:
    """Take over figures that Postgres holds; one that is not known is not shown."""
    for row in performance:
        for name, gauge in _BY_MODEL.items():
            if row[name] is not None:
                gauge.labels(row["model"]).set(row[name])
    for name, figure in _BUSINESS.items():
        if (value := business.get(name)) is not None:
            figure.set(value)


class Measured:
    """Counts and times every request by the template of its route, never by its path."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, noted)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            LATENCY.labels(route).observe(time.perf_counter() - started)
            REQUESTS.labels(route, str(status)).inc()
