"""videos.list, channels.list, playlistItems.list and videoCategories.list of the world.

Parameters and errors as documented on
https://developers.google.com/youtube/v3/docs/videos/list,
https://developers.google.com/youtube/v3/docs/channels/list,
https://developers.google.com/youtube/v3/docs/playlistItems/list and
https://developers.google.com/youtube/v3/docs/videoCategories/list (read 2026-11).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ml.world import parameters as p
from ml.world.answers import Call
from ml.world.channels import channel_id, channel_index, channel_title
from ml.world.chart import chart
from ml.world.clock import iso
from ml.world.own_channel import own_channel
from ml.world.providers import google
from ml.world.providers.google import ApiError, Params
from ml.world.providers.youtube_resources import (
    CATEGORIES,
    CHANNEL_PARTS,
    VIDEO_PARTS,
    category_item,
    channel_handles,
    channel_item,
    etag,
    iso_duration,
    video_items,
)
from ml.world.uploads import Upload
from ml.world.videos import find_video, videos_of_day
from ml.world.vocabulary import vocabulary

VIDEO_PARAMETERS = frozenset({
    "chart", "hl", "id", "locale", "maxHeight", "maxResults", "maxWidth", "myRating",
    "onBehalfOfContentOwner", "pageToken", "part", "regionCode", "videoCategoryId",
})  # fmt: skip
CHANNEL_PARAMETERS = frozenset({
    "categoryId", "forHandle", "forUsername", "hl", "id", "managedByMe", "maxResults", "mine",
    "mySubscribers", "onBehalfOfContentOwner", "pageToken", "part",
})  # fmt: skip
PLAYLIST_ITEM_PARAMETERS = frozenset({
    "id", "maxResults", "onBehalfOfContentOwner", "pageToken", "part", "playlistId", "videoId",
})  # fmt: skip
CATEGORY_PARAMETERS = frozenset({"hl", "id", "part", "regionCode"})
_CHANNEL_FILTERS = ("id", "mine", "forUsername", "forHandle", "managedByMe", "categoryId")
_MAX_IDS = 50
DEFAULT_RESULTS = 5


@dataclass(frozen=True)
class Listing:
    """One page of resources."""

    kind: str
    items: list[dict[str, Any]]
    total: int
    per_page: int
    next_offset: int | None = None
    previous_offset: int | None = None
    region: str | None = None


def list_videos(call: Call, params: Params) -> Listing:
    """videos.list by chart or by id; the own channel's owner has rated no video."""
    parts = read_parts(params, VIDEO_PARTS)
    chosen = one_filter(params, ("myRating", "id", "chart"))
    if chosen == "id":
        return _videos_by_id(call, params["id"], parts)
    if chosen == "myRating":
        return Listing("youtube#videoListResponse", [], 0, DEFAULT_RESULTS)
    if params["chart"] != "mostPopular":
        raise parameter_error("invalidValue", f"'{params['chart']}'", location="chart")
    return _chart_page(call, params, parts)


def _chart_page(call: Call, params: Params, parts: set[str]) -> Listing:
    region = read_region(params) or "US"
    size = read_number(params, "maxResults", DEFAULT_RESULTS, 1, 50)
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
        upload = call.world.uploads.get(identifier)
        if upload is not None and (call.is_owner or upload.is_public(call.hours)):
            items.append(upload_item(call, upload, parts))
            continue
        found = find_video(call.world.seed, identifier)
        if found is None:
            continue
        one = videos_of_day(call.world.seed, found[0]).take(np.array([found[1]]))
        if one.published[0] <= call.hours:
            items += video_items(call.world.seed, one, call.hours, parts)
    return Listing("youtube#videoListResponse", items, len(items), len(items))


