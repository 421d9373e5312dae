"""Resources, shaped as the YouTube Data API v3 documents them.

https://developers.google.com/youtube/v3/docs/videos,
https://developers.google.com/youtube/v3/docs/channels,
https://developers.google.com/youtube/v3/docs/search and
https://developers.google.com/youtube/v3/docs/videoCategories (read 2026-11). A count that the owner
hides is absent, every count is a string, subscriber counts have three significant figures. The
texts of a search result are HTML-escaped (https://github.com/DialmasterOrg/Youtarr/pull/654).
"""

from __future__ import annotations

import base64
import hashlib
import html
from functools import lru_cache
from typing import Any

import numpy as np

from ml.world import noise
from ml.world import parameters as p
from ml.world.channels import channel_id, channel_title, channels, subscribers_at
from ml.world.clock import iso
from ml.world.texts import share, video_description, video_tags, video_title
from ml.world.videos import Counts, Videos, counts, video_id
from ml.world.vocabulary import vocabulary

VIDEO_PARTS = frozenset({
    "contentDetails", "fileDetails", "id", "liveStreamingDetails", "localizations",
    "paidProductPlacementDetails", "player", "processingDetails", "recordingDetails", "snippet",
    "statistics", "status", "suggestions", "topicDetails",
})  # fmt: skip
CHANNEL_PARTS = frozenset({
    "auditDetails", "brandingSettings", "contentDetails", "contentOwnerDetails", "id",
    "localizations", "snippet", "statistics", "status", "topicDetails",
})  # fmt: skip
# Ids and titles of the categories that videos can be put in.
CATEGORIES = {
    1: "Film & Animation", 2: "Autos & Vehicles", 10: "Music", 15: "Pets & Animals", 17: "Sports",
    19: "Travel & Events", 20: "Gaming", 22: "People & Blogs", 23: "Comedy", 24: "Entertainment",
    25: "News & Politics", 26: "Howto & Style", 27: "Education", 28: "Science & Technology",
    29: "Nonprofits & Activism",
}  # fmt: skip
_CATEGORY_OWNER = "UCBR8-60-B28hp2BmDPdntcQ"  # YouTube's own channel, as documented
_EXCERPT = 150  # characters of a description that a search result shows
_THUMBNAILS = {
    "default": ("default", 120, 90),
    "medium": ("mqdefault", 320, 180),
    "high": ("hqdefault", 480, 360),
}


def etag(*parts: object) -> str:
    """27 characters of base64url, as Google's."""
    digest = hashlib.sha1(repr(parts).encode(), usedforsecurity=False).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def iso_duration(seconds: int) -> str:
    """ISO 8601 duration, with days only where there are some."""
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    clock = "".join(f"{n}{unit}" for n, unit in ((hours, "H"), (minutes, "M"), (rest, "S")) if n)
    if not days and not clock:
        return "PT0S"
    return "P" + (f"{days}D" if days else "") + (f"T{clock}" if clock else "")


def _thumbnails(host: str, identifier: str) -> dict[str, Any]:
    return {
        name: {"url": f"{host}/{identifier}/{file}.jpg", "width": width, "height": height}
        for name, (file, width, height) in _THUMBNAILS.items()
    }


def video_items(seed: int, videos: Videos, hours: float, parts: set[str]) -> list[dict[str, Any]]:
    """Resources of the videos, which must all be published."""
    if not len(videos.ids):
        return []
    measured = counts(videos, hours)
    return [_video(seed, videos, row, measured, parts) for row in range(len(videos.ids))]


def _video(
    seed: int, videos: Videos, row: int, measured: Counts, parts: set[str]
) -> dict[str, Any]:
    entity = int(videos.ids[row])
    identifier = video_id(seed, entity)
    fixed = _fixed_parts(
        seed, entity, float(videos.published[row]), int(videos.channel[row]),
        (int(videos.niche[row]), int(videos.subject[row]), int(videos.angle[row])),
    )  # fmt: skip
    item: dict[str, Any] = {"kind": "youtube#video", "etag": "", "id": identifier}
    item |= {name: value for name, value in fixed.items() if name in parts}
    if "statistics" in parts:
        item["statistics"] = _statistics(seed, entity, row, measured)
    item["etag"] = etag(identifier, sorted(parts), item.get("statistics"))
    return item


def _statistics(seed: int, entity: int, row: int, measured: Counts) -> dict[str, str]:
    result = {"viewCount": str(measured.views[row])}
    if share(seed, "video:likes:hidden", entity) >= p.LIKES_HIDDEN:
        result["likeCount"] = str(measured.likes[row])
    result["favoriteCount"] = "0"
    if share(seed, "video:comments:hidden", entity) >= p.COMMENTS_HIDDEN:
        result["commentCount"] = str(measured.comments[row])
    return result


