"""`/features`: what the online store holds."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated

from fastapi import APIRouter, Depends, Response

from ml.serving.routes.predictions import Api, example
from ml.serving.schemas import FeatureAnswer, FeatureRequest
from ml.serving.security import ApiError, Caller, require

router = APIRouter(tags=["features"])
_CELLS = 50_000
_EXAMPLE = {
    "entity": "video_id",
    "names": ["views", "log_growth_1d"],
    "values": [[120000, 0.31]],
    "event_times": [{"video_momentum": "2026-01-10T05:00:00Z"}],
}


@router.post("/features", response_model=FeatureAnswer, responses=example(_EXAMPLE))
async def features(
    body: FeatureRequest, api: Api, _caller: Annotated[Caller, Depends(require("predict"))]
) -> Response:
    """Features of entities as stored: a service by name, or `view:feature` references.

    What is not stored is null, and its view has no event time; age is for the caller to judge.
    """
    layout = api.reader.known(body.features)
    if layout is None:
        layout = await asyncio.to_thread(api.reader.layout, body.features)
    if len(layout.names) * len(body.entities) > _CELLS:
        raise ApiError(422, "invalid_request", f"at most {_CELLS} values at once")
    rows = await api.reader.read(layout, body.entities)
    answer = {
        "entity": layout.join_key,
        "names": layout.names,
        "values": [list(row.values().values()) for row in rows],
        "event_times": [
            {view: seen and seen.isoformat() for view, seen in row.event_times().items()}
            for row in rows
        ],
    }
    return Response(json.dumps(answer, separators=(",", ":")), media_type="application/json")