def list_channels(call: Call, params: Params) -> Listing:
    """channels.list by id, by handle, or of who asks; other filters find none."""
    parts = read_parts(params, CHANNEL_PARTS)
    seed = call.world.seed
    chosen = one_filter(params, _CHANNEL_FILTERS)
    found: list[int | None] = []
    if chosen == "id":
        found = [channel_index(seed, identifier) for identifier in _ids(params["id"])]
    elif chosen == "forHandle":
        handle = params["forHandle"].lower()
        found = [channel_handles(seed).get("@" + handle.removeprefix("@"))]
    elif chosen == "mine":
        found = [own_channel(seed)]
    items = [channel_item(seed, i, call.hours, parts) for i in found if i is not None]
    if "auditDetails" in parts:
        if chosen != "mine":
            raise google.forbidden()
        good = not call.world.uploads.has_strike(call.hours)
        names = ("communityGuidelinesGoodStanding", "copyrightStrikesGoodStanding")
        items[0]["auditDetails"] = dict.fromkeys(names, good) | {
            "contentIdClaimsGoodStanding": True
        }
    return Listing("youtube#channelListResponse", items, len(items), len(items) or DEFAULT_RESULTS)


def list_playlist_items(call: Call, params: Params) -> Listing:
    """playlistItems.list of the own channel's uploads, newest first: those that came by the API.

    There is no such playlist before the first of them.
    """
    parts = read_parts(params, frozenset({"contentDetails", "id", "snippet", "status"}))
    own = channel_id(call.world.seed, own_channel(call.world.seed))
    uploads = call.world.uploads.complete()
    chosen = one_filter(params, ("id", "playlistId"))
    if chosen == "id" or params["playlistId"] != "UU" + own[2:] or not uploads:
        raise ApiError(
            404, "playlistNotFound",
            "The playlist identified with the request's <code>playlistId</code> parameter cannot be"
            " found.", domain="youtube.playlistItem", location="playlistId",
        )  # fmt: skip
    size = read_number(params, "maxResults", DEFAULT_RESULTS, 1, 50)
    offset = google.page_offset(params["pageToken"]) if "pageToken" in params else 0
    listed = [upload for upload in uploads if call.is_owner or upload.is_public(call.hours)]
    items = [_playlist_item(upload, parts) for upload in listed[offset : offset + size]]
    following = offset + size if offset + size < len(listed) else None
    return Listing("youtube#playlistItemListResponse", items, len(listed), size, following)


def _playlist_item(upload: Upload, parts: set[str]) -> dict[str, Any]:
    known = {
        "contentDetails": {"videoId": upload.video_id},
        "snippet": upload.resource.get("snippet", {}),
    }
    item = {"kind": "youtube#playlistItem", "etag": upload.session, "id": "UU" + upload.session}
    return item | {name: value for name, value in known.items() if name in parts}


def upload_item(
    call: Call, upload: Upload, parts: set[str], *, is_new: bool = False
) -> dict[str, Any]:
    """Resource of a video that was uploaded.

    Args:
        call: who asks, and when.
        upload: a complete one.
        parts: which parts.
        is_new: whether its last byte has come just now: it is not processed yet.
    """
    seed = call.world.seed
    index = own_channel(seed)
    out = upload.published if upload.published is not None else upload.completed
    snippet = {
        **upload.resource.get("snippet", {}),
        "publishedAt": iso(out or 0.0),
        "channelId": channel_id(seed, index),
        "channelTitle": channel_title(seed, index),
        "liveBroadcastContent": "none",
    }
    given = upload.resource.get("status", {})
    state = {"uploadStatus": "uploaded" if is_new else "processed"}
    if upload.rejection and not is_new:
        state = {"uploadStatus": "rejected", "rejectionReason": upload.rejection}
    status = {"privacyStatus": "public", "license": "youtube", "embeddable": True, **given, **state}
    if upload.is_public(call.hours) and "publishAt" in status:
        del status["publishAt"]
        status["privacyStatus"] = "public"
    found = call.world.uploads.reception(upload)
    counted = found.at(call.hours) if found else dict.fromkeys(("views", "likes", "comments"), 0)
    known = {
        "snippet": snippet,
        "status": status,
        "contentDetails": {"duration": iso_duration(round(upload.length_s)), "dimension": "2d"},
        "statistics": {
            "viewCount": str(counted["views"]), "likeCount": str(counted["likes"]),
            "favoriteCount": "0", "commentCount": str(counted["comments"]),
        },
    }  # fmt: skip
    item: dict[str, Any] = {"kind": "youtube#video", "etag": "", "id": upload.video_id}
    item |= {name: value for name, value in known.items() if name in parts}
    item["etag"] = etag(upload.video_id, sorted(parts), status, counted)
    return item


