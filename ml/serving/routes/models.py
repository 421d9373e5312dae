"""`/models`: what is registered, how it does, and loading a version."""

from __future__ import annotations

import asyncio
import re
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from ml.exceptions import FatalError
from ml.serving.champions import SERVED
from ml.serving.figures import listed_models, model_metrics
from ml.serving.model_schemas import (
    ModelList,
    ModelMetrics,
    Period,
    ReloadAnswer,
    ReloadRequest,
    ServedState,
)
from ml.serving.routes.predictions import Api, example
from ml.serving.security import ApiError, Caller, require

router = APIRouter(tags=["models"])
# What the reference calls an id: `trend_video_v1.0.0`; the name alone is the one that serves.
_ID = re.compile(r"(?P<name>[a-z][a-z0-9_-]*?)(?:_v(?P<version>\d+\.\d+\.\d+))?")
ModelId = Annotated[
    str,
    Path(
        pattern=r"^[a-z][a-z0-9_-]*(_v\d+\.\d+\.\d+)?$",
        max_length=120,
        examples=["trend_video_v1.0.0"],
    ),
]
_LIST_EXAMPLE = {
    "models": [
        {
            "model_id": "trend_video_v1.0.0",
            "type": "xgboost",
            "version": "1.0.0",
            "status": "active",
            "deployed_at": "2026-01-10T10:00:00Z",
            "metrics": {"accuracy": 0.89, "latency_p95_ms": 6, "requests_24h": 15000},
            "serving": True,
        }
    ],
    "total": 1,
    "served": [
        {
            "name": "trend_video",
            "model_id": "trend_video_v1.0.0",
            "loaded_at": "2026-01-10T10:00:00Z",
            "canary": None,
            "problem": None,
        }
    ],
}
_METRICS_EXAMPLE = {
    "model_id": "trend_video_v1.0.0",
    "period": "24h",
    "metrics": {
        "performance": {"accuracy": 0.87, "precision": 0.86, "recall": 0.9, "f1_score": 0.88},
        "operational": {
            "requests": 15000,
            "errors": None,
            "error_rate": None,
            "latency": {"p50_ms": 3, "p95_ms": 6, "p99_ms": 9},
        },
        "cost": {"compute_cost": None, "api_cost": 0.0, "total_cost": None},
        "drift": {"feature_drift": 0.02, "prediction_drift": None, "alert_triggered": False},
    },
    "reasons": {"cost.compute_cost": "nobody bills the machine by model"},
}
_RELOAD_EXAMPLE = {
    "status": "success",
    "model_id": "trend_video_v1.1.0",
    "loaded_at": "2026-01-10T10:00:00Z",
    "validation_passed": True,
    "canary_enabled": True,
}


@router.get("/models", responses=example(_LIST_EXAMPLE))
async def models(
    api: Api, _caller: Annotated[Caller, Depends(require("models:read"))]
) -> ModelList:
    """Every registered version, newest first, and what this process answers with."""
    served = [ServedState(**state) for state in api.champions.state()]
    ids = {state.model_id for state in served}
    listed = await asyncio.to_thread(listed_models, ids, api.settings)
    return ModelList(models=listed, total=len(listed), served=served)


@router.get(
    "/models/{model_id}/metrics",
    responses={
        **example(_METRICS_EXAMPLE),
        404: {"description": "The registry has no such version"},
    },
)
async def metrics(
    model_id: ModelId,
    api: Api,
    _caller: Annotated[Caller, Depends(require("models:read"))],
    period: Annotated[Period, Query()] = "24h",
) -> ModelMetrics:
    """How a version does. The name alone is the version that serves."""
    name, version = _parts(model_id)
    found = await asyncio.to_thread(model_metrics, name, version, period, api.settings)
    if found is None:
        raise ApiError(404, "not_found", f"no model {model_id!r} is registered")
    return found


@router.post(
    "/models/{model_id}/reload",
    responses={
        **example(_RELOAD_EXAMPLE),
        404: {"description": "The registry has no such version"},
        409: {"description": "The version is not the champion, and no canary is asked for"},
    },
)
async def reload(
    model_id: ModelId,
    body: ReloadRequest,
    api: Api,
    _caller: Annotated[Caller, Depends(require("models:admin"))],
) -> ReloadAnswer:
    """Load a registered version: the champion at once, another for a share of the callers.

    It moves no alias: who becomes champion is decided by the gates of the registry. A canary ends
    by a call with another version, with 0 %, or when its version becomes champion.
    """
    name, _ = _parts(model_id)
    if name not in SERVED:
        raise ApiError(404, "not_found", f"{name!r} is not loaded here; {', '.join(SERVED)} are")
    try:
        release = await asyncio.to_thread(api.champions.candidate, name, body.version)
    except FatalError as error:
        raise ApiError(404, "not_found", str(error)) from error
    own = f"models:/{name}/{release.mlflow_version}"
    if body.source not in (None, own):
        raise ApiError(422, "foreign_source", f"models come from the registry alone: {own}")
    if not release.is_champion and not body.canary_percentage:
        raise ApiError(
            409,
            "not_champion",
            f"{name} {release.version} is not the champion; ask for a canary_percentage or"
            " promote it",
        )
    try:
        served = await asyncio.to_thread(
            api.champions.reload, release, 0 if release.is_champion else body.canary_percentage
        )
    except FatalError as error:
        raise ApiError(422, "validation_failed", str(error)) from error
    reasons = {}
    if not body.validate_:
        reasons["validate"] = "a version is always checked before it is loaded"
    if release.is_champion and body.canary_percentage:
        reasons["canary_percentage"] = "it is the champion, and answers everybody"
    return ReloadAnswer(
        status="success",
        model_id=served.model_id,
        loaded_at=served.loaded_at,
        validation_passed=True,
        canary_enabled=api.champions.canary(name) is not None,
        reasons=reasons,
    )


def _parts(model_id: str) -> tuple[str, str | None]:
    match = _ID.fullmatch(model_id)
    if match is None:
        raise ApiError(404, "not_found", f"{model_id!r} is no model's id")
    return match["name"], match["version"]
