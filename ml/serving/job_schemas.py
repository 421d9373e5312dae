"""Long work as callers follow it, and training (8.1.4 of the reference)."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from ml.serving.schemas import Name, Reasons, Request, shown

ModelType = Literal[
    "trend_predictor", "quality_scorer", "audience", "trend_video", "trend_story", "trend_topic",
    "quality_policy", "quality_engagement", "audience_preference",
]  # fmt: skip
JobStatus = Literal["submitted", "running", "completed", "failed"]


class JobState(BaseModel):
    """Work that goes on, or has ended.

    Attributes:
        progress: share that is done, between 0 and 1.
        step: what is being done.
        result: the answer of the route that started it, once it is completed.
        error: why it failed.
        events_url: of a WebSocket that sends this document at every change.
    """

    job_id: str
    kind: str
    status: JobStatus
    progress: float = Field(ge=0, le=1)
    step: str | None
    created_at: datetime
    finished_at: datetime | None
    status_url: str
    events_url: str
    result: dict[str, Any] | None = None
    error: str | None = None


class Split(Request):
    """Shares of a dataset."""

    train: float = Field(0.7, gt=0, lt=1)
    val: float = Field(0.15, ge=0, lt=1)
    test: float = Field(0.15, ge=0, lt=1)


class Dataset(Request):
    """Rows to train on. Models learn from the platform's own rows; the answer says so."""

    source: str | None = Field(None, max_length=300)
    split: Split | None = None


class TrainRequest(Request):
    """A training to start.

    Attributes:
        hyperparameters: tuned ones lie beside each model's code and are used; the answer says so.
    """

    model_config = shown(model_type="trend_predictor", tags=["monthly_retrain"])

    model_type: ModelType | None = None
    dataset: Dataset | None = None
    hyperparameters: dict[str, float | int | str | bool | None] = Field({}, max_length=100)
    experiment_name: Name | None = None
    tags: list[Name] = Field([], max_length=50)


class TrainAnswer(BaseModel):
    """A training that was started.

    Attributes:
        estimated_completion: now and the median of the model's last trainings.
        tracking_url: the experiment in MLflow.
    """

    job_id: str
    status: Literal["started"]
    estimated_completion: datetime | None
    tracking_url: str | None
    status_url: str
    events_url: str
    reasons: Reasons = {}


class TrainMetrics(BaseModel):
    """Figures of the model that came of it; losses by epoch are of no model here."""

    train_loss: float | None
    val_loss: float | None
    best_val_loss: float | None
    test: dict[str, float] | None


class TrainArtifacts(BaseModel):
    """Where the model lies."""

    model_path: str | None
    metrics_path: str | None


class TrainStatus(BaseModel):
    """How far a training is.

    Attributes:
        progress: share of the run's tasks that have ended.
        decision: what the registry made of the model, once it is there.
    """

    job_id: str
    status: Literal["running", "completed", "failed"]
    progress: float
    current_epoch: int | None
    total_epochs: int | None
    metrics: TrainMetrics
    logs_url: str | None
    artifacts: TrainArtifacts
    decision: str | None = None
    error: str | None = None
    reasons: Reasons = {}
