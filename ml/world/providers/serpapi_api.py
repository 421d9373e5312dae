"""SerpApi's Google Trends API of the world: interest over time.

Parameters, errors and shapes as on https://serpapi.com/google-trends-api, read 2026-11 through
https://serpapi.com/blog/how-to-scrape-google-trends/ and SerpApi's answers on
https://github.com/serpapi/public-roadmap (#437, #1269, #1999, #2918): values of 0 to 100 for each
request, by the hour if `date` has hours (up to 8 days and 23 hours of them), else by the day up to
about nine months, by the week beyond; `partial_data` where a time is not over; another sample, and
so slightly other values, for another `date`. Too little interest is status 200 with an `error`.

Only `engine=google_trends` with `data_type=TIMESERIES` is served, and of the ranges that have a
name only those in `_NAMED`. The words of refusals are ours where no answer of SerpApi shows them.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response

from ml.world import noise
from ml.world import parameters as p
from ml.world.answers import Call, World, answer, encode, read_call
from ml.world.clock import moment
from ml.world.faults import damage
from ml.world.trends import interest

_MOST_QUERIES = 5
_HOURLY_H = 8 * 24 + 23
_DAILY_H = 269 * 24
_NAMED = {
    "now 1-d": 24, "now 7-d": 168, "today 1-m": 30 * 24, "today 3-m": 90 * 24,
    "today 12-m": 365 * 24,
}  # fmt: skip
_RANGE = re.compile(r"(\d{4}-\d\d-\d\d)(T\d\d)? (\d{4}-\d\d-\d\d)(T\d\d)?")
_GEO = re.compile(r"([A-Z]{2}(-[A-Z0-9]{1,3})?)?")
_NO_RESULTS = "Google Trends hasn't returned any results for this query."
_BAD_KEY = "Invalid API key. Your API key should be here: https://serpapi.com/manage-api-key"

Params = Mapping[str, str]


class SearchError(Exception):
    """A refusal with its status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def router(world: World) -> APIRouter:
    """The routes `/serpapi.com/search` and `/serpapi.com/search.json`."""
    routes = APIRouter(prefix="/serpapi.com")

    @routes.get("/search")
    @routes.get("/search.json")
    async def search(request: Request) -> Response:
        call = read_call(request, world)
        params = request.query_params
        try:
            _admit(call, params)
            document = _document(call, params)
        except SearchError as error:
            fault = call.status_fault()
            headers = fault[1] if fault and fault[0] == error.status else {}
            body = encode({"error": str(error)})
            return await answer(call, lambda: body, error.status, headers)
        return await answer(call, lambda: encode(document))

    return routes


def _admit(call: Call, params: Params) -> None:
    """Check key, injected failures and engine.

    Raises:
        SearchError: 401 for the key, the injected status, or 400.
    """
    key = params.get("api_key", "")
    if not hmac.compare_digest(key.encode(), call.world.api_key.encode()):
        raise SearchError(401, _BAD_KEY)
    if fault := call.status_fault():
        limit = "Your account has run out of searches."
        raise SearchError(fault[0], limit if fault[0] == 429 else "Internal error.")
    if params.get("engine") != "google_trends":
        raise SearchError(400, f"Unsupported `{params.get('engine', '')}` engine.")
    if params.get("data_type", "TIMESERIES") != "TIMESERIES":
        raise SearchError(400, f"Unsupported `{params['data_type']}` data type.")


def _document(call: Call, params: Params) -> dict[str, Any]:
    queries = [query.strip() for query in params.get("q", "").split(",") if query.strip()]
    if not queries:
        raise SearchError(400, "Missing query `q` parameter.")
    if len(queries) > _MOST_QUERIES:
        raise SearchError(400, f"Maximum of {_MOST_QUERIES} queries are allowed.")
    geo = params.get("geo", "")
    if not _GEO.fullmatch(geo):
        raise SearchError(400, f"Unsupported `{geo}` geographic location.")
    shift = _zone(params.get("tz", "420"))
    first, count, step = _window(call, params.get("date", "today 12-m"), shift)
    timeline, averages = _timeline(call, queries, geo, first, count, step)
    document = _frame(call, params)
    if not timeline:
        return {**document, "error": _NO_RESULTS}
    rows = damage(timeline, call.faults, call.world.seed, call.address)
    found: dict[str, Any] = {"timeline_data": rows}
    if len(queries) > 1:
        found["averages"] = [
            {"query": query, "value": value} for query, value in zip(queries, averages, strict=True)
        ]
    return {**document, "interest_over_time": found}


