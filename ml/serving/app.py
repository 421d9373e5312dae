"""The HTTP API: registered models behind the routes of the reference (8.1), under `/ml/v1`.

Light answers come from models and online features. Nothing here trains or generates.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute

from ml.exceptions import FatalError, MissingFeatureError, RetriableError
from ml.serving.layouts import UnknownFeatureError
from ml.serving.metrics import Measured
from ml.serving.routes import features, models, operations, predictions, training, work
from ml.serving.security import install
from ml.serving.security.errors import problem, request_id
from ml.serving.services import opened
from ml.settings import Settings, get_settings

log = logging.getLogger(__name__)

PREFIX = "/ml/v1"


def create_app(settings: Settings | None = None) -> FastAPI:
    """Build the application. Without a champion it starts, and says so on `/ready`."""
    settings = settings or get_settings()
    if settings.api_database_url:
        # Everything here logs in with the rights of the API and no others.
        settings = settings.model_copy(update={"database_url": settings.api_database_url})

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with opened(app, settings):
            yield

    app = FastAPI(
        title="ytempire",
        version="1",
        description="Forecasts, scores and features of the platform.",
        lifespan=lifespan,
    )
    # Routes are tried in this order: those that are asked most come first.
    for group in (predictions, features, work, models, training):
        app.include_router(group.router, prefix=PREFIX)
    app.include_router(operations.router)
    install(app, settings)
    app.add_middleware(Measured)
    _answer_errors(app)
    _show_examples(app)
    return app


def _show_examples(app: FastAPI) -> None:
    """Put the examples of routes into the document whole: FastAPI leaves out what is null."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        for route in app.routes:
            if isinstance(route, APIRoute):
                operations = document["paths"][route.path_format]
                for method in route.methods:
                    _put_examples(operations[method.lower()]["responses"], route.responses)
        return document

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI's documented way


def _put_examples(shown: dict[str, Any], given: Mapping[int | str, Mapping[str, Any]]) -> None:
    for status, response in given.items():
        for media, content in response.get("content", {}).items():
            shown[str(status)]["content"][media]["example"] = content["example"]


def _answer_errors(app: FastAPI) -> None:
    """What our own errors are to a caller; everything else is an error inside, without a trace."""

    @app.exception_handler(MissingFeatureError)
    async def missing(request: Request, error: MissingFeatureError) -> Response:
        return problem(422, str(error), request_id=request_id(request), error="missing_feature")

    @app.exception_handler(UnknownFeatureError)
    async def unknown(request: Request, error: UnknownFeatureError) -> Response:
        return problem(422, str(error), request_id=request_id(request), error="unknown_feature")

    @app.exception_handler(TimeoutError)
    async def late(request: Request, _error: TimeoutError) -> Response:
        return _away(request, "this took too long; try again with less")

    @app.exception_handler(RetriableError)
    async def away(request: Request, error: RetriableError) -> Response:
        log.warning("not answered: %s", error)
        return _away(request, "what this needs is away; see /ready and try again")

    @app.exception_handler(FatalError)
    async def unusable(request: Request, error: FatalError) -> Response:
        log.error("not answered: %s", error)
        return _away(request, "this cannot be answered as configured; see /ready")


def _away(request: Request, detail: str) -> Response:
    headers = {"Retry-After": "5"}
    return problem(503, detail, request_id=request_id(request), headers=headers)
