"""The forecast of a topic, made of what is said of its videos."""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ml.serving.schemas import TrendRequest
from ml.serving.served import Served

HEADS = {"48h": "growth_48h", "7d": "growth_7d"}
_NO_PEAK = "no registered model forecasts the time of a peak"
_VIEWS_ONLY = "the model forecasts views alone"
_CALL = "trend_score, confidence and recommended_action are of the next 48 h"


@dataclass(frozen=True)
class Video:
    """What is said of one video.

    Attributes:
        views: None where only the batch is known.
        day: of its life, which the outcome is counted from; None where that is not known.
    """

    video_id: str
    probability: float
    breakout: float | None
    growth: Mapping[str, float]
    signals: tuple[tuple[str, float, bool], ...]
    views: float | None
    day: int | None = None


def topic_forecast(
    request: TrendRequest, served: Served, videos: Sequence[Video]
) -> dict[str, Any]:
    """The forecast of a topic, its moment and origin left open."""
    weights = [video.views if video.views is not None else 1.0 for video in videos]
    score = _mean([video.probability for video in videos], weights)
    sure = _mean([max(v.probability, 1 - v.probability) for v in videos], weights)
    breakouts = [video.breakout for video in videos if video.breakout is not None]
    reasons = {"predicted_peak": _NO_PEAK, "engagement_forecast.likes": _VIEWS_ONLY}
    reasons["engagement_forecast.comments"] = _VIEWS_ONLY
    views, why_not = _views(videos, request.timeframe)
    if why_not:
        reasons["engagement_forecast.views"] = why_not
    if not breakouts:
        reasons["viral_probability"] = "this version has no head for it"
    reasons |= _not_used(request)
    leading = max(videos, key=lambda video: video.views or 0)
    volume = int(sum(video.views or 0 for video in videos))
    return {
        "prediction_id": str(uuid.uuid4()),
        "trend_score": score,
        "confidence": sure,
        "viral_probability": max(breakouts, default=None),
        "predicted_peak": None,
        "engagement_forecast": {"views": views, "likes": None, "comments": None},
        "recommended_action": recommended(
            score, request.confidence_threshold, served.run.decision_threshold
        ),
        "supporting_signals": [
            {
                "source": "youtube",
                "strength": round(share, 4),
                "volume": volume,
                "feature": feature,
                "raises": raises,
            }
            for feature, share, raises in leading.signals
        ],
        "metadata": {
            "model": served.release.name,
            "model_version": served.release.version,
            "videos": len(videos),
            "reasons": reasons,
        },
    }


def recommended(score: float, wanted: float, decision: float) -> str:
    """What to do: at once where the caller's threshold is met, soon where the model's is.

    Below the model's own decision threshold a topic is watched down to half of it.
    """
    if score >= max(wanted, decision):
        return "create_immediately"
    if score >= decision:
        return "create_soon"
    return "monitor" if score >= decision / 2 else "skip"


def _views(videos: Sequence[Video], timeframe: str) -> tuple[int | None, str]:
    head = HEADS.get(timeframe)
    if head is None:
        return None, f"no head of the model forecasts {timeframe}; 48h and 7d are"
    if any(video.views is None for video in videos):
        return None, "a batch prediction does not hold the views"
    if any(head not in video.growth for video in videos):
        return None, f"this version has no head for {timeframe}"
    return round(sum((v.views or 0) * math.exp(v.growth[head]) for v in videos)), ""


def _not_used(request: TrendRequest) -> dict[str, str]:
    """What was asked and does not enter."""
    reasons = {}
    if request.timeframe != "48h":
        reasons["timeframe"] = _CALL
    others = sorted(set(request.data_sources) - {"youtube"})
    if others:
        reasons["data_sources"] = f"no registered model reads {', '.join(others)}"
    for name in ("niche", "channel_context"):
        if getattr(request, name) is not None:
            reasons[name] = "no input of the registered model"
    return reasons


def _mean(values: Sequence[float], weights: Sequence[float]) -> float:
    total = sum(weights)
    if total <= 0:
        return sum(values) / len(values)
    mean = sum(v * w for v, w in zip(values, weights, strict=True)) / total
    return min(max(mean, 0.0), 1.0)
