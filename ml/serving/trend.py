"""Forecasts of topics and videos: `trend_video` on online features, or its last batch prediction.

A topic is forecast by its videos on the charts. A video whose features are missing or too old is
left out; when none is left, the last batch prediction answers and is labelled so; without that the
request is refused. Nothing is filled in.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ml.exceptions import MissingFeatureError, ServiceUnavailableError
from ml.registry.releases import Release
from ml.serving import metrics
from ml.serving.batching import Batcher
from ml.serving.cache import AnswerCache, cache_key
from ml.serving.catalog import Catalog, Topic
from ml.serving.champions import Champions
from ml.serving.forecasts import HEADS, Video, topic_forecast
from ml.serving.layouts import Layout, Row
from ml.serving.online import OnlineReader
from ml.serving.records import Record, Recorder, as_json
from ml.serving.schemas import TrendRequest
from ml.serving.scoring import Score, Scorer
from ml.serving.served import Served

log = logging.getLogger(__name__)

NAME = "trend_video"
_MOST_VIDEOS = 20
_AT_ONCE = 256
_Why = MissingFeatureError | ServiceUnavailableError


@dataclass(frozen=True)
class Forecaster:
    """A loaded version: where its features lie, and its forests for all who ask at once."""

    layout: Layout
    score: Batcher[Mapping[str, Any], Score]
    growth_threshold: float
    decision_threshold: float


def forecaster(reader: OnlineReader, model: Any, folder: Path, release: Release) -> Forecaster:
    """Make a loaded model ready, and use it once on its own example.

    Raises:
        FatalError: if its columns or its predictions are not those of this server.
    """
    scorer = Scorer(model)
    scorer.check(model, folder / "input_example.json")

    async def run(rows: Sequence[Mapping[str, Any]]) -> list[Score]:
        return scorer(rows)

    return Forecaster(
        layout=reader.service(release.tags["feature_service"]),
        score=Batcher(run, _AT_ONCE),
        growth_threshold=float(release.tags["growth_threshold"]),
        decision_threshold=float(release.tags["decision_threshold"]),
    )


class TrendEngine:
    """Answers of `/predict/trend` and `/predict/video`."""

    def __init__(
        self,
        champions: Champions,
        reader: OnlineReader,
        catalog: Catalog,
        cache: AnswerCache,
        recorder: Recorder,
    ) -> None:
        self._champions = champions
        self._reader = reader
        self._catalog = catalog
        self._cache = cache
        self._recorder = recorder
        self._beside: set[asyncio.Task[None]] = set()

    async def topic(self, request: TrendRequest, caller: str, *, cached: bool) -> dict[str, Any]:
        """Forecast a topic.

        Args:
            request: a valid one.
            caller: id of who asks, for the canary.
            cached: whether an answer that was computed before will do.

        Raises:
            MissingFeatureError: if the topic or the features of all its videos are not known.
            NotServedError: if there is no champion.
        """
        started = time.perf_counter()
        served = self._champions.get(NAME, caller)
        topic = self._topic(request)
        rows, why = await self._rows(served.run.layout, topic.videos[:_MOST_VIDEOS], topic.label)

        async def compute() -> dict[str, Any]:
            videos, source, as_of = await self._videos(served, rows, topic.videos, why)
            self._ask_beside(caller, rows, videos, served)
            answer = topic_forecast(request, served, videos)
            answer["metadata"] |= {"source": source, "as_of": as_of}
            if left := len(topic.videos[:_MOST_VIDEOS]) - len(videos):
                answer["metadata"]["reasons"]["videos"] = f"{left} left out, features missing"
            inputs = {
                "request": request.model_dump(exclude_none=True),
                "topic_id": topic.topic_id,
                "videos": [video.video_id for video in videos],
            }
            return self._record(served, "predict/trend", topic.topic_id, inputs, answer, started)

        wanted = request.model_dump() | {"topic": topic.topic_id}
        key = cache_key("trend", wanted, served.model_id, [row.stamp for row in rows])
        found = False
        if cached and rows:
            answer, found = await self._cache.get(key, compute)
        else:
            answer = await compute()
        return _stamped(answer, started, cached=found)

    async def video(self, video_id: str, caller: str) -> dict[str, Any]:
        """Score one video.

        Raises:
            MissingFeatureError: if neither its features nor a batch prediction are known.
            NotServedError: if there is no champion.
        """
        started = time.perf_counter()
        served = self._champions.get(NAME, caller)
        rows, why = await self._rows(served.run.layout, [video_id], f"video {video_id}")
        videos, source, as_of = await self._videos(served, rows, [video_id], why)
        (said,) = videos
        self._ask_beside(caller, rows, videos, served)
        answer = {
            "prediction_id": str(uuid.uuid4()),
            "video_id": video_id,
            "probability": said.probability,
            "rising": said.probability >= served.run.decision_threshold,
            "growth_threshold": served.run.growth_threshold,
            "model": NAME,
            "model_version": served.release.version,
            "source": source,
            "as_of": as_of,
        }
        inputs = {"video_id": video_id, "day_number": said.day}
        return self._record(served, "predict/video", video_id, inputs, answer, started)

    def _topic(self, request: TrendRequest) -> Topic:
        if "youtube" not in request.data_sources:
            raise MissingFeatureError(
                "the registered model reads youtube alone; add it to data_sources"
            )
        topic = self._catalog.topic(request.topic)
        if topic is None:
            raise MissingFeatureError(
                f"no topic of the last 7 days has the id, name or key phrase {request.topic!r}"
            )
        if not topic.videos:
            raise MissingFeatureError(f"no video of {topic.label!r} is on the charts")
        return topic

    async def _rows(
        self, layout: Layout, video_ids: Sequence[str], what: str
    ) -> tuple[list[Row], _Why]:
        """The videos with all features, and why the others have none."""
        try:
            rows = await self._reader.read(layout, video_ids)
        except ServiceUnavailableError as error:
            return [], error
        as_of = self._catalog.now.as_of
        usable: list[Row] = []
        why = MissingFeatureError(f"{what} has no features")
        for row in rows:
            if missing := row.missing(as_of):
                more = " and others" if len(missing) > 5 else ""
                named = f"{', '.join(missing[:5])}{more}"
                why = MissingFeatureError(f"{what} has no {named} in the online store")
            else:
                usable.append(row)
        return usable, why

    async def _videos(
        self,
        served: Served,
        rows: Sequence[Row],
        video_ids: Sequence[str] = (),
        why: _Why | None = None,
    ) -> tuple[list[Video], str, str | None]:
        """Scores, where they come from, and of when."""
        if not rows and why:
            return self._from_batch(served, video_ids[:_MOST_VIDEOS], why)
        values = [row.values() for row in rows]
        try:
            scores = await served.run.score(values)
        except Exception as error:
            self._recorder.failed(served.row_id, NAME, error)
            raise
        videos = [
            Video(
                row.entity_id, score.probability, score.breakout, score.growth,
                score.signals, float(value["views"]), _day(value),
            )
            for row, value, score in zip(rows, values, scores, strict=True)
        ]  # fmt: skip
        # Views that do not age say nothing about when this was seen.
        moving = [name for name, ttl in served.run.layout.views if ttl]
        times = [seen for row in rows for name in moving if (seen := row.event_times()[name])]
        return videos, "online", min(times).isoformat() if times else None

    def _ask_beside(
        self, caller: str, rows: Sequence[Row], said: Sequence[Video], served: Served
    ) -> None:
        """Ask a shadow too, if there is one: it costs the caller no time."""
        shadow = self._champions.shadow(NAME, caller)
        if shadow is None or not rows or shadow.run.layout != rows[0].layout:
            return
        limit = served.run.decision_threshold
        answered = {video.video_id: (video.probability, limit) for video in said}
        task = asyncio.create_task(self._record_shadow(shadow, rows, answered))
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)

    async def _record_shadow(
        self, shadow: Served, rows: Sequence[Row], answered: Mapping[str, tuple[float, float]]
    ) -> None:
        started = time.perf_counter()
        try:
            videos, _, _ = await self._videos(shadow, rows)
        except Exception:
            log.warning("the shadow %s does not answer", shadow.model_id, exc_info=True)
            metrics.SHADOW.labels(shadow.model_id, "failed").inc()
            return
        seconds = time.perf_counter() - started
        metrics.SHADOW_LATENCY.labels(shadow.model_id).observe(seconds)
        latency = math.ceil(seconds * 1000)
        for video in videos:
            rising = video.probability >= shadow.run.decision_threshold
            given, limit = answered[video.video_id]
            agreed = "agrees" if rising == (given >= limit) else "differs"
            metrics.SHADOW.labels(shadow.model_id, agreed).inc()
            metrics.SHADOW_DISTANCE.labels(shadow.model_id).observe(abs(video.probability - given))
            inputs = {"video_id": video.video_id, "day_number": video.day, "source": "online"}
            said = {
                "probability": video.probability,
                "rising": rising,
                "growth_threshold": shadow.run.growth_threshold,
            }
            self._recorder.add(
                Record(
                    id=str(uuid.uuid4()),
                    model_id=shadow.row_id,
                    prediction_type="predict/video",
                    entity_id=video.video_id,
                    input_data=as_json(inputs),
                    prediction=as_json(said),
                    confidence=round(video.probability, 4),
                    latency_ms=latency,
                    created_at=datetime.now(UTC).isoformat(),
                    metadata=as_json({"version": shadow.release.version, "shadow": True}),
                )
            )

    def _from_batch(
        self, served: Served, video_ids: Sequence[str], why: _Why
    ) -> tuple[list[Video], str, str | None]:
        batch = self._catalog.now.batch
        known = {each: batch[each] for each in video_ids if each in batch}
        # Another version's answer would be passed off as this one's.
        known = {name: said for name, said in known.items() if said.model_row == served.row_id}
        if not known:
            # What is away is no fault of the request.
            raise type(why)(f"{why}; and the last batch did not score it")
        metrics.FALLBACKS.inc()
        videos = [
            Video(
                name,
                said.prediction["probability"],
                said.prediction.get("breakout_probability"),
                {
                    head: value
                    for head in HEADS.values()
                    if (value := said.prediction.get(f"{head}_point")) is not None
                },
                (),
                None,
                said.day,
            )
            for name, said in known.items()
        ]
        return videos, "batch", max(said.as_of for said in known.values()).isoformat()

    def _record(
        self,
        served: Served,
        kind: str,
        entity: str,
        inputs: Mapping[str, Any],
        answer: dict[str, Any],
        started: float,
    ) -> dict[str, Any]:
        score = answer.get("confidence") or answer.get("probability")
        self._recorder.add(
            Record(
                id=answer["prediction_id"],
                model_id=served.row_id,
                prediction_type=kind,
                entity_id=entity,
                input_data=as_json(
                    {
                        **inputs,
                        "feature_event_at": _of(answer, "as_of"),
                        "source": _of(answer, "source"),
                    }
                ),
                prediction=as_json(answer),
                confidence=None if score is None else round(score, 4),
                latency_ms=math.ceil((time.perf_counter() - started) * 1000),
                created_at=datetime.now(UTC).isoformat(),
                metadata=as_json({"version": served.release.version}),
            )
        )
        return answer


def _day(values: Mapping[str, Any]) -> int | None:
    """Day of a video's life that its features are of, counted as the outcomes are."""
    day = values.get("day_number")
    return None if day is None else int(day)


def _of(answer: Mapping[str, Any], name: str) -> Any:
    return answer.get("metadata", answer)[name]


def _stamped(answer: dict[str, Any], started: float, *, cached: bool) -> dict[str, Any]:
    metadata = answer["metadata"] | {
        "inference_time_ms": round((time.perf_counter() - started) * 1000, 3),
        "timestamp": datetime.now(UTC).isoformat(),
        "cached": cached,
    }
    return {**answer, "metadata": metadata}
