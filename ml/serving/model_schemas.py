"""Requests and answers about models and the process (8.1.3 of the reference)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from ml.serving.schemas import Reasons, Request, shown

Period = Literal["1h", "24h", "7d", "30d"]


class ListedMetrics(BaseModel):
    """Figures of a listed model; null where nothing is known."""

    accuracy: float | None
    latency_p95_ms: float | None
    requests_24h: int


class ListedModel(BaseModel):
    """A registered model version. `serving` says whether this process answers with it."""

    model_id: str
    type: str
    version: str
    status: Literal["active", "inactive", "deprecated"]
    deployed_at: datetime | None
    metrics: ListedMetrics
    serving: bool


class ServedState(BaseModel):
    """A model in this process.

    Attributes:
        problem: why the newest version is not the one that serves, or none does.
    """

    name: str
    model_id: str | None
    loaded_at: datetime | None
    canary: str | None
    problem: str | None


class ModelList(BaseModel):
    """Registered versions, newest first."""

    models: list[ListedModel]
    total: int
    served: list[ServedState]


class Performance(BaseModel):
    """Measured against outcomes."""

    accuracy: float | None
    precision: float | None
    recall: float | None
    f1_score: float | None


class Latency(BaseModel):
    """Quantiles of the time to compute an answer."""

    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class Operational(BaseModel):
    """What it answered."""

    requests: int
    errors: int | None
    error_rate: float | None
    latency: Latency


class Cost(BaseModel):
    """Dollars."""

    compute_cost: float | None
    api_cost: float | None
    total_cost: float | None


class Drift(BaseModel):
    """Shares of what is watched that has drifted."""

    feature_drift: float | None
    prediction_drift: float | None
    alert_triggered: bool | None


class Figures(BaseModel):
    """All figures of a model."""

    performance: Performance
    operational: Operational
    cost: Cost
    drift: Drift


class ModelMetrics(BaseModel):
    """Figures of a model over a period."""

    model_id: str
    period: Period
    metrics: Figures
    reasons: Reasons = {}


class ReloadRequest(Request):
    """A registered version to load.

    Attributes:
        source: where it lies; anything but the registry is refused.
        validate: no version is loaded without being checked, so False changes nothing.
        canary_percentage: share of callers that it answers; 0 ends a canary.
    """

    model_config = shown(version="1.1.0", validate=True, canary_percentage=10)

    version: Annotated[str, StringConstraints(pattern=r"^\d+(\.\d+\.\d+)?$", max_length=40)]
    source: str | None = Field(None, max_length=300)
    validate_: bool = Field(True, alias="validate")
    canary_percentage: float = Field(0, ge=0, le=50)


class ReloadAnswer(BaseModel):
    """What was loaded.

    Attributes:
        validation_passed: it loads and answers; `trend_video` says of its own example what it said
            in training.
    """

    status: Literal["success"]
    model_id: str
    loaded_at: datetime
    validation_passed: bool
    canary_enabled: bool
    reasons: Reasons = {}


class Health(BaseModel):
    """The process runs."""

    status: Literal["ok"]


class Readiness(BaseModel):
    """Whether predictions can be made, and what is missing.

    Attributes:
        problems: by part; a part that is not needed for answers may have one while `ready`.
    """

    ready: bool
    models: list[ServedState]
    problems: dict[str, str]
