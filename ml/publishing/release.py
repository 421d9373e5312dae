"""The last step of a video: out, to where its channel publishes; and back, when it must.

The outbox has the files since the stage `publish`, and the video is out there once its row says so.
For YouTube the upload is done here; a channel whose upload is rejected, or that is not in good
standing, is left alone for 24 hours.
"""

from __future__ import annotations

import json
import logging
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from ml.clock import as_of
from ml.exceptions import ConfigurationError, FatalError, ServiceUnavailableError
from ml.generation import publish
from ml.generation.failures import close_letter
from ml.generation.records import content_store, mark
from ml.planning.channels import ChannelConfig, closed_because, get_channel, quarantine
from ml.publishing import upload
from ml.publishing.credentials import decrypt, encrypt, refresh_token
from ml.publishing.provenance import record_provenance
from ml.publishing.upload import Film
from ml.publishing.youtube_client import LIST, AccountSuspendedError, YouTube
from ml.settings import Settings, get_settings
from ml.storage.postgres import connect, query
from ml.storage.quotas import LedgerMeter

log = logging.getLogger(__name__)

_WATCH = "https://www.youtube.com/watch?v="
_VIDEO = """
select v.video_id, v.channel_id, v.title, v.verdict, v.files, v.local_path, s.publish_at, s.brief,
    p.destination, p.status, p.external_id, p.session, p.url
from content.videos as v
left join content.video_schedule as s using (video_id)
left join content.publications as p using (video_id)
where v.video_id = %s
order by p.updated_at desc nulls last
limit 1
"""
_PUT = """
insert into content.publications (video_id, destination, status, external_id, url, session,
    privacy, published_at, details)
values (%(video_id)s, %(destination)s, %(status)s, %(external_id)s, %(url)s, %(session)s,
    %(privacy)s, %(published_at)s, %(details)s)
on conflict (video_id, destination) do update set status = excluded.status,
    external_id = coalesce(excluded.external_id, publications.external_id),
    url = coalesce(excluded.url, publications.url), session = excluded.session,
    privacy = coalesce(excluded.privacy, publications.privacy),
    published_at = coalesce(publications.published_at, excluded.published_at),
    details = publications.details || excluded.details, updated_at = now()
"""


class RejectedUploadError(FatalError):
    """The platform does not let the video stand, or the channel has a strike."""


@dataclass(frozen=True)
class Released:
    """Where a video stands.

    Attributes:
        status: published, held, rejected or unpublished.
        destination: outbox or youtube; None for what is not out.
    """

    video_id: str
    status: str
    destination: str | None = None
    url: str | None = None


def conclude(video_id: str, settings: Settings | None = None) -> Released:
    """The end of a video: bring it out, close its manifest, and its dead letter if it has one.

    Killed anywhere it can be called again.

    Raises:
        FatalError: as `release` does.
        RetriableError: if something is away; calling again goes on.
    """
    released = release(video_id, settings)
    record_provenance(video_id, settings)
    close_letter(video_id, settings=settings)
    return released


def release(video_id: str, settings: Settings | None = None) -> Released:
    """Bring out a video that passed the gate; what did not is left where it is.

    Killed anywhere it can be called again: nothing is uploaded twice.

    Raises:
        FatalError: if there is no such video, or its channel may not publish now.
        RejectedUploadError: if the platform rejects it; the channel is in quarantine then.
        AccountSuspendedError: if the account is suspended; the channel is in quarantine then, and
            the video can be released later.
        QuotaExceededError: if no upload is left of the day.
        RetriableError: if something is away; calling again goes on.
    """
    settings = settings or get_settings()
    with _alone(settings, video_id) as conn:
        video = _read(conn, video_id)
        if video["verdict"] not in ("approved", "published"):
            return Released(video_id, video["verdict"])
        if video["status"] == "published":
            if video["verdict"] == "approved":
                _finish(conn, video_id, "published")
            return Released(video_id, "published", video["destination"], video["url"])
        now = as_of(conn, settings)
        if reason := closed_because(conn, video["channel_id"], now):
            raise FatalError(f"{video_id} is not published: {reason}; replay it afterwards")
        channel = _channel(conn, video["channel_id"])
        if channel is None or channel.publisher == "outbox":
            with conn.transaction():
                url = video["local_path"]
                _put(conn, video_id, "outbox", "published", url=url, published_at=now)
                _finish(conn, video_id, "published")
            return Released(video_id, "published", "outbox", video["local_path"])
        return _to_youtube(conn, settings, video, channel, now)


