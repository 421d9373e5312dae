"""Everything that routes need, opened once per process and closed in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.requests import HTTPConnection

from ml.registry.releases import Release
from ml.serving import metrics
from ml.serving.cache import AnswerCache
from ml.serving.catalog import REFRESH_S, Catalog
from ml.serving.champions import Champions
from ml.serving.jobs import Jobs
from ml.serving.online import OnlineReader
from ml.serving.recommendations import Popular, popular
from ml.serving.records import Recorder
from ml.serving.trend import TrendEngine, forecaster
from ml.settings import Settings

log = logging.getLogger(__name__)

_REDIS_S = 2.0
_SWITCH_S = 0.0005


@dataclass(frozen=True)
class Services:
    """What a request may use."""

    settings: Settings
    champions: Champions
    reader: OnlineReader
    catalog: Catalog
    recorder: Recorder
    trend: TrendEngine
    jobs: Jobs


async def services(connection: HTTPConnection) -> Services:
    """The services of the application that a request or a WebSocket came to."""
    found: Services = connection.app.state.services
    return found


@contextlib.asynccontextmanager
async def opened(app: FastAPI, settings: Settings) -> AsyncIterator[None]:
    """Open the services for the life of the application.

    Models and definitions are loaded behind it: the process answers `/health` at once and says on
    `/ready` what is still missing. At the end requests have been answered, so what is left is to
    write the last predictions.
    """
    from redis.asyncio import Redis

    # Threads read the catalogue and load models meanwhile; by default each step of a request would
    # wait 5 ms for one of them.
    sys.setswitchinterval(_SWITCH_S)
    redis = Redis.from_url(
        settings.require("redis_url"),
        socket_timeout=_REDIS_S,
        socket_connect_timeout=_REDIS_S,
        max_connections=64,
    )
    reader = OnlineReader(settings, redis)
    champions = Champions(
        settings,
        {
            "trend_video": partial(forecaster, reader),
            "quality_policy": _policy,
            "audience_preference": _audience,
        },
    )
    catalog, recorder = Catalog(settings), Recorder(settings)
    engine = TrendEngine(champions, reader, catalog, AnswerCache(redis), recorder)
    jobs = Jobs(settings)
    app.state.services = Services(settings, champions, reader, catalog, recorder, engine, jobs)
    tasks = [
        asyncio.create_task(_kept_running(name, work))
        for name, work in (
            ("champions", champions.watch()),
            ("catalogue", catalog.watch()),
            ("records", recorder.run()),
            ("figures", _show_figures(catalog)),
        )
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await jobs.close()
        await recorder.close()
        await redis.aclose()


async def _kept_running(name: str, work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except asyncio.CancelledError:
        raise
    except Exception:
        log.exception("%s ended; restart the API", name)
        raise


async def _show_figures(catalog: Catalog) -> None:
    while True:
        metrics.show_figures(catalog.now.performance, catalog.now.business)
        await asyncio.sleep(REFRESH_S)


def _policy(model: Any, _folder: Path, _release: Release) -> Any:
    """Use the model once: the sentence encoder is loaded at the first text."""
    from ml.quality.policy.predict import score_texts

    run = partial(score_texts, model)
    run(["warm"])
    return run


def _audience(model: Any, _folder: Path, _release: Release) -> Popular:
    return popular(model)