def list_categories(_: Call, params: Params) -> Listing:
    """videoCategories.list by id, or of a region; the world has the same everywhere."""
    parts = read_parts(params, frozenset({"id", "snippet"}))
    wanted = [str(number) for number in CATEGORIES]
    if one_filter(params, ("id", "regionCode")) == "id":
        wanted = _ids(params["id"])
        if not set(wanted) <= {str(number) for number in CATEGORIES}:
            raise ApiError(
                404, "videoCategoryNotFound",
                "The video category identified by the <code>id</code> parameter cannot be found.",
                domain="youtube.videoCategory", location="id",
            )  # fmt: skip
    else:
        read_region(params)
    items = [category_item(int(number), parts) for number in wanted]
    return Listing("youtube#videoCategoryListResponse", items, len(items), len(items))


def one_filter(params: Params, known: tuple[str, ...]) -> str:
    """The filter that a request selects by.

    Raises:
        ApiError: 400 if it has none, or more than one.
    """
    given = [name for name in known if name in params]
    if len(given) > 1:
        listed = ", ".join(sorted(given))
        raise parameter_error(
            "incompatibleParameters", f"Incompatible parameters specified in the request: {listed}"
        )
    if not given:
        raise parameter_error(
            "missingRequiredParameter",
            f"No filter selected. Expected one of: {', '.join(known)}",
            location="parameters.",
        )
    return given[0]


def _ids(text: str) -> list[str]:
    ids = list(dict.fromkeys(part for part in text.split(",") if part))
    if not ids or len(ids) > _MAX_IDS:
        raise parameter_error(
            "invalidFilters", "The request specifies an invalid filter parameter.",
            location="parameters.",
        )  # fmt: skip
    return ids


def read_parts(params: Params, known: frozenset[str]) -> set[str]:
    """The parts that a request wants.

    Raises:
        ApiError: 400 if it wants none, or one that there is not.
    """
    text = params.get("part")
    if not text:
        raise ApiError(
            400, "required", "Required parameter: part", domain="global", location="part"
        )
    parts = {part.strip() for part in text.split(",")}
    if unknown := parts - known:
        raise parameter_error("unknownPart", f"'{min(unknown)}'", location="part")
    return parts


def read_region(params: Params) -> str | None:
    """The region of a request.

    Raises:
        ApiError: 400 if the world has none of that code.
    """
    region = params.get("regionCode")
    if region is not None and region not in p.REGIONS:
        raise parameter_error(
            "invalidRegionCode", "The regionCode parameter specifies an invalid region code.",
            location="regionCode",
        )  # fmt: skip
    return region


def read_number(params: Params, name: str, default: int, low: int, high: int) -> int:
    """A whole number within bounds.

    Raises:
        ApiError: 400 if it is none.
    """
    text = params.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 9 or not low <= int(text) <= high:
        raise ApiError(
            400, "invalidParameter",
            f"Invalid value '{text}'. Values must be within the range: [{low}, {high}]",
            domain="global", location=name,
        )  # fmt: skip
    return int(text)


def parameter_error(reason: str, message: str, location: str | None = None) -> ApiError:
    """A wrong parameter."""
    return ApiError(400, reason, message, location=location)