def unpublish(video_id: str, settings: Settings | None = None) -> Released:
    """Take a video down: private on YouTube, out of the outbox. Again changes nothing.

    Raises:
        FatalError: if it is not out.
    """
    settings = settings or get_settings()
    with _alone(settings, video_id) as conn:
        video = _read(conn, video_id)
        if video["verdict"] == "unpublished":
            return Released(video_id, "unpublished", video["destination"])
        if video["verdict"] not in ("published", "approved"):
            raise FatalError(f"{video_id} is not out: it is {video['verdict']}")
        destination = video["destination"] or "outbox"
        external_id = _hide(conn, settings, video) if destination == "youtube" else None
        _leave_outbox(settings, video)
        with conn.transaction():
            _put(conn, video_id, destination, "unpublished", external_id=external_id)
            _finish(conn, video_id, "unpublished")
    return Released(video_id, "unpublished", destination)


def owner(
    conn: psycopg.Connection, settings: Settings, channel_id: str, meter: LedgerMeter
) -> YouTube:
    """YouTube as the owner of one of our channels."""
    return YouTube(settings, refresh_token(conn, settings, channel_id), meter)


def reject(
    conn: psycopg.Connection, video_id: str, channel_id: str, now: datetime, reason: str
) -> RejectedUploadError:
    """Note that the platform has rejected a video, and close its channel for a day."""
    with conn.transaction():
        until = quarantine(conn, channel_id, now, f"{video_id}: {reason}")
        _put(conn, video_id, "youtube", "rejected", details={"rejected": reason})
        _finish(conn, video_id, "rejected")
    return RejectedUploadError(
        f"YouTube does not let {video_id} stand ({reason}); channel {channel_id} is in quarantine"
        f" until {until.isoformat()}"
    )


def _to_youtube(
    conn: psycopg.Connection,
    settings: Settings,
    video: dict[str, Any],
    channel: ChannelConfig,
    now: datetime,
) -> Released:
    video_id, started = video["video_id"], time.monotonic()
    try:
        with LedgerMeter(settings) as meter, tempfile.TemporaryDirectory() as folder:
            youtube = owner(conn, settings, channel.channel_id, meter)
            _require_standing(conn, youtube, channel.channel_id, now)
            film = _film(settings, video, channel, now, Path(folder))
            external_id = video["external_id"] or _upload(conn, settings, youtube, video, film)
            upload.set_thumbnail(youtube, external_id, film.files["thumbnail.jpg"])
            upload.add_captions(youtube, external_id, film.files["captions.srt"], channel.language)
            status, published_at = _look(youtube, external_id)
    except AccountSuspendedError as error:
        quarantine(conn, channel.channel_id, now, f"{video_id}: {error}")
        raise
    if status.get("uploadStatus") in ("rejected", "failed"):
        reason = status.get("rejectionReason") or status.get("failureReason") or "no reason"
        raise reject(conn, video_id, channel.channel_id, now, reason)
    with conn.transaction():
        _put(
            conn, video_id, "youtube", "published", external_id=external_id,
            url=_WATCH + external_id, privacy=status.get("privacyStatus"),
            published_at=published_at, details={"upload_status": status.get("uploadStatus")},
        )  # fmt: skip
        _book_time(conn, video, time.monotonic() - started)
        _finish(conn, video_id, "published")
    return Released(video_id, "published", "youtube", _WATCH + external_id)


def _require_standing(
    conn: psycopg.Connection, youtube: YouTube, channel_id: str, now: datetime
) -> None:
    if bad := upload.standing(youtube):
        until = quarantine(conn, channel_id, now, f"strike: {', '.join(bad)}")
        raise RejectedUploadError(
            f"channel {channel_id} is not in good standing ({', '.join(bad)}); it is in quarantine"
            f" until {until.isoformat()}"
        )


def _hide(conn: psycopg.Connection, settings: Settings, video: dict[str, Any]) -> str | None:
    """Make a video private on YouTube; gives its id there, None if it is not there."""
    with LedgerMeter(settings) as meter:
        youtube = owner(conn, settings, video["channel_id"], meter)
        external_id: str | None = video["external_id"]
        if external_id is None:  # an upload that was killed may be whole and not noted yet
            found = upload.find_uploaded(youtube, upload.mark_of(video["video_id"]))
            external_id = str(found["id"]) if found else None
        if external_id is not None:
            upload.hide(youtube, external_id)
    return external_id


