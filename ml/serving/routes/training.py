"""`/train`: trainings that a caller starts in Airflow and follows."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, WebSocket

from ml.serving.job_schemas import (
    ModelType,
    TrainAnswer,
    TrainArtifacts,
    TrainMetrics,
    TrainRequest,
    TrainStatus,
)
from ml.serving.job_store import Job
from ml.serving.routes import work_examples as examples
from ml.serving.routes.predictions import Api
from ml.serving.routes.work import Follow, JobId, own_job, send_events, state_of
from ml.serving.security import ApiError, Caller, require
from ml.serving.services import Services, services
from ml.serving.trainings import DAGS, experiment_url, test_figures, usual_seconds

router = APIRouter(tags=["training"])
Trainer = Annotated[Caller, Depends(require("train"))]
_NO_EPOCHS = "no model here is trained by epochs that it reports"


@router.post(
    "/train/{model_type}",
    responses={200: {"content": {"application/json": {"example": examples.TRAIN}}}},
)
async def train(
    model_type: Annotated[ModelType, Path(examples=["trend_predictor"])],
    body: TrainRequest,
    api: Api,
    caller: Trainer,
    following: Follow,
) -> TrainAnswer:
    """Start the training of a model on what the platform holds now.

    Whether the version that comes of it serves is decided by the gates of the registry. Without
    news since the last one, the version that exists is the answer.
    """
    if body.model_type not in (None, model_type):
        raise ApiError(
            422, "invalid_request", f"the path says {model_type}, the body {body.model_type}"
        )
    dag_id = DAGS[model_type]
    request = body.model_dump(mode="json", exclude_none=True) | {"model_type": model_type}
    job = await api.jobs.submit("train", dag_id, caller.id, request, following.idempotency_key)
    if job.request != request:
        raise ApiError(422, "idempotency_key_reused", "the key was used with another request")
    usual, tracking = await asyncio.gather(
        asyncio.to_thread(usual_seconds, dag_id, api.settings),
        asyncio.to_thread(experiment_url, api.settings),
    )
    reasons = dict(_not_used(body))
    if usual is None:
        reasons["estimated_completion"] = "this model has not been trained here yet"
    if tracking is None:
        reasons["tracking_url"] = "MLflow does not answer, or has no experiment yet"
    state = state_of(job)
    return TrainAnswer(
        job_id=job.job_id,
        status="started",
        estimated_completion=None
        if usual is None
        else datetime.now(UTC) + timedelta(seconds=usual),
        tracking_url=tracking,
        status_url=state.status_url,
        events_url=state.events_url,
        reasons=reasons,
    )


@router.get("/train/{job_id}/status", responses=examples.shown(examples.TRAIN_STATUS))
async def status(job_id: JobId, api: Api, caller: Trainer) -> TrainStatus:
    """How a training is, and what came of it."""
    job = await own_job(job_id, api, caller, "train")
    release: dict[str, Any] = job.result or {}
    figures = None
    if release:
        figures = await asyncio.to_thread(test_figures, release, api.settings)
    number = release.get("mlflow_version")
    reasons = {
        name: _NO_EPOCHS
        for name in ("current_epoch", "total_epochs", "metrics.train_loss", "metrics.val_loss")
    }
    reasons["artifacts.metrics_path"] = "metrics are in MLflow with the model"
    return TrainStatus(
        job_id=job.job_id,
        status=job.status if job.status in ("completed", "failed") else "running",
        progress=round(job.progress, 3),
        current_epoch=None,
        total_epochs=None,
        metrics=TrainMetrics(train_loss=None, val_loss=None, best_val_loss=None, test=figures),
        logs_url=_logs_url(job, api),
        artifacts=TrainArtifacts(
            model_path=f"models:/{release['model']}/{number}" if release else None,
            metrics_path=None,
        ),
        decision=release.get("reason"),
        error=job.error,
        reasons=reasons,
    )


@router.websocket("/train/{job_id}/events")
async def events(
    socket: WebSocket,
    job_id: str,
    caller: Trainer,
    api: Annotated[Services, Depends(services)],
) -> None:
    """The state of a training at every change, until it has ended."""
    await send_events(socket, job_id, api, caller)


def _logs_url(job: Job, api: Services) -> str | None:
    url = api.settings.airflow_url
    return f"{url}/dags/{job.dag_id}/runs/{job.run_id}" if url else None


def _not_used(body: TrainRequest) -> Iterator[tuple[str, str]]:
    if body.dataset is not None:
        yield "dataset", "models learn from the platform's own rows, split by time"
    if body.hyperparameters:
        yield "hyperparameters", "tuned ones lie beside the model's code and are used"
    if body.experiment_name is not None:
        yield "experiment_name", "all trainings are of one experiment; see tracking_url"
