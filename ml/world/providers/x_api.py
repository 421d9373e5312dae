"""The X API v2 of the world: recent counts and trends of places; the stream is in `x_stream`.

Counts: https://docs.x.com/x-api/posts/counts/integrate/overview and
https://docs.x.com/x-api/posts/get-count-of-recent-posts (read 2026-11): the last 7 days up to 10
seconds before the request, 300 requests in 15 minutes, queries of 512 characters, buckets that are
cut where the asked time starts and ends, everything in one page (only the archive's counts have a
`next_token`, so none is known here). Trends:
https://docs.x.com/x-api/trends/trends-by-woeid/introduction (read 2026-11): 75 requests in 15
minutes, 20 trends by default and 50 at most, `tweet_count` where it is asked for and known. How X
answers a place it does not know is not documented; here as it answers other unknown things.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response

from ml.world import noise, x_posts
from ml.world import parameters as p
from ml.world.answers import Call, World
from ml.world.clock import moment
from ml.world.faults import damage
from ml.world.providers import x_stream
from ml.world.providers.limits import RateLimit
from ml.world.providers.x_problems import (
    PROBLEMS,
    WINDOW_MIN,
    Params,
    check_names,
    chosen,
    invalid,
    respond,
    whole,
)
from ml.world.providers.x_query import QueryError

_COUNT_PARAMS = (
    "query", "start_time", "end_time", "since_id", "until_id", "next_token", "pagination_token",
    "granularity", "search_count.fields",
)  # fmt: skip
_COUNT_FIELDS = ("end", "start", "tweet_count")
_TREND_FIELDS = ("trend_name", "tweet_count")
_GRANULARITY_H = {"minute": 1.0 / 60.0, "hour": 1.0, "day": 24.0}
_REACH = timedelta(days=7)
_NEWEST = timedelta(seconds=10)
_MAX_QUERY = 512
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?Z")
# Yahoo's ids of the world's regions, https://docs.x.com/x-api/trends/trends-by-woeid/introduction
# and the archived list that it links to; None is the whole world.
PLACES: dict[int, str | None] = {
    1: None, 23424977: "US", 23424975: "GB", 23424848: "IN", 23424748: "AU", 23424853: "IT",
    23424934: "PH", 23424909: "NL", 23424908: "NG",
}  # fmt: skip


def router(world: World) -> APIRouter:
    """The routes below `/api.x.com/2`."""
    routes = APIRouter(prefix="/api.x.com/2")
    counting, looking = RateLimit(300, WINDOW_MIN), RateLimit(75, WINDOW_MIN)

    @routes.get("/tweets/counts/recent")
    async def counts(request: Request) -> Response:
        return await respond(
            request, world, counting, lambda call: recent_counts(call, request.query_params)
        )

    @routes.get("/trends/by/woeid/{woeid}")
    async def trends(request: Request, woeid: str) -> Response:
        return await respond(
            request, world, looking, lambda call: place_trends(call, woeid, request.query_params)
        )

    x_stream.add_routes(routes, world)
    return routes


def recent_counts(call: Call, params: Params) -> dict[str, Any]:
    """Posts that match a query, by minute, hour or day.

    Raises:
        ProblemError: 400 for a parameter that X does not take.
    """
    check_names(params, _COUNT_PARAMS)
    query = params.get("query", "")
    if not 1 <= len(query) <= _MAX_QUERY:
        message = f"Invalid 'query':'{query[:50]}'. It must have 1 to {_MAX_QUERY} characters."
        raise invalid("query", query, message)
    fields = chosen(params, "search_count.fields", _COUNT_FIELDS, ",".join(_COUNT_FIELDS))
    for name in ("next_token", "pagination_token"):
        if name in params:
            raise invalid(name, params[name], f"Invalid '{name}':'{params[name]}'.")
    edges = _edges(*_asked(call, params), _granularity(params))
    try:
        found = x_posts.counts(call.world.seed, query, edges, call.hours)
    except QueryError as error:
        message = f"There were errors processing your request: {error}"
        raise invalid("query", query, message) from error
    buckets = [
        {"end": _iso(edges[place + 1]), "start": _iso(edges[place]), "tweet_count": int(number)}
        for place, number in enumerate(found)
    ]
    shown = [{name: bucket[name] for name in bucket if name in fields} for bucket in buckets]
    data = damage(shown, call.faults, call.world.seed, call.address)
    return {"data": data, "meta": {"total_tweet_count": int(found.sum())}}


def _granularity(params: Params) -> float:
    value = params.get("granularity", "hour")
    if value not in _GRANULARITY_H:
        known = ",".join(_GRANULARITY_H)
        message = f"The `granularity` query parameter value [{value}] is not one of [{known}]"
        raise invalid("granularity", value, message)
    return _GRANULARITY_H[value]


def _asked(call: Call, params: Params) -> tuple[float, float]:
    """Start and end in hours since the world's start; ids win over times, as X says."""
    now = moment(call.asked / 60.0)
    oldest, newest = now - _REACH, now - _NEWEST
    start = _time(params, "start_time") or oldest
    end = _time(params, "end_time") or now - timedelta(seconds=30)
    if end > newest:
        raise invalid("end_time", params["end_time"], _wrong(
            "end_time", end, "must be a minimum of 10 seconds prior to the request time."
        ))  # fmt: skip
    if start < oldest:
        raise invalid("start_time", params["start_time"], _wrong(
            "start_time", start, f"must be on or after {_short(oldest)}"
        ))  # fmt: skip
    first, last = _hours(start), _hours(end)
    if "since_id" in params:
        first = x_posts.time_of(whole(params, "since_id", 0, 1, 2**63 - 1)) + 1.0 / 3600.0
    if "until_id" in params:
        last = x_posts.time_of(whole(params, "until_id", 0, 1, 2**63 - 1))
    if first >= last:
        raise invalid("start_time", params.get("start_time", ""), _wrong(
            "start_time", start, "must be before 'end_time'."
        ))  # fmt: skip
    return first, last


