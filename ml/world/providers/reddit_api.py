"""The Reddit Data API of the world: tokens, listings of subreddits, and single posts.

Listings: https://www.reddit.com/dev/api#listings and `#GET_hot` (read 2026-11): `limit` is 25 by
default and at most 100, `after` and `before` are fullnames, a listing ends after 1000 things, and
text is HTML-escaped unless `raw_json=1`. Application-only tokens:
https://github.com/reddit-archive/reddit/wiki/OAuth2#application-only-oauth; limits and user agents:
https://support.reddithelp.com/hc/en-us/articles/16160319875092-Reddit-Data-API-Wiki (100 queries a
minute, averaged over 10 minutes) and https://github.com/reddit-archive/reddit/wiki/API#rules. Field
names are those of https://praw.readthedocs.io/en/stable/code_overview/models/submission.html.

Comments are counted but not served. A post that is removed or deleted stays in listings for a
while without author and text, as Reddit's caches have it; by its id it can be found for ever.
"""

from __future__ import annotations

import base64
import binascii
import html
from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
from fastapi import APIRouter, Request, Response

from ml.world import posts
from ml.world.answers import Call, World, answer, encode, read_call
from ml.world.faults import damage
from ml.world.providers import tokens
from ml.world.providers.limits import RateLimit
from ml.world.providers.reddit_resources import base36, submissions
from ml.world.social import social

_CALLS, _WINDOW_MIN = 1000, 10
_TOKEN_MIN = 1440
_MAX_LIMIT = 100
_SORTS = ("hot", "new", "rising")
_EVERYTHING = ("popular", "all")
# The rules: a default user agent is drastically limited.
_DEFAULT_AGENTS = ("python-requests/", "python-urllib", "python-httpx/", "java/", "curl/")
_MESSAGES = {
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
    429: "Too Many Requests", 500: "Internal Server Error", 503: "Service Unavailable",
}  # fmt: skip

Params = Mapping[str, str]


class _RefusalError(Exception):
    """A status with Reddit's error body."""

    def __init__(self, status: int, headers: dict[str, str] | None = None) -> None:
        super().__init__(_MESSAGES.get(status, ""))
        self.status = status
        self.headers = headers or {}


def router(world: World) -> APIRouter:
    """The routes below `/www.reddit.com` and `/oauth.reddit.com`."""
    routes = APIRouter()
    limit = RateLimit(_CALLS, _WINDOW_MIN)

    @routes.post("/www.reddit.com/api/v1/access_token")
    async def token(request: Request) -> Response:
        return await _respond(request, world, lambda call: _token(call, request))

    @routes.get("/oauth.reddit.com/r/{subreddits}/{sort}")
    async def listing(request: Request, subreddits: str, sort: str) -> Response:
        def found(call: Call) -> Any:
            return list_posts(call, subreddits, sort, request.query_params)

        return await _respond(request, world, found, limit)

    @routes.get("/oauth.reddit.com/comments/{name}")
    async def comments(request: Request, name: str) -> Response:
        def found(call: Call) -> Any:
            return post_with_comments(call, name, request.query_params)

        return await _respond(request, world, found, limit)

    # Some clients end this path with a slash.
    routes.get("/oauth.reddit.com/comments/{name}/", include_in_schema=False)(comments)
    return routes


async def _respond(
    request: Request, world: World, found: Callable[[Call], Any], limit: RateLimit | None = None
) -> Response:
    call = read_call(request, world)
    headers: dict[str, str] = {}
    try:
        _check_agent(request)
        if limit is not None:
            _check_token(call, request)
            headers = _count(call, limit)
        if fault := call.status_fault():
            raise _RefusalError(fault[0], fault[1])
        body = found(call)
    except _RefusalError as refusal:
        document = {"message": str(refusal), "error": refusal.status}
        return await answer(
            call, lambda: encode(document), refusal.status, {**headers, **refusal.headers}
        )
    return await answer(call, lambda: encode(body), headers=headers)


def _check_agent(request: Request) -> None:
    agent = request.headers.get("User-Agent", "").lower()
    if not agent or agent.startswith(_DEFAULT_AGENTS):
        raise _RefusalError(429)


def _check_token(call: Call, request: Request) -> None:
    token = tokens.bearer(request.headers.get("Authorization"))
    if not tokens.is_valid(call.world.api_key, "reddit", token, call.asked):
        raise _RefusalError(
            401, {"WWW-Authenticate": 'Bearer realm="reddit", error="invalid_token"'}
        )


def _count(call: Call, limit: RateLimit) -> dict[str, str]:
    used, reset = limit.count(call.asked)
    left = max(limit.calls - used, 0)
    headers = {
        "x-ratelimit-used": str(used),
        "x-ratelimit-remaining": f"{left:.1f}",
        "x-ratelimit-reset": str(reset),
    }
    if used > limit.calls:
        raise _RefusalError(429, headers)
    return headers


