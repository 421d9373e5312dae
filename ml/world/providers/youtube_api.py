"""The YouTube Data API v3 of the world: admission, quotas, list responses.

Served below both of its addresses, `www.googleapis.com/youtube/v3` and
`youtube.googleapis.com/youtube/v3`. Errors and costs as documented on
https://developers.google.com/youtube/v3/docs/errors and
https://developers.google.com/youtube/v3/determine_quota_cost (read 2026-11): every call costs a
unit, a wrong one too; searches have a quota of their own. The methods are in `youtube_lists` and
`youtube_search`, those that write in `youtube_uploads_api`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request, Response

from ml.world.answers import Call, World, answer, encode, read_call
from ml.world.clock import moment
from ml.world.faults import damage
from ml.world.providers import google, google_oauth, tokens, youtube_lists, youtube_search
from ml.world.providers.google import ApiError, Params
from ml.world.providers.youtube_lists import Listing
from ml.world.providers.youtube_resources import etag

HOSTS = ("www.googleapis.com", "youtube.googleapis.com")
_PER_DAY = {"search": 100, "upload": 100}  # calls of pools of their own
_PACIFIC = ZoneInfo("America/Los_Angeles")  # quotas reset at midnight there
_REMEMBERED = 400  # days of a pool
# Parameters that only make sense with the token of an account.
_OWNERS = frozenset({"forMine", "managedByMe", "mine", "myRating", "mySubscribers"})


@dataclass(frozen=True)
class Method:
    """A list method.

    Attributes:
        list: makes the answer.
        parameters: that it knows.
        pool: of the quota that it spends.
    """

    list: Callable[[Call, Params], Listing]
    parameters: frozenset[str]
    pool: str = "default"


_METHODS = {
    "videos": Method(youtube_lists.list_videos, youtube_lists.VIDEO_PARAMETERS),
    "channels": Method(youtube_lists.list_channels, youtube_lists.CHANNEL_PARAMETERS),
    "videoCategories": Method(youtube_lists.list_categories, youtube_lists.CATEGORY_PARAMETERS),
    "playlistItems": Method(
        youtube_lists.list_playlist_items, youtube_lists.PLAYLIST_ITEM_PARAMETERS
    ),
    "search": Method(youtube_search.list_results, youtube_search.PARAMETERS, "search"),
}


def router(world: World) -> APIRouter:
    """The routes below both addresses."""
    routes = APIRouter()
    for host in HOSTS:
        for name, method in _METHODS.items():
            path = f"/{host}/youtube/v3/{name}"
            routes.add_api_route(path, _endpoint(world, method), methods=["GET"])
    return routes


def _endpoint(world: World, method: Method) -> Callable[[Request], Awaitable[Response]]:
    async def respond(request: Request) -> Response:
        call = read_call(request, world)
        try:
            call = replace(call, is_owner=_admit(call, request, method.pool))
            params = google.read_parameters(request.query_params, method.parameters)
            if not call.is_owner and (names := _OWNERS & params.keys()):
                raise google.owner_required(min(names))
            page = method.list(call, params)
        except ApiError as error:
            return await google.refuse(call, error)
        document = _document(call, page)
        tag = document["etag"]
        if call.etag is not None and call.etag.strip('W/"') == tag:
            return Response(status_code=304, headers={"ETag": f'"{tag}"'})
        return await answer(call, lambda: encode(document), headers={"ETag": f'"{tag}"'})

    return respond


def _admit(call: Call, request: Request, pool: str) -> bool:
    """Check credentials, injected failures and quota, in the provider's order.

    Returns:
        Whether the own channel's owner asks.

    Raises:
        ApiError: 400, 401 or 403 for the credentials, for the quota, or the injected status.
    """
    is_owner = google_oauth.has_token(call, request)
    key = request.query_params.get("key") or request.headers.get("X-Goog-Api-Key")
    if not key and not is_owner:
        raise google.key_missing()
    if key and not tokens.same(key, call.world.api_key):
        raise google.key_invalid()
    if error := google.injected(call):
        raise error
    if not spend(call, pool, 1):
        raise google.searches_exceeded() if pool == "search" else google.quota_exceeded()
    return is_owner


def spend(call: Call, pool: str, units: int) -> bool:
    """Book units on a call's Pacific day; False if that is beyond the quota of the pool."""
    spent = call.world.spent
    key = (pool, moment(call.asked / 60.0).astimezone(_PACIFIC).toordinal())
    limit = _PER_DAY.get(pool, call.world.daily_quota)
    if spent.get(key, 0) + units > limit:
        return False
    spent[key] = spent.get(key, 0) + units
    while len(spent) > _REMEMBERED:
        spent.pop(next(iter(spent)))
    return True


def _document(call: Call, page: Listing) -> dict[str, Any]:
    items: list[Any] = damage(page.items, call.faults, call.world.seed, call.address)
    tag = etag(page.kind, page.total, page.next_offset, [_item_tag(item) for item in items])
    document: dict[str, Any] = {"kind": page.kind, "etag": tag}
    if page.items or page.kind != "youtube#channelListResponse":
        document["items"] = items
    if page.next_offset is not None:
        document["nextPageToken"] = google.page_token(page.next_offset)
    if page.previous_offset is not None:
        document["prevPageToken"] = google.page_token(page.previous_offset, backwards=True)
    if page.region is not None:
        document["regionCode"] = page.region
    document["pageInfo"] = {"totalResults": page.total, "resultsPerPage": page.per_page}
    return document


def _item_tag(item: Any) -> str:
    """The etag of an item, whatever a fault has made of it."""
    return str(item.get("etag")) if isinstance(item, dict) else repr(item)
