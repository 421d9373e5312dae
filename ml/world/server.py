"""The world server: `uvicorn --factory ml.world.server:create_app --host 127.0.0.1`.

Headers that only the world knows: `X-World-Now` (ISO 8601 time; overrides the clock for that
request) and `X-World-Faults` (see `ml.world.faults`; overrides the server's plan for that request).

What its keeper can do while it runs, with `Authorization: Bearer <key>` and a text body:

* `PUT /admin/faults`: another fault plan;
* `PUT /admin/scale`: a number, how much happens (see `ml.world.scale`);
* `PUT /admin/shift`: from when on other videos are made (see `ml.world.shift`); an empty text takes
  it back;
* `PUT /admin/clock`: a number, how many times as fast as the machine's the clock runs from now on;
* `GET /admin/ledger`: what was sent (see `ml.world.ledger`); `DELETE` starts it anew.

Run it with `--no-date-header`: the world's answers carry the `Date` of its own clock.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable
from typing import Any, TypeVar

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse

from ml.exceptions import ConfigurationError
from ml.settings import Settings, get_settings
from ml.sources.feed_list import load_feeds
from ml.world.answers import World, keep_posted
from ml.world.clock import WorldClock, iso
from ml.world.faults import FaultPlan, parse_plan
from ml.world.ledger import Ledger
from ml.world.providers import (
    feeds_api,
    gdelt_api,
    github_pages,
    google_oauth,
    hackernews_api,
    hackernews_search_api,
    llm_api,
    reddit_api,
    serpapi_api,
    stock_api,
    tiktok_api,
    trends_api,
    voice_api,
    wikipedia_api,
    x_api,
    youtube_analytics_api,
    youtube_api,
    youtube_reporting_api,
    youtube_uploads_api,
)
from ml.world.scale import scale_of, seed_of, sized
from ml.world.shift import parse_shift, shift_of, shifted
from ml.world.uploads import Uploads

log = logging.getLogger(__name__)
T = TypeVar("T")


def create_app(settings: Settings | None = None) -> FastAPI:
    """Build the server.

    Raises:
        ConfigurationError: if there is no YTEMPIRE_WORLD_KEY for clients to present, the seed or
            the scale is out of range, or the shift is not understood.
    """
    settings = settings or get_settings()
    world = World(
        seed=_world(settings),
        clock=WorldClock(settings.world_start, settings.world_speed),
        api_key=settings.require("world_key"),
        plan=FaultPlan(settings.world_seed, parse_plan(settings.world_faults)),
        daily_quota=settings.world_daily_quota,
        spent={},
        uploads=Uploads(settings.world_seed, settings.state_dir / "data" / "world"),
    )
    app = FastAPI(
        title="ytempire world",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        dependencies=[Depends(keep_posted)],
    )
    app.include_router(youtube_api.router(world))
    app.include_router(youtube_uploads_api.router(world))
    app.include_router(youtube_reporting_api.router(world))
    app.include_router(youtube_analytics_api.router(world))
    app.include_router(google_oauth.router(world))
    app.include_router(hackernews_api.router(world))
    app.include_router(hackernews_search_api.router(world))
    app.include_router(trends_api.router(world))
    app.include_router(serpapi_api.router(world))
    app.include_router(github_pages.router(world))
    app.include_router(gdelt_api.router(world))
    app.include_router(wikipedia_api.router(world))
    app.include_router(reddit_api.router(world))
    app.include_router(x_api.router(world))
    app.include_router(tiktok_api.router(world))
    app.include_router(llm_api.router(world))
    app.include_router(voice_api.router(world))
    app.include_router(stock_api.router(world))
    _add_health(app, world)
    app.include_router(_admin(world))
    # Last: a feed may have an address below another provider's.
    app.include_router(feeds_api.router(world, load_feeds(settings.feeds_file)))
    app.state.world = world
    return app


def _world(settings: Settings) -> int:
    try:
        world = sized(settings.world_seed, settings.world_scale)
        return shifted(world, parse_shift(settings.world_shift))
    except ValueError as error:
        raise ConfigurationError(str(error)) from error


def _add_health(app: FastAPI, world: World) -> None:
    @app.get("/health")
    async def health() -> dict[str, Any]:
        return {
            "status": "ok",
            "synthetic": True,
            "seed": seed_of(world.seed),
            "scale": scale_of(world.seed),
            "now": iso(world.clock.minute() / 60.0),
        }


def _admin(world: World) -> APIRouter:
    """The keeper's routes; all want the key."""

    async def keeper(request: Request) -> None:
        expected = f"Bearer {world.api_key}".encode()
        given = request.headers.get("Authorization", "").encode()
        if not hmac.compare_digest(given, expected):
            raise HTTPException(401, "send the API key as a bearer token")

    routes = APIRouter(prefix="/admin", dependencies=[Depends(keeper)])

    @routes.put("/faults")
    async def set_faults(request: Request) -> JSONResponse:
        faults = await _read(request, parse_plan)
        world.plan = FaultPlan(world.seed, faults)
        log.info("fault plan replaced: %s", faults)
        return JSONResponse({"faults": len(faults)})

    @routes.put("/scale")
    async def set_scale(request: Request) -> JSONResponse:
        seed, shift = seed_of(world.seed), shift_of(world.seed)
        scaled = await _read(request, lambda text: sized(seed, float(text)))
        world.seed = shifted(scaled, shift)
        log.info("scale is %s", scale_of(world.seed))
        return JSONResponse({"scale": scale_of(world.seed)})

    @routes.put("/shift")
    async def set_shift(request: Request) -> JSONResponse:
        world.seed = shifted(world.seed, await _read(request, parse_shift))
        log.info("shift is %s", shift_of(world.seed))
        return JSONResponse({"is_shifted": shift_of(world.seed) is not None})

    @routes.put("/clock")
    async def set_speed(request: Request) -> JSONResponse:
        await _read(request, lambda text: world.clock.run_at(float(text)))
        return JSONResponse({"speed": world.clock.speed})

    @routes.get("/ledger")
    async def ledger() -> JSONResponse:
        return JSONResponse(world.ledger.report())

    @routes.delete("/ledger")
    async def forget() -> JSONResponse:
        world.ledger = Ledger()
        return JSONResponse(world.ledger.report())

    return routes


async def _read(request: Request, reader: Callable[[str], T]) -> T:
    """What the keeper's text means.

    Raises:
        HTTPException: 400 if it means nothing.
    """
    try:
        return reader((await request.body()).decode())
    except ValueError as error:
        raise HTTPException(400, str(error)) from error
