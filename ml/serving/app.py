"""The HTTP API: the champion of `trend_video` on features of the online store.

Every route but `/health` needs the header `X-API-Key`. Long work is not done here; it belongs to
runs in Airflow.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, HTTPException, Request
from fastapi.responses import JSONResponse
from psycopg.rows import dict_row
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from ml.exceptions import FatalError, MissingFeatureError, RetriableError
from ml.settings import Settings, get_settings
from ml.storage.postgres import connect

log = logging.getLogger(__name__)
NAME = "trend_video"


class VideoRequest(BaseModel):
    """Which video to score."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"video_id": "dQw4"}})

    video_id: str = Field(min_length=1, max_length=64)


class VideoPrediction(BaseModel):
    """The 48 h rising call for a video.

    Attributes:
        probability: calibrated, that its views grow more than `growth_threshold` within 48 h.
        growth_threshold: ln ratio of views that counts as rising; the training median.
    """

    video_id: str
    probability: float = Field(ge=0, le=1)
    rising: bool
    growth_threshold: float
    model: str
    model_version: str


class Predictor:
    """The champion and an open feature store, loaded once."""

    def __init__(self, settings: Settings) -> None:
        from ml.features import open_store
        from ml.registry.releases import load_champion

        self._store = open_store(settings)
        self._model, self._release = load_champion(NAME, settings)
        self._columns = tuple(self._model.metadata.get_input_schema().input_names())

    def predict(self, video_id: str) -> VideoPrediction:
        """Score one video.

        Raises:
            MissingFeatureError: if the online store does not hold its features.
        """
        import pandas as pd

        from ml.features import online_features
        from ml.trend.video.model import model_input

        service = self._release.tags["feature_service"]
        row = online_features(service, [video_id], store=self._store)[0]
        answer = self._model.predict(model_input(pd.DataFrame([row]), self._columns)).iloc[0]
        return VideoPrediction(
            video_id=video_id,
            probability=float(answer["probability"]),
            rising=bool(answer["rising"]),
            growth_threshold=float(self._release.tags["growth_threshold"]),
            model=NAME,
            model_version=self._release.version,
        )


def create_app(settings: Settings | None = None) -> FastAPI:
    """Build the application. Without a champion it starts, and says so on `/ready`.

    Raises:
        ConfigurationError: if there is no API key.
    """
    settings = settings or get_settings()
    key = settings.require("api_key").encode()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.predictor, app.state.reason = None, ""
        try:
            app.state.predictor = await run_in_threadpool(Predictor, settings)
        except (FatalError, RetriableError) as error:
            app.state.reason = str(error)
            log.warning("no predictions: %s", error)
        yield

    def authorised(x_api_key: Annotated[str, Header()] = "") -> None:
        if not hmac.compare_digest(x_api_key.encode(), key):
            raise HTTPException(401, "send a valid key in the header X-API-Key")

    app = FastAPI(title="ytempire", version="1", lifespan=lifespan)
    _answer_errors(app)
    _add_routes(app, settings, Depends(authorised))
    return app


def _answer_errors(app: FastAPI) -> None:
    @app.exception_handler(MissingFeatureError)
    async def missing(_request: Request, error: MissingFeatureError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 422)

    @app.exception_handler(RetriableError)
    async def away(_request: Request, error: RetriableError) -> JSONResponse:
        log.warning("a service is away: %s", error)
        return JSONResponse({"detail": "a service is away; try again"}, 503)


def _add_routes(app: FastAPI, settings: Settings, authorised: Any) -> None:
    protected = [authorised]

    @app.get("/health")
    def health() -> dict[str, str]:
        """Whether the process runs."""
        return {"status": "ok"}

    @app.get("/ready", dependencies=protected)
    def ready() -> JSONResponse:
        """Whether predictions can be made, and why not."""
        is_ready = app.state.predictor is not None
        body = {"ready": is_ready, "reason": app.state.reason}
        return JSONResponse(body, 200 if is_ready else 503)

    @app.get("/ml/v1/models", dependencies=protected)
    def models() -> dict[str, Any]:
        """The registered model versions, newest first."""
        with (
            connect(settings.require("database_url")) as conn,
            conn.cursor(row_factory=dict_row) as cursor,
        ):
            rows = cursor.execute(
                "select model_name || '_v' || version as model_id, model_type as type, version,"
                " status, deployed_at, accuracy::float8 as accuracy"
                " from ml.ml_models order by created_at desc"
            ).fetchall()
        return {"models": rows, "total": len(rows)}

    @app.post("/ml/v1/predict/video", dependencies=protected)
    def predict_video(body: VideoRequest) -> VideoPrediction:
        """Whether a listed video's views keep rising over 48 hours."""
        if app.state.predictor is None:
            raise HTTPException(503, app.state.reason)
        prediction: VideoPrediction = app.state.predictor.predict(body.video_id)
        return prediction
