"""One video to YouTube, once, however often and wherever it is killed.

The address of the upload session is kept before the first byte goes out. A worker that comes later
asks the session how far it is and goes on there; where the session is gone, the channel's uploads
are searched for the tag that carries our id of the video before a new session is opened.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tenacity import (
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from ml.exceptions import FatalError, ProviderError
from ml.publishing.youtube_client import (
    CAPTIONS,
    LIST,
    THUMBNAIL,
    UPDATE,
    UPLOADS,
    YouTube,
    reason_of,
    translated,
    whole,
)

log = logging.getLogger(__name__)

_TITLE, _DESCRIPTION, _TAGS = 100, 5000, 500  # characters, bytes, characters with separators
_RECENT = 50  # of the channel's uploads are searched
_ANGLES = str.maketrans("<>", "()")  # YouTube refuses these two


@dataclass(frozen=True)
class Film:
    """What is to be uploaded.

    Attributes:
        publish_at: when it is to become public; None: at once.
        files: `video.mp4`, `thumbnail.jpg` and `captions.srt`.
    """

    video_id: str
    title: str
    description: str
    tags: tuple[str, ...]
    category_id: str
    language: str
    privacy: str
    publish_at: datetime | None
    files: dict[str, Path]

    @property
    def mark(self) -> str:
        """The tag by which the video is found again."""
        return mark_of(self.video_id)

    def resource(self) -> dict[str, Any]:
        """As videos.insert takes it, cut to what YouTube allows."""
        status: dict[str, Any] = {
            "privacyStatus": self.privacy,
            "containsSyntheticMedia": True,
            "selfDeclaredMadeForKids": False,
        }
        if self.publish_at is not None and self.privacy == "public":
            at = self.publish_at.strftime("%Y-%m-%dT%H:%M:%SZ")
            status |= {"privacyStatus": "private", "publishAt": at}
        description = self.description.translate(_ANGLES).encode()[:_DESCRIPTION]
        return {
            "snippet": {
                "title": self.title.translate(_ANGLES)[:_TITLE],
                "description": description.decode(errors="ignore"),
                "tags": self._tags(),
                "categoryId": self.category_id,
                "defaultLanguage": self.language,
                "defaultAudioLanguage": self.language,
            },
            "status": status,
        }

    def _tags(self) -> list[str]:
        # A tag with a space counts with two quotation marks, and each with a comma.
        left, kept = _TAGS, []
        for tag in (self.mark, *self.tags):
            cost = len(tag) + (2 if " " in tag else 0) + 1
            if cost <= left:
                left -= cost
                kept.append(tag.translate(_ANGLES))
        return kept


def mark_of(video_id: str) -> str:
    """The tag by which a video of ours is found on YouTube."""
    return f"ytempire {video_id}"


def upload_video(
    youtube: YouTube,
    film: Film,
    session: str | None,
    keep_session: Callable[[str], None],
    *,
    was_started: bool,
    chunk_bytes: int,
) -> dict[str, Any]:
    """Upload the film, or finish an upload of it, or find it.

    Args:
        youtube: as the channel's owner.
        film: what.
        session: the address of an earlier session.
        keep_session: called with the address of a new session before the first byte is sent.
        was_started: whether an earlier worker has begun; then the channel is searched first.
        chunk_bytes: sent at once.

    Returns:
        The video resource.

    Raises:
        QuotaExceededError: if no upload is left of the day.
        ProviderError: if the provider fails; calling again goes on.
        FatalError: if it refuses the video.
    """
    from googleapiclient.http import MediaFileUpload

    media = MediaFileUpload(
        str(film.files["video.mp4"]), mimetype="video/mp4", chunksize=chunk_bytes, resumable=True
    )
    request = youtube.data.videos().insert(
        part="snippet,status", body=film.resource(), media_body=media
    )
    if session is not None:
        found = _resume(request, session, media.size())
        if found is not None:
            return found
    if request.resumable_uri is None:
        if was_started and (found := find_uploaded(youtube, film.mark)) is not None:
            return found
        youtube.book(UPLOADS, 1)
    return _send(request, keep_session)


def _resume(request: Any, session: str, size: int) -> dict[str, Any] | None:
    """Ask a session how far it is; gives the video if it is complete."""
    headers = {"Content-Range": f"bytes */{size}", "content-length": "0"}
    response, content = translated(
        lambda: request.http.request(session, method="PUT", headers=headers)
    )
    if response.status in (200, 201):
        return whole(translated(lambda: request.postproc(response, content)))
    if response.status >= 500 or response.status in (401, 429):
        raise ProviderError(f"youtube answers {response.status} about an upload under way")
    if response.status == 308:
        request.resumable_uri = session
        came = response.get("range", "")
        request.resumable_progress = int(came.rpartition("-")[2]) + 1 if came else 0
        log.info("upload goes on at byte %s", request.resumable_progress)
    return None


def _send(request: Any, keep_session: Callable[[str], None]) -> dict[str, Any]:
    from google_auth_httplib2 import AuthorizedHttp
    from googleapiclient.errors import HttpError

    if request.resumable_uri is None:
        _open(request, keep_session)
    # Refused, the client would take a new token and send the chunk from a stream that it has read
    # to its end: YouTube waits for the rest until both give up.
    http = AuthorizedHttp(request.http.credentials, request.http.http, refresh_status_codes=())
    while True:
        try:
            found = _patiently(lambda: translated(lambda: request.next_chunk(http=http))[1])
        except FatalError as error:
            cause = error.__cause__
            if isinstance(cause, HttpError) and cause.resp.status == 401:
                raise ProviderError(
                    "youtube refuses the token amid an upload; the next try takes a new one"
                ) from error
            gone = isinstance(cause, HttpError) and cause.resp.status in (404, 410)
            if gone and reason_of(cause) in ("", "notFound"):
                raise ProviderError(
                    "the upload session has ended; the next try opens one"
                ) from error
            raise
        if found is not None:
            return whole(found)


# The client's own retries send a chunk again from a stream that it has read to its end. Asked anew
# after an error it first asks the session how far it is.
_patiently = Retrying(
    retry=retry_if_exception_type(ProviderError),
    stop=stop_after_attempt(4),
    wait=wait_random_exponential(multiplier=0.5, max=8),
    reraise=True,
)


def _open(request: Any, keep_session: Callable[[str], None]) -> None:
    """Open a session, and keep its address before anything is sent to it."""
    headers = {
        **request.headers,
        "X-Upload-Content-Type": request.resumable.mimetype(),
        "X-Upload-Content-Length": str(request.resumable.size()),
        "content-length": str(request.body_size),
    }

    def start() -> Any:
        from googleapiclient.errors import HttpError

        response, content = request.http.request(
            request.uri, method=request.method, body=request.body, headers=headers
        )
        if response.status != 200 or "location" not in response:
            raise HttpError(response, content, uri=request.uri)
        return response["location"]

    request.resumable_uri = translated(start)
    keep_session(request.resumable_uri)


def find_uploaded(youtube: YouTube, mark: str) -> dict[str, Any] | None:
    """The video of the channel's last uploads that carries a tag."""
    data = youtube.data
    own = youtube.call(data.channels().list(part="contentDetails", mine=True), LIST)
    if not own.get("items"):
        raise FatalError("the YouTube account has no channel; create one and try again")
    playlist = own["items"][0]["contentDetails"]["relatedPlaylists"]["uploads"]
    listing = data.playlistItems().list(
        part="contentDetails", playlistId=playlist, maxResults=_RECENT
    )
    try:
        items = youtube.call(listing, LIST).get("items", ())
    except FatalError as error:
        if reason_of(error.__cause__) != "playlistNotFound":  # nothing was ever uploaded
            raise
        return None
    ids = [item["contentDetails"]["videoId"] for item in items]
    if not ids:
        return None
    found = youtube.call(data.videos().list(part="snippet,status", id=",".join(ids)), LIST)
    for item in found.get("items", ()):
        if mark in item["snippet"].get("tags", ()):
            return dict(item)
    return None