@lru_cache(maxsize=16384)
def _fixed_parts(
    seed: int, entity: int, published: float, channel: int, topic: tuple[int, int, int]
) -> dict[str, Any]:
    """The parts of a video that never change."""
    niche = vocabulary().niches[topic[0]]
    title = video_title(seed, entity, *topic)
    subject, angle = niche.subjects[topic[1]], niche.angles[topic[2]]
    owner = channel_title(seed, channel)
    text = video_description(subject, angle, owner)
    snippet: dict[str, Any] = {
        "publishedAt": iso(published),
        "channelId": channel_id(seed, channel),
        "title": title,
        "description": text,
        "thumbnails": _thumbnails("https://i.ytimg.com/vi", video_id(seed, entity)),
        "channelTitle": owner,
        "categoryId": str(niche.category),
        "liveBroadcastContent": "none",
        "localized": {"title": title, "description": text},
    }
    if (tags := video_tags(seed, entity, niche, subject, angle)) is not None:
        snippet["tags"] = tags
    if share(seed, "video:language", entity) >= p.LANGUAGE_ABSENT:
        snippet["defaultLanguage"] = "en"
    if share(seed, "video:audio", entity) >= p.AUDIO_LANGUAGE_ABSENT:
        snippet["defaultAudioLanguage"] = "en"
    seconds = durations(seed, np.array([entity], dtype=np.int64), np.array([topic[0]]))
    details: dict[str, Any] = {
        "duration": iso_duration(int(seconds[0])),
        "dimension": "2d",
        "definition": "hd",
        "caption": "true" if share(seed, "video:captions", entity) < p.CAPTIONS else "false",
        "licensedContent": share(seed, "video:licensed", entity) < p.LICENSED,
        "contentRating": {},
        "projection": "rectangular",
    }
    status = {
        "uploadStatus": "processed",
        "privacyStatus": "public",
        "license": "youtube",
        "embeddable": True,
        "publicStatsViewable": True,
        "madeForKids": False,
    }
    return {"snippet": snippet, "contentDetails": details, "status": status}


def durations(seed: int, ids: noise.Ints, niche: noise.Ints) -> noise.Ints:
    """Lengths of videos in seconds."""
    kinds = vocabulary().niches
    median = np.array([kind.median_s for kind in kinds])[niche]
    sigma = np.array([kind.sigma for kind in kinds])[niche]
    seconds = median * np.exp(sigma * noise.normal(seed, "video:duration", ids))
    return np.asarray(np.clip(seconds, 5.0, 43_200.0), dtype=np.int64)


def search_items(seed: int, videos: Videos, parts: set[str]) -> list[dict[str, Any]]:
    """Search results that point at the videos."""
    return [_search_item(item, parts) for item in video_items(seed, videos, 0.0, {"snippet"})]


def _search_item(video: dict[str, Any], parts: set[str]) -> dict[str, Any]:
    result: dict[str, Any] = {
        "kind": "youtube#searchResult",
        "etag": etag("search", video["id"], sorted(parts)),
        "id": {"kind": "youtube#video", "videoId": video["id"]},
    }
    if "snippet" in parts:
        full = video["snippet"]
        text = full["description"]
        excerpt = text if len(text) <= _EXCERPT else text[:_EXCERPT].rsplit(" ", 1)[0] + " ..."
        result["snippet"] = {
            "publishedAt": full["publishedAt"],
            "channelId": full["channelId"],
            "title": _escaped(full["title"]),
            "description": _escaped(" ".join(excerpt.split())),
            "thumbnails": full["thumbnails"],
            "channelTitle": _escaped(full["channelTitle"]),
            "liveBroadcastContent": full["liveBroadcastContent"],
            "publishTime": full["publishedAt"],
        }
    return result


def _escaped(text: str) -> str:
    return html.escape(text).replace("&#x27;", "&#39;")


def category_item(number: int, parts: set[str]) -> dict[str, Any]:
    """Resource of a video category."""
    item: dict[str, Any] = {
        "kind": "youtube#videoCategory", "etag": etag("category", number), "id": str(number),
    }  # fmt: skip
    if "snippet" in parts:
        title = CATEGORIES[number]
        item["snippet"] = {"title": title, "assignable": True, "channelId": _CATEGORY_OWNER}
    return item


def _handle(title: str) -> str:
    return "@" + "".join(character for character in title.lower() if character.isalnum())


@lru_cache(maxsize=2)
def channel_handles(seed: int) -> dict[str, int]:
    """The channel of each handle; of those with the same name, the first."""
    found: dict[str, int] = {}
    for index in range(p.CHANNELS):
        found.setdefault(_handle(channel_title(seed, index)), index)
    return found


def channel_item(seed: int, index: int, hours: float, parts: set[str]) -> dict[str, Any]:
    """Resource of a channel at a time."""
    identifier = channel_id(seed, index)
    title = channel_title(seed, index)
    region = list(p.REGIONS)[int(channels(seed).region[index])]
    subscribers = subscribers_at(seed, index, hours)
    founded = -p.HOURS_PER_DAY * (200 + noise.pick(seed, "channel:founded", index, 4000))
    uploads = 40 + noise.pick(seed, "channel:uploads", index, 1500)
    hidden = share(seed, "channel:hidden", index) < p.SUBSCRIBERS_HIDDEN
    known: dict[str, Any] = {
        "snippet": {
            "title": title,
            "description": f"{title}: new videos every week.",
            "customUrl": _handle(title),
            "publishedAt": iso(float(founded)),
            "thumbnails": _thumbnails("https://yt3.ggpht.com", identifier),
            "localized": {"title": title, "description": f"{title}: new videos every week."},
            "country": region,
        },
        "contentDetails": {"relatedPlaylists": {"likes": "", "uploads": "UU" + identifier[2:]}},
        "statistics": {
            "viewCount": str(subscribers * (90 + index % 120)),
            "subscriberCount": str(subscribers),
            "hiddenSubscriberCount": hidden,
            "videoCount": str(uploads),
        },
    }
    if hidden:
        del known["statistics"]["subscriberCount"]
    item: dict[str, Any] = {"kind": "youtube#channel", "etag": "", "id": identifier}
    item |= {name: value for name, value in known.items() if name in parts}
    item["etag"] = etag(identifier, sorted(parts), item.get("statistics"))
    return item
