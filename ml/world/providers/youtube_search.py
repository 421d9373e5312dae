"""search.list of the world.

Parameters and errors as documented on https://developers.google.com/youtube/v3/docs/search/list
(read 2026-11). The world finds videos, and neither channels nor playlists; what a bigger world has
beside those with a chance of a chart place is in no index. A query matches what a
video is about: each of its words begins a word of the video's niche, tags, subject or angle; `|`
stands for or, `-` for not. Filters for what all videos of the world have in common (captions, high
definition, licence, ...) are accepted and leave out nothing; no video is a broadcast. The search
reaches back as many days as the charts do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ml.world import noise
from ml.world import parameters as p
from ml.world.answers import Call
from ml.world.channels import channel_index
from ml.world.providers import google
from ml.world.providers.google import ApiError, Params
from ml.world.providers.youtube_lists import (
    DEFAULT_RESULTS,
    Listing,
    parameter_error,
    read_number,
    read_parts,
    read_region,
)
from ml.world.providers.youtube_resources import durations, search_items
from ml.world.texts import video_title
from ml.world.videos import Videos, contenders_of_day, log_views
from ml.world.vocabulary import vocabulary

PARAMETERS = frozenset({
    "channelId", "channelType", "eventType", "forContentOwner", "forDeveloper", "forMine",
    "location", "locationRadius", "maxResults", "onBehalfOfContentOwner", "order", "pageToken",
    "part", "publishedAfter", "publishedBefore", "q", "regionCode", "relevanceLanguage",
    "safeSearch", "topicId", "type", "videoCaption", "videoCategoryId", "videoDefinition",
    "videoDimension", "videoDuration", "videoEmbeddable", "videoLicense",
    "videoPaidProductPlacement", "videoSyndicated", "videoType",
})  # fmt: skip
_VALUES = {
    "eventType": ("none", "upcoming", "live", "completed"),
    "order": ("date", "rating", "viewCount", "relevance", "title", "videoCount"),
    "safeSearch": ("none", "moderate", "strict"),
    "videoDuration": ("any", "short", "medium", "long"),
}
# Seconds: under 4 minutes, up to 20, and more.
_LENGTHS = {"short": (0, 240), "medium": (240, 1201), "long": (1201, 10**9)}
_MOST_RESULTS = 500  # that paging leads to, whatever the total says

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Search:
    """What is searched for; times in hours since the world's start."""

    text: str
    after: float
    before: float
    order: str
    channel: int | None
    category: int | None
    duration: str


def list_results(call: Call, params: Params) -> Listing:
    """search.list."""
    parts = read_parts(params, frozenset({"id", "snippet"}))
    kinds = set(params.get("type", "video,channel,playlist").split(","))
    if unknown := kinds - {"video", "channel", "playlist"}:
        raise parameter_error("invalidValue", f"'{min(unknown)}'", location="type")
    _check(params, kinds)
    region = read_region(params) or "US"
    size = read_number(params, "maxResults", DEFAULT_RESULTS, 0, 50)
    offset = google.page_offset(params["pageToken"]) if "pageToken" in params else 0
    search = _read(call, params)
    found = _found(call.world.seed, call.minute, search if _any_video(params, kinds) else None)
    total = len(found.ids)
    end = min(offset + size, total, _MOST_RESULTS)
    shown = found.take(np.arange(min(offset, end), end))
    return Listing(
        kind="youtube#searchListResponse",
        items=search_items(call.world.seed, shown, parts),
        total=total,
        per_page=size,
        next_offset=end if 0 < end < min(total, _MOST_RESULTS) and size else None,
        previous_offset=max(offset - size, 0) if offset else None,
        region=region,
    )


def _check(params: Params, kinds: set[str]) -> None:
    """Refuse values that the parameters do not have, and filters that do not go together.

    Raises:
        ApiError: 400.
    """
    for name, values in _VALUES.items():
        if params.get(name, values[0]) not in values:
            raise google.invalid_value(name, f"Invalid value at '{name}', \"{params[name]}\"")
    video_only = [name for name in params if name.startswith("video") or name == "eventType"]
    if video_only and kinds != {"video"}:
        raise ApiError(
            400, "invalidSearchFilter",
            "The request contains an invalid combination of search filters and/or restrictions.",
            domain="youtube.search", location="parameters.",
        )  # fmt: skip