def set_thumbnail(youtube: YouTube, external_id: str, path: Path) -> None:
    """Give a video its thumbnail; again is the same."""
    from googleapiclient.http import MediaFileUpload

    media = MediaFileUpload(str(path), mimetype="image/jpeg")
    youtube.call(youtube.data.thumbnails().set(videoId=external_id, media_body=media), THUMBNAIL)


def add_captions(youtube: YouTube, external_id: str, path: Path, language: str) -> None:
    """Give a video its captions; a track that is there already stays."""
    from googleapiclient.http import MediaFileUpload

    media = MediaFileUpload(str(path), mimetype="application/octet-stream")
    body = {"snippet": {"videoId": external_id, "language": language, "name": ""}}
    insert = youtube.data.captions().insert(part="snippet", body=body, media_body=media)
    try:
        youtube.call(insert, CAPTIONS)
    except FatalError as error:
        if reason_of(error.__cause__) != "captionExists":
            raise


def hide(youtube: YouTube, external_id: str) -> None:
    """Make a video private, which also takes back its schedule."""
    body = {
        "id": external_id,
        "status": {"privacyStatus": "private", "containsSyntheticMedia": True},
    }
    youtube.call(youtube.data.videos().update(part="status", body=body), UPDATE)


def standing(youtube: YouTube) -> list[str]:
    """The respects in which the channel is not in good standing, by YouTube's name."""
    listing = youtube.data.channels().list(part="auditDetails", mine=True)
    try:
        found = youtube.call(listing, LIST).get("items", ())
    except FatalError as error:
        # Only tokens with the scope of channel audits are told.
        if reason_of(error.__cause__) in ("forbidden", "insufficientPermissions"):
            log.warning("the channel's standing is not known: %s", error)
            return []
        raise
    details = found[0].get("auditDetails", {}) if found else {}
    return [name for name, is_good in details.items() if is_good is False]