def _upload(
    conn: psycopg.Connection, settings: Settings, youtube: YouTube, video: dict[str, Any],
    film: Film,
) -> str:  # fmt: skip
    video_id = video["video_id"]

    def keep(session: str) -> None:
        _put(conn, video_id, "youtube", "uploading", session=encrypt(settings, session))

    session = decrypt(settings, video["session"]) if video["session"] else None
    was_started = video["status"] == "uploading"
    if not was_started:
        _put(conn, video_id, "youtube", "uploading")
    found = upload.upload_video(
        youtube, film, session, keep,
        was_started=was_started, chunk_bytes=settings.youtube_upload_chunk_mib * 1024 * 1024,
    )  # fmt: skip
    external_id = str(found["id"])
    _put(conn, video_id, "youtube", "uploading", external_id=external_id, url=_WATCH + external_id)
    return external_id


def _look(youtube: YouTube, external_id: str) -> tuple[dict[str, Any], datetime | None]:
    """A video's status, and when it is out by YouTube's clock."""
    listing = youtube.data.videos().list(part="snippet,status", id=external_id)
    items = youtube.call(listing, LIST).get("items", ())
    if not items:
        raise FatalError(f"YouTube does not know the video {external_id} that it took")
    status = dict(items[0]["status"])
    at = status.get("publishAt") or items[0]["snippet"].get("publishedAt")
    return status, datetime.fromisoformat(at).astimezone(UTC) if at else youtube.now


def _film(
    settings: Settings, video: dict[str, Any], channel: ChannelConfig, now: datetime, folder: Path
) -> Film:
    store = content_store(settings)
    files = {}
    for name in ("video.mp4", "thumbnail.jpg", "captions.srt", "script.json", "manifest.json"):
        files[name] = folder / name
        store.get_file(video["files"][name]["key"], files[name])
    about = json.loads(files["script.json"].read_text(encoding="utf-8"))["seo_metadata"]
    manifest = json.loads(files.pop("manifest.json").read_text(encoding="utf-8"))
    at = video["publish_at"]
    return Film(
        video_id=video["video_id"],
        title=video["title"],
        description="\n".join([about["description"], *manifest.get("credits", ())]),
        tags=tuple(about["tags"]),
        category_id=channel.category_id,
        language=channel.language,
        privacy=channel.privacy,
        publish_at=at if at is not None and at > now else None,
        files=files,
    )


def _leave_outbox(settings: Settings, video: dict[str, Any]) -> None:
    """Move the local files out of the outbox; the bucket keeps its copy, as evidence."""
    folder = Path(video["local_path"]) if video["local_path"] else None
    if folder is not None and folder.is_dir():
        target = publish.local_folder(settings.outbox_dir, "unpublished", video["video_id"])
        target.parent.mkdir(parents=True, exist_ok=True)
        folder.replace(target)


def _channel(conn: psycopg.Connection, channel_id: str) -> ChannelConfig | None:
    """The video's channel; None for one that is not configured, whose videos go to the outbox."""
    try:
        return get_channel(conn, channel_id)
    except ConfigurationError:
        return None


def _read(conn: psycopg.Connection, video_id: str) -> dict[str, Any]:
    rows = query(conn, _VIDEO, (video_id,))
    if not rows:
        raise FatalError(f"there is no finished video {video_id}")
    return rows[0]


def _put(
    conn: psycopg.Connection, video_id: str, destination: str, status: str, **values: Any
) -> None:
    row = dict.fromkeys(("external_id", "url", "session", "privacy", "published_at"), None)
    row |= values | {"details": Jsonb(values.get("details", {}))}
    conn.execute(_PUT, {"video_id": video_id, "destination": destination, "status": status, **row})


def _finish(conn: psycopg.Connection, video_id: str, status: str) -> None:
    with conn.transaction():
        conn.execute(
            "update content.videos set verdict = %s where video_id = %s", (status, video_id)
        )
        mark(conn, video_id, status)


def _book_time(conn: psycopg.Connection, video: dict[str, Any], seconds: float) -> None:
    conn.execute(
        "insert into ops.cost_ledger (cost_id, video_id, stage, provider, unit, quantity, cost_usd)"
        " values (%s, %s, 'upload', 'youtube', 'seconds', %s, 0) on conflict (cost_id) do nothing",
        (f"{video['video_id']}/upload", video["video_id"], round(seconds, 3)),
    )


@contextmanager
def _alone(settings: Settings, video_id: str) -> Iterator[psycopg.Connection]:
    """A connection that nobody else has for this video; each statement is kept at once."""
    with connect(settings.require("database_url"), autocommit=True) as conn:
        key = f"release/{video_id}"
        held = conn.execute(
            "select pg_try_advisory_lock(hashtextextended(%s, 0))", (key,)
        ).fetchone()
        if not held or not held[0]:
            raise ServiceUnavailableError(f"another worker is publishing {video_id}")
        yield conn
