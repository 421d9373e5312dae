"""`/predict/*`, `/score/quality` and `/recommend`: what models say."""

from __future__ import annotations

import asyncio
import json
import math
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Response

from ml.serving.recommendations import NAME as AUDIENCE
from ml.serving.recommendations import recommendations
from ml.serving.records import Record, as_json
from ml.serving.schemas import (
    QualityAnswer,
    QualityRequest,
    QualityScore,
    RecommendAnswer,
    RecommendRequest,
    TrendPrediction,
    TrendRequest,
    VideoPrediction,
    VideoRequest,
)
from ml.serving.security import Caller, require
from ml.serving.served import Served
from ml.serving.services import Services, services

router = APIRouter(tags=["predictions"])
Api = Annotated[Services, Depends(services)]
May = Annotated[Caller, Depends(require("predict"))]
_POLICY_S = 30.0
_NO_ENGAGEMENT = "no model of engagement is registered"
# More at once would only share the same cores, and hold up everything else.
_texts_at_once = asyncio.Semaphore(2)

_TREND_EXAMPLE = {
    "prediction_id": "8b1b2b1e-7f0a-4a52-9d7e-0d0c0b1a2f3e",
    "trend_score": 0.92,
    "confidence": 0.92,
    "viral_probability": 0.11,
    "predicted_peak": None,
    "engagement_forecast": {"views": 150000, "likes": None, "comments": None},
    "recommended_action": "create_immediately",
    "supporting_signals": [
        {
            "source": "youtube",
            "strength": 0.31,
            "volume": 120000,
            "feature": "log_growth_1d",
            "raises": True,
        }
    ],
    "metadata": {
        "model": "trend_video",
        "model_version": "1.0.0",
        "inference_time_ms": 3.1,
        "timestamp": "2026-01-10T10:00:00Z",
        "source": "online",
        "as_of": "2026-01-10T05:00:00Z",
        "videos": 3,
        "cached": False,
        "reasons": {"predicted_peak": "no registered model forecasts the time of a peak"},
    },
}
_VIDEO_EXAMPLE = {
    "prediction_id": "8b1b2b1e-7f0a-4a52-9d7e-0d0c0b1a2f3e",
    "video_id": "dQw4w9WgXcQ",
    "probability": 0.8,
    "rising": True,
    "growth_threshold": 0.32,
    "model": "trend_video",
    "model_version": "1.0.0",
    "source": "online",
    "as_of": "2026-01-10T05:00:00Z",
}
_QUALITY_EXAMPLE = {
    "prediction_id": "8b1b2b1e-7f0a-4a52-9d7e-0d0c0b1a2f3e",
    "scores": [
        {
            "clickbait": 0.97,
            "spam": 0.03,
            "toxicity": 0.01,
            "readability": 80.3,
            "coherence": None,
            "engagement": None,
        }
    ],
    "model": "quality_policy",
    "model_version": "1.0.0",
    "reasons": {"engagement": _NO_ENGAGEMENT},
}
_RECOMMEND_EXAMPLE = {
    "segments": [
        {
            "segment_id": "US/gaming/en",
            "source": "batch",
            "as_of": "2026-01-10T05:00:00Z",
            "topics": [{"topic_id": "t_2669c87c266b2d33", "rank": 1, "score": 1.7}],
        }
    ],
    "model": "audience_preference",
    "model_version": "1.0.0",
}


def example(value: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route with an example."""
    return {200: {"content": {"application/json": {"example": value}}}}


@router.post("/predict/trend", response_model=TrendPrediction, responses=example(_TREND_EXAMPLE))
async def predict_trend(
    body: TrendRequest,
    api: Api,
    caller: May,
    cache_control: Annotated[str, Header(max_length=100)] = "",
) -> Response:
    """Whether a topic rises, made of its videos on the charts.

    An answer is kept for as long as model and features stay; `Cache-Control: no-cache` asks for a
    new one. A topic that is not known, or of whose videos neither features nor a batch prediction
    are there, is a 422.
    """
    answer = await api.trend.topic(body, caller.id, cached="no-cache" not in cache_control)
    return _json(answer)


@router.post("/predict/video", response_model=VideoPrediction, responses=example(_VIDEO_EXAMPLE))
async def predict_video(body: VideoRequest, api: Api, caller: May) -> Response:
    """Whether the views of one video keep rising over 48 hours."""
    return _json(await api.trend.video(body.video_id, caller.id))


@router.post("/score/quality", responses=example(_QUALITY_EXAMPLE))
async def score_quality(body: QualityRequest, api: Api, caller: May) -> QualityAnswer:
    """Clickbait, spam and toxicity of texts, and how they read."""
    served, rows, latency_ms = await score_texts(api, caller, "quality_policy", body.texts)
    scores = [QualityScore(**row, engagement=None) for row in rows]
    shown = {"scores": [score.model_dump() for score in scores]}
    prediction_id = record_texts(
        api, served, "score/quality", {"texts": body.texts}, shown, latency_ms
    )
    return QualityAnswer(
        prediction_id=prediction_id,
        scores=scores,
        model=served.release.name,
        model_version=served.release.version,
        reasons={"engagement": _NO_ENGAGEMENT},
    )


async def score_texts(
    api: Services, caller: Caller, model: str, texts: Sequence[str]
) -> tuple[Served, list[dict[str, Any]], int]:
    """The version that answers a caller, what it says of each text, and the milliseconds it took.

    Raises:
        NotServedError: if the model has no champion.
        TimeoutError: if the machine has too much to do.
    """
    started = asyncio.get_running_loop().time()
    served = api.champions.get(model, caller.id)
    async with asyncio.timeout(_POLICY_S), _texts_at_once:
        frame = await asyncio.to_thread(served.run, texts)
    rows = [
        {str(name): None if value != value else value for name, value in row.items()}
        for row in frame.to_dict("records")
    ]
    return served, rows, math.ceil((asyncio.get_running_loop().time() - started) * 1000)


def record_texts(
    api: Services,
    served: Served,
    kind: str,
    inputs: dict[str, Any],
    prediction: dict[str, Any],
    latency_ms: int,
) -> str:
    """Record a prediction about texts, and return its id."""
    prediction_id = str(uuid.uuid4())
    api.recorder.add(
        Record(
            id=prediction_id,
            model_id=served.row_id,
            prediction_type=kind,
            entity_id=None,
            input_data=as_json(inputs),
            prediction=as_json(prediction),
            confidence=None,
            latency_ms=latency_ms,
            created_at=datetime.now(UTC).isoformat(),
            metadata=as_json({"version": served.release.version}),
        )
    )
    return prediction_id


@router.post("/recommend", responses=example(_RECOMMEND_EXAMPLE))
async def recommend(body: RecommendRequest, api: Api, caller: May) -> RecommendAnswer:
    """Topics for viewer segments, of those that lists show now."""
    served = api.champions.get(AUDIENCE, caller.id)
    current = {topic.topic_id for topic in api.catalog.now.topics.values()}
    return await asyncio.to_thread(
        recommendations, body.segments, body.k, served, current, api.settings
    )


def _json(answer: dict[str, Any]) -> Response:
    return Response(json.dumps(answer, separators=(",", ":")), media_type="application/json")