def _time(params: Params, name: str) -> datetime | None:
    value = params.get(name)
    if value is None:
        return None
    try:
        if not _TIME.fullmatch(value):
            raise ValueError
        return datetime.fromisoformat(value).replace(microsecond=0)
    except ValueError:
        message = f"The `{name}` query parameter value [{value}] is not a valid RFC3339 timestamp"
        raise invalid(name, value, message) from None


def _wrong(name: str, value: datetime, rule: str) -> str:
    return f"Invalid '{name}':'{_short(value)}'. '{name}' {rule}"


def _short(value: datetime) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ")


def _hours(value: datetime) -> float:
    return (value - p.WORLD_START).total_seconds() / 3600.0


def _iso(hours: float) -> str:
    return moment(float(hours)).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _edges(start: float, end: float, step: float) -> noise.Floats:
    """Where buckets end: at whole steps, and where the asked time starts and ends."""
    inner = np.arange(np.floor(start / step) + 1, np.ceil(end / step)) * step
    return np.concatenate([[start], inner[(inner > start) & (inner < end)], [end]])


def place_trends(call: Call, woeid: str, params: Params) -> dict[str, Any]:
    """What trends in a place.

    Raises:
        ProblemError: 400 for a parameter that X does not take.
    """
    check_names(params, ("max_trends", "trend.fields"))
    limit = whole(params, "max_trends", 20, 1, 50)
    fields = chosen(params, "trend.fields", _TREND_FIELDS, "trend_name")
    if not (woeid.isascii() and woeid.isdigit() and len(woeid) < 10):
        message = f"The `woeid` path parameter value [{woeid}] is not a valid integer"
        raise invalid("woeid", woeid, message)
    if int(woeid) not in PLACES:
        return {"errors": [{
            "value": woeid,
            "detail": f"Could not find place with woeid: [{woeid}].",
            "title": "Not Found Error",
            "parameter": "woeid",
            "resource_id": woeid,
            "resource_type": "place",
            "type": f"{PROBLEMS}/resource-not-found",
        }]}  # fmt: skip
    region = PLACES[int(woeid)]
    share = p.REGIONS[region][0] if region else 1.0
    found = x_posts.trends(call.world.seed, call.minute, int(woeid), share)[:limit]
    items: list[dict[str, Any]] = []
    for trend in found:
        item: dict[str, Any] = {"trend_name": trend.name}
        if "tweet_count" in fields and trend.count is not None:
            item["tweet_count"] = trend.count
        items.append(item)
    return {"data": damage(items, call.faults, call.world.seed, call.address)}
