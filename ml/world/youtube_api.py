"""The YouTube Data API v3 of the world: videos.list and channels.list.

Parameters, errors and quota costs as documented on
https://developers.google.com/youtube/v3/docs/videos/list,
https://developers.google.com/youtube/v3/docs/channels/list and
https://developers.google.com/youtube/v3/determine_quota_cost (read 2026-01).
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta, timezone
from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response

from ml.world import google
from ml.world import parameters as p
from ml.world.answers import Call, World, answer, encode, read_call
from ml.world.channels import channel_index
from ml.world.chart import chart
from ml.world.clock import moment
from ml.world.faults import damage
from ml.world.google import ApiError
from ml.world.videos import find_video, videos_of_day
from ml.world.vocabulary import vocabulary
from ml.world.youtube_resources import (
    CHANNEL_PARTS,
    VIDEO_PARTS,
    channel_item,
    etag,
    video_items,
)

_MAX_IDS = 50
_DEFAULT_RESULTS = 5
_LIST_COST = 1
_PACIFIC = timezone(timedelta(hours=-8))  # quotas reset at midnight Pacific time
_REMEMBERED_DAYS = 400

Params = Mapping[str, str]


@dataclass(frozen=True)
class Listing:
    """One page of resources."""

    kind: str
    items: list[dict[str, Any]]
    total: int
    per_page: int
    next_offset: int | None = None
    previous_offset: int | None = None


def router(world: World) -> APIRouter:
    """The routes below `/www.googleapis.com/youtube/v3`."""
    routes = APIRouter(prefix="/www.googleapis.com/youtube/v3")

    @routes.get("/videos")
    async def videos(request: Request) -> Response:
        return await _respond(request, world, list_videos)

    @routes.get("/channels")
    async def channels(request: Request) -> Response:
        return await _respond(request, world, list_channels)

    return routes


async def _respond(
    request: Request, world: World, listing: Callable[[Call, Params], Listing]
) -> Response:
    call = read_call(request, world)
    try:
        _admit(call, request)
        page = listing(call, request.query_params)
    except ApiError as error:
        status, body = error.code, encode(error.body)
        fault = call.status_fault()
        headers = fault[1] if fault and fault[0] == status else {}
        return await answer(call, lambda: body, status, headers)
    document = _document(call, page)
    tag = document["etag"]
    if call.etag is not None and call.etag.strip('W/"') == tag:
        return Response(status_code=304, headers={"ETag": f'"{tag}"'})
    return await answer(call, lambda: encode(document), headers={"ETag": f'"{tag}"'})


def _admit(call: Call, request: Request) -> None:
    """Check key, injected failures and quota, in the provider's order.

    Raises:
        ApiError: 400 or 403 for the key, 403 quotaExceeded, or the injected status.
    """
    key = request.query_params.get("key") or request.headers.get("X-Goog-Api-Key")
    if not key:
        raise google.key_missing()
    if not hmac.compare_digest(key.encode(), call.world.api_key.encode()):
        raise google.key_invalid()
    if fault := call.status_fault():
        raise google.rate_limited() if fault[0] == 429 else google.backend_error(fault[0])
    if "quota" in call.faults or not _spend(call):
        raise google.quota_exceeded()


def _spend(call: Call) -> bool:
    """Book the cost of the call on its Pacific day; False if that is beyond the quota."""
    spent = call.world.spent
    day = moment(call.hours).astimezone(_PACIFIC).toordinal()
    if spent.get(day, 0) + _LIST_COST > call.world.daily_quota:
        return False
    spent[day] = spent.get(day, 0) + _LIST_COST
    while len(spent) > _REMEMBERED_DAYS:
        spent.pop(next(iter(spent)))
    return True


def _document(call: Call, page: Listing) -> dict[str, Any]:
    items: list[Any] = damage(page.items, call.faults, call.world.seed, call.address)
    tag = etag(page.kind, page.total, page.next_offset, [item_tag(item) for item in items])
    document: dict[str, Any] = {"kind": page.kind, "etag": tag}
    if page.items or page.kind != "youtube#channelListResponse":
        document["items"] = items
    if page.next_offset is not None:
        document["nextPageToken"] = google.page_token(page.next_offset)
    if page.previous_offset is not None:
        document["prevPageToken"] = google.page_token(page.previous_offset, backwards=True)
    document["pageInfo"] = {"totalResults": page.total, "resultsPerPage": page.per_page}
    return document


def item_tag(item: Any) -> str:
    """The etag of an item, whatever a fault has made of it."""
    return str(item.get("etag")) if isinstance(item, dict) else repr(item)


def list_videos(call: Call, params: Params) -> Listing:
    """videos.list by chart or by id."""
    parts = _parts(params, VIDEO_PARTS)
    if "id" in params and "chart" in params:
        raise _parameter_error(
            "incompatibleParameters", "Incompatible parameters specified in the request: chart, id"
        )
    if "id" in params:
        return _videos_by_id(call, params["id"], parts)
    if "chart" not in params:
        raise _parameter_error(
            "missingRequiredParameter",
            "No filter selected. Expected one of: myRating, id, chart",
            location="parameters.",
        )
    return _chart_page(call, params, parts)


def _chart_page(call: Call, params: Params, parts: set[str]) -> Listing:
    if params["chart"] != "mostPopular":
        raise _parameter_error("invalidValue", f"'{params['chart']}'", location="chart")
    region = params.get("regionCode", "US")
    if region not in p.REGIONS:
        raise _parameter_error(
            "invalidRegionCode", "The regionCode parameter specifies an invalid region code.",
            location="regionCode",
        )  # fmt: skip
    size = _number(params, "maxResults", _DEFAULT_RESULTS, 1, 50)
    offset = google.page_offset(params["pageToken"]) if "pageToken" in params else 0
    listed = chart(call.world.seed, region, call.minute, _category(params))
    total = len(listed.ids)
    shown = listed.take(np.arange(min(offset, total), min(offset + size, total)))
    return Listing(
        kind="youtube#videoListResponse",
        items=video_items(call.world.seed, shown, call.hours, parts),
        total=total,
        per_page=size,
        next_offset=offset + size if offset + size < total else None,
        previous_offset=max(offset - size, 0) if offset else None,
    )


def _category(params: Params) -> int | None:
    text = params.get("videoCategoryId", "0")
    if text == "0":
        return None
    if text not in {str(niche.category) for niche in vocabulary().niches}:
        raise ApiError(
            404, "videoChartNotFound",
            "The requested video chart is not supported or is not available.",
            domain="youtube.video", location="chart",
        )  # fmt: skip
    return int(text)


def _videos_by_id(call: Call, text: str, parts: set[str]) -> Listing:
    items: list[dict[str, Any]] = []
    for identifier in _ids(text):
        found = find_video(call.world.seed, identifier)
        if found is None:
            continue
        one = videos_of_day(call.world.seed, found[0]).take(np.array([found[1]]))
        if one.published[0] <= call.hours:
            items += video_items(call.world.seed, one, call.hours, parts)
    return Listing("youtube#videoListResponse", items, len(items), len(items))


def list_channels(call: Call, params: Params) -> Listing:
    """channels.list by id."""
    parts = _parts(params, CHANNEL_PARTS)
    if "id" not in params:
        raise _parameter_error(
            "missingRequiredParameter",
            "No filter selected. Expected one of: id, mine, forUsername, forHandle, managedByMe, "
            "categoryId",
            location="parameters.",
        )
    seed = call.world.seed
    found = [channel_index(seed, identifier) for identifier in _ids(params["id"])]
    items = [channel_item(seed, i, call.hours, parts) for i in found if i is not None]
    return Listing("youtube#channelListResponse", items, len(items), len(items) or _DEFAULT_RESULTS)


def _ids(text: str) -> list[str]:
    ids = list(dict.fromkeys(part for part in text.split(",") if part))
    if not ids or len(ids) > _MAX_IDS:
        raise _parameter_error(
            "invalidFilters", "The request specifies an invalid filter parameter.",
            location="parameters.",
        )  # fmt: skip
    return ids


def _parts(params: Params, known: frozenset[str]) -> set[str]:
    text = params.get("part")
    if not text:
        raise ApiError(
            400, "required", "Required parameter: part", domain="global", location="part"
        )
    parts = {part.strip() for part in text.split(",")}
    if unknown := parts - known:
        raise _parameter_error("unknownPart", f"'{min(unknown)}'", location="part")
    return parts


def _number(params: Params, name: str, default: int, low: int, high: int) -> int:
    text = params.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
        raise ApiError(
            400, "invalidParameter",
            f"Invalid value '{text}'. Values must be within the range: [{low}, {high}]",
            domain="global", location=name,
        )  # fmt: skip
    return int(text)


def _parameter_error(reason: str, message: str, location: str | None = None) -> ApiError:
    return ApiError(400, reason, message, location=location)