def _any_video(params: Params, kinds: set[str]) -> bool:
    return "video" in kinds and params.get("eventType", "none") == "none"


def _read(call: Call, params: Params) -> Search:
    channel = None
    if "channelId" in params:
        channel = channel_index(call.world.seed, params["channelId"])
        if channel is None:
            raise parameter_error(
                "invalidChannelId", "The channelId parameter specifies an invalid channel ID.",
                location="channelId",
            )  # fmt: skip
    category = params.get("videoCategoryId", "")
    before = min(_hours(params, "publishedBefore", call.hours), call.hours)
    return Search(
        text=params.get("q", ""),
        after=_hours(params, "publishedAfter", -math.inf),
        before=before,
        order=params.get("order", "relevance"),
        channel=channel,
        category=int(category) if category.isascii() and category.isdigit() else None,
        duration=params.get("videoDuration", "any"),
    )


def _hours(params: Params, name: str, default: float) -> float:
    text = params.get(name)
    if text is None:
        return default
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None or "T" not in text:
            raise ValueError
    except ValueError:
        message = f"Invalid value at '{name}' (type.googleapis.com/google.protobuf.Timestamp)"
        raise google.invalid_value(name, f'{message}, "{text}"') from None
    return (moment - p.WORLD_START).total_seconds() / 3600.0


@lru_cache(maxsize=64)
def _found(seed: int, minute: int, search: Search | None) -> Videos:
    """The videos that match, in order; none for no search."""
    if search is None:
        return contenders_of_day(seed, 0).take(np.array([], dtype=np.int64))
    last = math.floor(search.before / p.HOURS_PER_DAY)
    first = math.floor(max(search.after / p.HOURS_PER_DAY, last - p.VIDEO_WINDOW_DAYS))
    days = [contenders_of_day(seed, day) for day in range(min(first, last), last + 1)]
    columns = Videos.__dataclass_fields__
    videos = Videos(**{name: np.concatenate([getattr(d, name) for d in days]) for name in columns})
    videos = videos.take(np.flatnonzero(_matching(seed, videos, search)))
    return videos.take(_order(seed, videos, search.order, minute / 60.0))


def _matching(seed: int, videos: Videos, search: Search) -> Mask:
    # `publishedAfter` is inclusive, `publishedBefore` is not.
    mask: Mask = (videos.published >= search.after) & (videos.published < search.before)
    mask &= _about(search.text)[videos.niche, videos.subject, videos.angle]
    if search.channel is not None:
        mask &= videos.channel == search.channel
    if search.category is not None:
        categories = np.array([niche.category for niche in vocabulary().niches])
        mask &= categories[videos.niche] == search.category
    if search.duration in _LENGTHS:
        low, high = _LENGTHS[search.duration]
        seconds = durations(seed, videos.ids, videos.niche)
        mask &= (seconds >= low) & (seconds < high)
    return mask


@lru_cache(maxsize=256)
def _about(text: str) -> Mask:
    """Whether a query matches, by niche, subject and angle."""
    niches = vocabulary().niches
    shape = (max(len(n.subjects) for n in niches), max(len(n.angles) for n in niches))
    table = np.zeros((len(niches), *shape), dtype=np.bool_)
    alternatives = [part.split() for part in text.lower().split("|")]
    for number, niche in enumerate(niches):
        for row, subject in enumerate(niche.subjects):
            for column, angle in enumerate(niche.angles):
                words = f" {niche.name} {' '.join(niche.tags)} {subject} {angle}".lower()
                hit = any(all(_has(words, term) for term in terms) for terms in alternatives)
                table[number, row, column] = hit
    return table


def _has(words: str, term: str) -> bool:
    if term.startswith("-") and len(term) > 1:
        return f" {term[1:]}" not in words
    return f" {term}" in words


def _order(seed: int, videos: Videos, order: str, hours: float) -> noise.Ints:
    if order == "title":
        titles = [
            video_title(seed, int(entity), int(niche), int(subject), int(angle))
            for entity, niche, subject, angle in zip(
                videos.ids, videos.niche, videos.subject, videos.angle, strict=True
            )
        ]
        return np.array(sorted(range(len(titles)), key=titles.__getitem__), dtype=np.int64)
    scores = {
        "date": videos.published,
        "rating": videos.like_rate,
        "viewCount": log_views(videos, hours),
    }
    return np.argsort(-scores.get(order, videos.views_24h), kind="stable")
