"""TikTok's Research API v2 of the world: client access tokens and the query of videos.

Tokens: https://developers.tiktok.com/doc/client-access-token-management; query:
https://developers.tiktok.com/doc/research-api-specs-query-videos; errors:
https://developers.tiktok.com/doc/tiktok-api-v2-error-handling; quota (1000 requests a day, reset at
midnight UTC): https://developers.tiktok.com/doc/research-api-faq (all read 2026-11).

Every answer but that of a token carries `error`, with code `ok` where nothing is wrong. Videos come
newest first, those deleted in the meantime are missing from their page. A `search_id` stands for
the moment of its search: the next pages are answered as of then, for a day, and for that query
only. Music, effects and user names are shown but cannot be searched for here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response

from ml.world import noise, shorts
from ml.world import parameters as p
from ml.world.answers import Call, World, answer, encode, read_call
from ml.world.clock import moment
from ml.world.faults import damage
from ml.world.providers import tokens
from ml.world.providers.limits import RateLimit
from ml.world.providers.tiktok_query import FIELDS, InvalidQueryError, select, videos

_TOKEN_MIN = 120
_QUOTA = 1000
_MAX_DAYS = 30
_SEARCH_LIVES_MIN = 1440
_CODES = {
    401: "access_token_invalid", 403: "scope_permission_missed", 429: "rate_limit_exceeded",
    500: "internal_error", 503: "internal_error",
}  # fmt: skip
_MESSAGES = {
    "access_token_invalid": "The access token is invalid or not found in the request.",
    "scope_permission_missed": "The scope that is needed was not granted.",
    "rate_limit_exceeded": "The API rate limit was exceeded. Please try again later.",
    "daily_quota_limit_exceeded": "The daily quota limit was exceeded.",
    "internal_error": "Something is wrong. Please try again later.",
}


class _RefusalError(Exception):
    """A refusal with TikTok's code."""

    def __init__(
        self, status: int, code: str, message: str = "", headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message or _MESSAGES.get(code, code))
        self.status = status
        self.code = code
        self.headers = headers or {}


def router(world: World) -> APIRouter:
    """The routes below `/open.tiktokapis.com/v2`."""
    routes = APIRouter(prefix="/open.tiktokapis.com/v2")
    quota = RateLimit(_QUOTA, 1440)

    @routes.post("/oauth/token/")
    async def token(request: Request) -> Response:
        call = read_call(request, world)
        status, body = _token(call, tokens.posted_form(request))
        return await answer(call, lambda: encode(body), status)

    @routes.post("/research/video/query/")
    async def query(request: Request) -> Response:
        def found(call: Call) -> dict[str, Any]:
            _count(call, quota)
            return query_videos(call, request.query_params, request.state.posted)

        return await _respond(request, world, found)

    return routes


