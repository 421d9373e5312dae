"""`/health`, `/ready`, `/metrics`: for those who run it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from ml.serving import metrics
from ml.serving.model_schemas import Health, Readiness, ServedState
from ml.serving.security import Caller, require
from ml.serving.services import Services, services
from ml.serving.trend import NAME

router = APIRouter(tags=["operations"])
_HEALTHY = {"status": "ok"}
_READY = {
    "ready": True,
    "models": [
        {
            "name": NAME,
            "model_id": "trend_video_v1.0.0",
            "loaded_at": "2026-01-10T10:00:00Z",
            "canary": None,
            "problem": None,
        }
    ],
    "problems": {},
}


@router.get("/health", responses={200: {"content": {"application/json": {"example": _HEALTHY}}}})
async def health() -> Health:
    """Whether the process runs."""
    return Health(status="ok")


@router.get(
    "/ready",
    response_model=Readiness,
    responses={
        200: {"content": {"application/json": {"example": _READY}}},
        503: {"model": Readiness, "description": "It cannot forecast yet"},
    },
)
async def ready(api: Annotated[Services, Depends(services)]) -> Response:
    """Whether forecasts can be made, and what is missing or stale."""
    states = [ServedState(**state) for state in api.champions.state()]
    problems = {state.name: state.problem for state in states if state.problem}
    if api.catalog.problem:
        problems["catalogue"] = api.catalog.problem
    if api.jobs.problem:
        problems["airflow"] = api.jobs.problem
    is_ready = any(state.name == NAME and state.model_id for state in states)
    is_ready = is_ready and api.catalog.now.as_of is not None
    body = Readiness(ready=is_ready, models=states, problems=problems)
    return Response(body.model_dump_json(), 200 if is_ready else 503, media_type="application/json")


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"example": 'accuracy{model="trend_video"} 0.87'}}}},
)
def prometheus(_caller: Annotated[Caller, Depends(require("metrics"))]) -> Response:
    """Figures in Prometheus' text format, of all workers."""
    return Response(metrics.exposition(), media_type=metrics.CONTENT_TYPE)
