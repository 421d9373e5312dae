"""The world server: `uvicorn --factory ml.world.server:create_app --host 127.0.0.1`.

Headers that only the world knows: `X-World-Now` (ISO 8601 time; overrides the clock for that
request) and `X-World-Faults` (see `ml.world.faults`; overrides the server's plan for that request).
"""

from __future__ import annotations

import hmac
import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from ml.settings import Settings, get_settings
from ml.world import hackernews_api, youtube_api
from ml.world.answers import World
from ml.world.clock import WorldClock, iso
from ml.world.faults import FaultPlan, parse_plan

log = logging.getLogger(__name__)


def create_app(settings: Settings | None = None) -> FastAPI:
    """Build the server.

    Raises:
        ConfigurationError: if there is no YTEMPIRE_WORLD_KEY for clients to present.
    """
    settings = settings or get_settings()
    world = World(
        seed=settings.world_seed,
        clock=WorldClock(settings.world_start, settings.world_speed),
        api_key=settings.require("world_key"),
        plan=FaultPlan(settings.world_seed, parse_plan(settings.world_faults)),
        daily_quota=settings.world_daily_quota,
        spent={},
    )
    app = FastAPI(title="ytempire world", openapi_url=None, docs_url=None, redoc_url=None)
    app.include_router(youtube_api.router(world))
    app.include_router(hackernews_api.router(world))
    _add_own_routes(app, world)
    return app


def _add_own_routes(app: FastAPI, world: World) -> None:
    @app.get("/health")
    async def health() -> dict[str, Any]:
        now = iso(world.clock.minute() / 60.0)
        return {"status": "ok", "synthetic": True, "seed": world.seed, "now": now}

    @app.put("/admin/faults")
    async def set_faults(request: Request) -> JSONResponse:
        """Replace the server's fault plan (text body); needs `Authorization: Bearer <key>`."""
        expected = f"Bearer {world.api_key}".encode()
        given = request.headers.get("Authorization", "").encode()
        if not hmac.compare_digest(given, expected):
            return JSONResponse({"error": "send the API key as a bearer token"}, 401)
        try:
            faults = parse_plan((await request.body()).decode())
        except ValueError as error:
            return JSONResponse({"error": str(error)}, 400)
        world.plan = FaultPlan(world.seed, faults)
        log.info("fault plan replaced: %s", faults)
        return JSONResponse({"faults": len(faults)})