def _token(call: Call, form: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
    """A client access token, or OAuth's own shape of a refusal."""
    error, key = "", call.world.api_key
    fault = call.status_fault()
    if fault:
        return fault[0], _oauth_error(call, "server_error", _MESSAGES["internal_error"])
    for name in ("client_key", "client_secret", "grant_type"):
        if not form.get(name):
            error = f"{name.replace('_', ' ').capitalize()} is missed in request."
            return 400, _oauth_error(call, "invalid_request", error)
    if form["grant_type"] != "client_credentials":
        return 400, _oauth_error(call, "unsupported_grant_type", "Grant type is not supported.")
    if not (tokens.same(form["client_key"], key) and tokens.same(form["client_secret"], key)):
        error = "Client key or secret is incorrect."
        return 401, _oauth_error(call, "invalid_client", error)
    issued = tokens.issue(key, "tiktok", call.asked + _TOKEN_MIN)
    return 200, {
        "access_token": f"clt.{issued}",
        "expires_in": _TOKEN_MIN * 60,
        "token_type": "Bearer",
    }


def _oauth_error(call: Call, error: str, description: str) -> dict[str, Any]:
    return {"error": error, "error_description": description, "log_id": _log_id(call)}


def _log_id(call: Call) -> str:
    digest = hashlib.sha1(call.address.encode(), usedforsecurity=False).hexdigest()
    return f"{moment(call.asked / 60.0):%Y%m%d%H%M%S}{digest[:18].upper()}"


async def _respond(
    request: Request, world: World, found: Callable[[Call], dict[str, Any]]
) -> Response:
    call = read_call(request, world)
    try:
        _admit(call, request)
        data, code, message, status, headers = found(call), "ok", "", 200, {}
    except _RefusalError as refusal:
        data, code, message, status = {}, refusal.code, str(refusal), refusal.status
        headers = refusal.headers
    error = {"code": code, "message": message, "log_id": _log_id(call)}
    return await answer(call, lambda: encode({"data": data, "error": error}), status, headers)


def _admit(call: Call, request: Request) -> None:
    given = tokens.bearer(request.headers.get("Authorization")).removeprefix("clt.")
    if not tokens.is_valid(call.world.api_key, "tiktok", given, call.asked):
        raise _RefusalError(401, "access_token_invalid")
    if fault := call.status_fault():
        raise _RefusalError(fault[0], _CODES[fault[0]], headers=fault[1])


def _count(call: Call, quota: RateLimit) -> None:
    used, _ = quota.count(call.asked)
    if used > quota.calls:
        raise _RefusalError(429, "daily_quota_limit_exceeded")


def query_videos(call: Call, params: Mapping[str, str], posted: bytes) -> dict[str, Any]:
    """One page of the videos that a query selects.

    Raises:
        _RefusalError: invalid_params, naming what is wrong.
    """
    fields = _fields(params)
    try:
        body = json.loads(posted)
        body = body if isinstance(body, dict) else {}
    except ValueError:
        raise _invalid("The request body is not a JSON object") from None
    first, last = _days(body)
    size = _whole(body, "max_count", 20, 1, 100)
    cursor = _whole(body, "cursor", 0, 0, 10**9)
    searched = _search(call, body)
    try:
        chosen = select(body.get("query"), shorts.between(call.world.seed, _day(first), _day(last)))
    except InvalidQueryError as error:
        raise _invalid(str(error)) from None
    hours = searched / 60.0
    known = chosen.take(np.flatnonzero(chosen.created <= hours))
    if body.get("is_random") is True:
        known = known.take(np.argsort(noise.bits(call.world.seed, "short:random", known.ids)))
    page = known.take(np.arange(min(cursor, len(known.ids)), min(cursor + size, len(known.ids))))
    shown = page.take(np.flatnonzero(page.gone_at > hours))
    items = videos(call.world.seed, shown, hours, fields)
    return {
        "videos": damage(items, call.faults, call.world.seed, call.address),
        "cursor": cursor + len(page.ids),
        "has_more": cursor + size < len(known.ids),
        "search_id": _search_id(call, body, searched),
    }


def _fields(params: Mapping[str, str]) -> set[str]:
    wanted = {name.strip() for name in params.get("fields", "").split(",")} - {""}
    if not wanted:
        raise _invalid("The fields parameter is missing")
    if unknown := wanted - FIELDS:
        raise _invalid(f"Invalid field: {min(unknown)}")
    return wanted


def _days(body: Mapping[str, Any]) -> tuple[datetime, datetime]:
    try:
        first, last = (
            datetime.strptime(body[name], "%Y%m%d").replace(tzinfo=UTC)
            for name in ("start_date", "end_date")
        )
    except (KeyError, TypeError, ValueError):
        raise _invalid("start_date and end_date must be dates of the form YYYYMMDD") from None
    if not 0 <= (last - first).days <= _MAX_DAYS:
        raise _invalid(f"end_date must be no more than {_MAX_DAYS} days after the start_date")
    return first, last


def _day(date: datetime) -> int:
    return (date - p.WORLD_START).days


def _whole(body: Mapping[str, Any], name: str, default: int, low: int, high: int) -> int:
    value = body.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise _invalid(f"{name} must be a whole number from {low} to {high}")
    return int(value)


def _search(call: Call, body: Mapping[str, Any]) -> int:
    """The minute that the search is about: that of its first page."""
    given = str(body.get("search_id") or "")
    if not given:
        return call.minute
    whole = given.isascii() and given.isdigit() and len(given) == 19
    minute = int(given[:10]) - 10**9 if whole else None
    if (
        minute is None
        or not 0 <= call.minute - minute < _SEARCH_LIVES_MIN
        or given != _search_id(call, body, minute)
    ):
        raise _invalid(f"Search Id {given} is invalid or expired")
    return minute


def _search_id(call: Call, body: Mapping[str, Any], minute: int) -> str:
    """19 digits: the minute, and what the search is for."""
    wanted = {name: body.get(name) for name in ("query", "start_date", "end_date", "is_random")}
    mark = noise.stream_key(call.world.seed, f"search:{json.dumps(wanted, sort_keys=True)}")
    return f"{minute + 10**9:010d}{mark % 10**9:09d}"


def _invalid(message: str) -> _RefusalError:
    return _RefusalError(400, "invalid_params", message)