def _token(call: Call, request: Request) -> dict[str, Any]:
    """A token for the application itself; some refusals come with status 200."""
    key = call.world.api_key
    client, secret = _basic(request.headers.get("Authorization", ""))
    if not (tokens.same(client, key) and tokens.same(secret, key)):
        raise _RefusalError(401, {"WWW-Authenticate": 'Basic realm="reddit"'})
    if tokens.posted_form(request).get("grant_type") != "client_credentials":
        return {"error": "unsupported_grant_type"}
    return {
        "access_token": tokens.issue(key, "reddit", call.asked + _TOKEN_MIN),
        "token_type": "bearer",
        "expires_in": _TOKEN_MIN * 60,
        "scope": "*",
    }


def _basic(header: str) -> tuple[str, str]:
    try:
        user, _, password = base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return user, password


def list_posts(call: Call, names: str, sort: str, params: Params) -> dict[str, Any]:
    """One page of `/r/{names}/{sort}`; `names` may join several by `+`.

    Raises:
        _RefusalError: 404 for an unknown sort, a redirect to the search for an unknown subreddit.
    """
    if sort not in _SORTS:
        raise _RefusalError(404)
    found = posts.listing(
        call.world.seed, call.minute, _subreddits(names), cast("posts.Sort", sort)
    )
    first, last = _slice(found, params)
    shown = found.take(np.arange(first, last))
    children = _children(call, shown, params)
    counted = _whole(params.get("count", "0"), 0) > 0
    return _listing(
        children,
        after=_fullname(found, last - 1) if first < last < len(found.ids) else None,
        before=_fullname(found, first) if counted and first < last else None,
    )


def _subreddits(names: str) -> frozenset[int]:
    known = {each.name.lower(): index for index, each in enumerate(social().subreddits)}
    wanted = names.lower().split("+")
    if any(name in _EVERYTHING for name in wanted):
        return frozenset(known.values())
    found = frozenset(known[name] for name in wanted if name in known)
    if not found:
        search = f"https://oauth.reddit.com/subreddits/search?q={wanted[0]}"
        raise _RefusalError(302, {"Location": search})
    return found


def _slice(found: posts.Posts, params: Params) -> tuple[int, int]:
    """Where a page starts and ends; a page around an unknown thing is empty."""
    size = min(max(_whole(params.get("limit", ""), 25), 1), _MAX_LIMIT)
    if "after" in params:
        place = _place(found, params["after"])
        return (0, 0) if place is None else (place + 1, min(place + 1 + size, len(found.ids)))
    if "before" in params:
        place = _place(found, params["before"])
        return (0, 0) if place is None else (max(place - size, 0), place)
    return 0, min(size, len(found.ids))


def _place(found: posts.Posts, fullname: str) -> int | None:
    number = _number(fullname.removeprefix("t3_")) if fullname.startswith("t3_") else None
    if number is None:
        return None
    places = np.flatnonzero(found.number == number)
    return int(places[0]) if len(places) else None


def _number(text: str) -> int | None:
    try:
        return int(text, 36) if text.isascii() and text.isalnum() and len(text) < 12 else None
    except ValueError:
        return None


def _whole(text: str, default: int) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else default


def _fullname(found: posts.Posts, place: int) -> str:
    return f"t3_{base36(int(found.number[place]))}"


def _children(call: Call, shown: posts.Posts, params: Params) -> list[dict[str, Any]]:
    things = [
        {"kind": "t3", "data": data} for data in submissions(call.world.seed, shown, call.hours)
    ]
    if params.get("raw_json") != "1":
        for thing in things:
            data = cast("dict[str, Any]", thing["data"])
            for name in ("title", "selftext", "url"):
                data[name] = html.escape(data[name], quote=False)
    return damage(things, call.faults, call.world.seed, call.address)


def _listing(
    children: list[Any], *, after: str | None = None, before: str | None = None
) -> dict[str, Any]:
    data = {
        "after": after,
        "dist": len(children),
        "modhash": None,
        "geo_filter": "",
        "children": children,
        "before": before,
    }
    return {"kind": "Listing", "data": data}


def post_with_comments(call: Call, name: str, params: Params) -> list[dict[str, Any]]:
    """A post, and the listing of its comments.

    Raises:
        _RefusalError: 404 if there is no such post.
    """
    number = _number(name)
    found = None
    if number is not None:
        found = posts.find_post(call.world.seed, number, call.hours)
    if found is None:
        raise _RefusalError(404)
    return [_listing(_children(call, found, params)), _listing([])]
