"""What the owner of the own channel writes: videos, their thumbnails, captions and status.

The resumable protocol is that of
https://developers.google.com/youtube/v3/guides/using_resumable_upload_protocol (read 2026-11): a
POST opens a session whose address is in `Location`; each PUT is answered by 308 with the `Range`
that has come (none before the first byte), the last one by 201 with the video; `bytes */SIZE` asks
how far it is; a session that is not known is 404. Parameters and errors as documented on
https://developers.google.com/youtube/v3/docs/videos/insert, .../videos/update,
.../thumbnails/set and .../captions/insert; a thumbnail costs 50 units, captions 400, an update 50,
and there are 100 videos.insert a day in a pool of their own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from email import message_from_bytes
from typing import Any

from fastapi import APIRouter, Request, Response

from ml.world.answers import Call, World, answer, encode, read_call
from ml.world.providers import google, google_oauth
from ml.world.providers.google import ApiError
from ml.world.providers.youtube_api import HOSTS, spend
from ml.world.providers.youtube_lists import upload_item
from ml.world.uploads import Upload, hours_since_start

_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+)")
_MOST_THUMBNAIL = 2_097_152
_MOST_TITLE, _MOST_DESCRIPTION = 100, 5000  # characters, bytes
_WRITABLE = frozenset({"snippet", "status"})
Handler = Callable[[Call, Request], Awaitable[Response]]


def router(world: World) -> APIRouter:
    """The routes below both addresses of the API."""
    routes = APIRouter()
    methods: tuple[tuple[str, str, Handler], ...] = (
        ("POST", "upload/youtube/v3/videos", _start),
        ("PUT", "upload/youtube/v3/videos", _receive),
        ("POST", "upload/youtube/v3/thumbnails/set", _set_thumbnail),
        ("POST", "upload/youtube/v3/captions", _insert_captions),
        ("PUT", "youtube/v3/videos", _update),
    )
    for host in HOSTS:
        for verb, path, handler in methods:
            routes.add_api_route(f"/{host}/{path}", _endpoint(world, handler), methods=[verb])
    return routes


def _endpoint(world: World, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def respond(request: Request) -> Response:
        call = read_call(request, world)
        try:
            if not google_oauth.has_token(call, request):
                raise google.login_required("youtube.googleapis.com", with_key=False)
            if error := google.injected(call):
                raise error
            return await handler(call, request)
        except ApiError as error:
            return await google.refuse(call, error)

    return respond


async def _start(call: Call, request: Request) -> Response:
    if request.query_params.get("uploadType") != "resumable":
        raise _wrong("uploadType", "this world takes resumable uploads of videos only")
    size = request.headers.get("X-Upload-Content-Length", "")
    if not size.isascii() or not size.isdigit() or int(size) == 0:
        raise ApiError(400, "mediaBodyRequired", "The request does not include the video content.")
    resource = _resource(await request.body())
    _check(resource)
    if not spend(call, "upload", 1):
        raise google.quota_exceeded()
    made = call.world.uploads.start(int(size), resource)
    host = request.url.path.split("/")[1]
    address = f"{request.url.scheme}://{request.url.netloc}/{host}/upload/youtube/v3/videos"
    headers = {
        "Location": f"{address}?uploadType=resumable&upload_id={made.session}",
        "X-GUploader-UploadID": made.session,
    }
    return Response(b"", 200, headers)


async def _receive(call: Call, request: Request) -> Response:
    upload = call.world.uploads.of_session(request.query_params.get("upload_id", ""))
    if upload is None:
        raise ApiError(404, "notFound", "Upload session not found", domain="global")
    data = await request.body()
    found = _RANGE.fullmatch(request.headers.get("Content-Range", f"bytes */{upload.size}"))
    if found is None or int(found[3]) != upload.size:
        raise _wrong("Content-Range", "Failed to parse Content-Range header.")
    if found[1] is not None and upload.completed is None:
        if int(found[2]) - int(found[1]) + 1 != len(data):
            raise _wrong("Content-Range", "Invalid request. The body is not the named range.")
        # Bytes that are there already are sent again after an answer was lost.
        skipped = upload.received - int(found[1])
        if 0 <= skipped < len(data):
            call.world.uploads.receive(upload, data[skipped:], call.hours)
    if upload.completed is not None:
        body = encode(upload_item(call, upload, {"id", *_WRITABLE}, is_new=True))
        return await answer(call, lambda: body, 201)
    headers = {"Range": f"bytes=0-{upload.received - 1}"} if upload.received else {}
    return await answer(call, lambda: b"", 308, headers)


async def _set_thumbnail(call: Call, request: Request) -> Response:
    upload = _own(call, request.query_params.get("videoId", ""))
    data = await request.body()
    if len(data) > _MOST_THUMBNAIL:
        raise ApiError(413, "uploadTooLarge", "Media is too large.", domain="global")
    _pay(call, 50)
    try:
        call.world.uploads.set_thumbnail(upload, data)
    except ValueError:
        raise ApiError(
            400, "invalidImage", "The provided image content is invalid.",
            domain="youtube.thumbnail",
        ) from None  # fmt: skip
    items = [{"default": {"url": f"https://i.ytimg.com/vi/{upload.video_id}/default.jpg"}}]
    document = {"kind": "youtube#thumbnailSetResponse", "etag": upload.session, "items": items}
    return await answer(call, lambda: encode(document))


async def _insert_captions(call: Call, request: Request) -> Response:
    header = f"Content-Type: {request.headers.get('Content-Type', '')}\r\n\r\n".encode()
    message = message_from_bytes(header + await request.body())
    parts = [part.get_payload(decode=True) for part in message.walk() if not part.is_multipart()]
    if len(parts) != 2 or not isinstance(parts[0], bytes):
        raise _wrong("contentRequired", "The request does not contain the caption track contents.")
    snippet = _resource(parts[0]).get("snippet", {})
    upload = _own(call, str(snippet.get("videoId", "")))
    if not snippet.get("language"):
        raise _wrong("snippet.language", "Required")
    key = {name: snippet.get(name, "") for name in ("language", "name")}
    if any(key.items() <= track.items() for track in upload.captions):
        raise ApiError(
            409, "captionExists", "The specified video already has a caption track with the given"
            " language and name.", domain="youtube.caption",
        )  # fmt: skip
    _pay(call, 400)
    track = {**snippet, **key}
    upload.captions.append(track)
    call.world.uploads.save()
    document = {
        "kind": "youtube#caption", "etag": upload.session,
        "id": f"{upload.video_id}-{len(upload.captions)}", "snippet": track,
    }  # fmt: skip
    return await answer(call, lambda: encode(document))


async def _update(call: Call, request: Request) -> Response:
    resource = _resource(await request.body())
    upload = _own(call, str(resource.get("id", "")))
    parts = set(request.query_params.get("part", "").split(","))
    if not parts <= {"id", *_WRITABLE}:
        raise _wrong("part", f"'{min(parts - _WRITABLE)}'")
    changed = {**upload.resource, **{part: resource.get(part, {}) for part in parts & _WRITABLE}}
    _check(changed)
    _pay(call, 50)
    upload.resource = changed
    call.world.uploads.save()
    body = encode(upload_item(call, upload, {"id", *parts}))
    return await answer(call, lambda: body)


def _own(call: Call, video_id: str) -> Upload:
    upload = call.world.uploads.get(video_id)
    if upload is None:
        raise ApiError(
            404, "videoNotFound",
            "The video that you are trying to update cannot be found.", domain="youtube.video",
        )  # fmt: skip
    return upload


def _pay(call: Call, units: int) -> None:
    if not spend(call, "default", units):
        raise google.quota_exceeded()


def _resource(body: bytes) -> dict[str, Any]:
    try:
        resource = json.loads(body or b"{}")
    except ValueError:
        raise _wrong("parseError", "Parse Error") from None
    if not isinstance(resource, dict):
        raise _wrong("parseError", "Parse Error")
    return resource


def _check(resource: dict[str, Any]) -> None:
    snippet, status = resource.get("snippet", {}), resource.get("status", {})
    title = str(snippet.get("title", ""))
    if not title.strip() or len(title) > _MOST_TITLE or set("<>") & set(title):
        raise ApiError(400, "invalidTitle", "The request metadata specifies an invalid or empty"
                       " video title.", domain="youtube.video")  # fmt: skip
    description = str(snippet.get("description", ""))
    if len(description.encode()) > _MOST_DESCRIPTION or set("<>") & set(description):
        raise ApiError(400, "invalidDescription", "The request metadata specifies an invalid video"
                       " description.", domain="youtube.video")  # fmt: skip
    if at := status.get("publishAt"):
        try:
            hours_since_start(str(at))
        except ValueError:
            at = None
        if at is None or status.get("privacyStatus") != "private":
            raise ApiError(400, "invalidPublishAt", "The request metadata specifies an invalid"
                           " scheduled publishing time.", domain="youtube.video")  # fmt: skip


def _wrong(name: str, message: str) -> ApiError:
    return ApiError(400, "badRequest", message, domain="global", location=name)