def _frame(call: Call, params: Params) -> dict[str, Any]:
    """What every answer begins with."""
    identifier = hashlib.blake2b(call.address.encode(), digest_size=12).hexdigest()
    at = f"{moment(call.hours):%Y-%m-%d %H:%M:%S} UTC"
    named = ("engine", "hl", "q", "geo", "date", "tz", "data_type")
    return {
        "search_metadata": {
            "id": identifier,
            "status": "Success",
            "json_endpoint": f"https://serpapi.com/searches/world/{identifier}.json",
            "created_at": at,
            "processed_at": at,
            "total_time_taken": 0.4,
        },
        "search_parameters": {name: params[name] for name in named if name in params},
    }


def _zone(text: str) -> int:
    """Hours by which local time is behind UTC.

    Raises:
        SearchError: unless it is from -1439 to 1439 minutes.
    """
    if not re.fullmatch(r"-?\d{1,4}", text) or abs(int(text)) > 1439:
        raise SearchError(400, f"Unsupported `{text}` time zone.")
    return round(int(text) / 60)


def _window(call: Call, date: str, shift: int) -> tuple[int, int, int]:
    """First hour since the world's start, number of hours, and hours of a point.

    Raises:
        SearchError: if the range is none that is known.
    """
    now = math.floor(call.hours) + 1
    if date in _NAMED:
        hours = _NAMED[date]
        return now - hours, hours, 1 if hours <= 168 else 24 if hours <= _DAILY_H else 168
    found = _RANGE.fullmatch(date)
    if found is None or bool(found[2]) != bool(found[4]):
        raise SearchError(400, f"Unsupported `{date}` date.")
    try:
        start = datetime.fromisoformat(f"{found[1]}{found[2] or 'T00'}").replace(tzinfo=UTC)
        end = datetime.fromisoformat(f"{found[3]}{found[4] or 'T23'}").replace(tzinfo=UTC)
    except ValueError:
        raise SearchError(400, f"Unsupported `{date}` date.") from None
    hours = int((end - start) / timedelta(hours=1)) + 1
    if hours < 1 or (found[2] and hours > _HOURLY_H + 1):
        raise SearchError(400, f"Unsupported `{date}` date.")
    first = int((start - p.WORLD_START) / timedelta(hours=1)) + shift
    step = 1 if found[2] else 24 if hours <= _DAILY_H else 168
    return first, hours, step


def _timeline(
    call: Call, queries: list[str], geo: str, first: int, count: int, step: int
) -> tuple[list[dict[str, Any]], list[int]]:
    """The points of all queries on one scale, and the average of each; empty if all are 0."""
    now = math.floor(call.hours) + 1  # of an hour that has begun, something is known
    points = min(-(-count // step), max(-(-(now - first) // step), 0))
    if not points:
        return [], []
    sampled = np.array([_sample(call, query, geo, first, points * step) for query in queries])
    sampled[:, max(now - first, 0) :] = 0.0
    summed = sampled.reshape(len(queries), points, step).sum(axis=2)
    if summed.max() <= 0:
        return [], []
    scaled = 100.0 * summed / summed.max()
    shown = np.rint(scaled).astype(int)
    rows = []
    for point in range(points):
        begins = first + point * step
        at = moment(float(begins))
        row: dict[str, Any] = {
            "date": f"{at:%b} {at.day}, {at:%Y at %H:%M}",
            "timestamp": str(int(at.timestamp())),
        }
        if begins + step > call.hours:
            row["partial_data"] = True
        row["values"] = [
            {"query": query, "value": _text(scaled[i, point]), "extracted_value": int(value)}
            for i, (query, value) in enumerate(zip(queries, shown[:, point], strict=True))
        ]
        rows.append(row)
    return rows, [int(value) for value in np.rint(scaled.mean(axis=1))]


def _text(value: float) -> str:
    return "<1" if 0 < value < 0.5 else str(round(value))


def _sample(call: Call, query: str, geo: str, first: int, count: int) -> noise.Floats:
    """The searches that this request counts: a sample of all, another one for another window."""
    seed = call.world.seed
    hours = np.arange(first, first + count, dtype=np.int64) + (1 << 32)
    luck = noise.lognormal(
        seed, f"interest:sample:{query}:{geo}:{first}:{count}", hours, 1.0, p.TRENDS_SAMPLING
    )
    return interest(seed, query, geo, first, count) * luck
