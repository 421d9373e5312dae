"""Failed videos: dead letters with everything that it takes to make them again."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import psycopg

from ml.exceptions import FatalError
from ml.generation.records import scheduled_brief
from ml.settings import Settings, get_settings
from ml.storage.postgres import connect

SOURCE, KIND = "generation", "video"
_FINISHED = "select stage, input_hash from content.stage_results where video_id = %s order by 2"
_PUT = """
insert into ops.dead_letters (dead_letter_id, source, kind, reason, payload, bronze_key)
values (%s, %s, %s, %s, %s, %s)
on conflict (dead_letter_id) do update set reason = excluded.reason, payload = excluded.payload,
    status = 'open'
"""


@dataclass(frozen=True)
class DeadVideo:
    """A video that can be made again.

    Attributes:
        stage: where it stopped.
        finished: stages that need not be done again.
    """

    video_id: str
    stage: str
    reason: str
    finished: tuple[str, ...]


def record_failure(
    video_id: str, stage: str = "", reason: str = "", *, settings: Settings | None = None
) -> None:
    """Mark a scheduled video as failed and keep it as a dead letter, unless it is finished.

    The letter holds the brief, the stage, the error and the stages that are done; `bronze_key` is
    where their files lie in the content bucket. A second failure replaces the first.
    """
    settings = settings or get_settings()
    with connect(settings.require("database_url")) as conn:
        changed = conn.execute(
            "update content.video_schedule set status = 'failed', status_reason = %s"
            " where video_id = %s and status in ('scheduled', 'generating', 'failed')",
            (reason or None, video_id),
        ).rowcount
        if not changed:
            return
        brief = scheduled_brief(conn, video_id)
        payload = {
            "video_id": video_id,
            "stage": stage,
            "brief": brief.model_dump(mode="json"),
            "finished": dict(conn.execute(_FINISHED, (video_id,)).fetchall()),
        }
        conn.execute(
            _PUT,
            (
                _letter_id(video_id), SOURCE, KIND, f"{stage or 'unknown stage'}: {reason}"[:2000],
                json.dumps(payload), f"videos/{video_id}/",
            ),
        )  # fmt: skip


def take_back(video_id: str, *, settings: Settings | None = None) -> DeadVideo:
    """Put a failed video back into the schedule, from its dead letter.

    The letter stays open until the video is finished, so that whatever ends the new attempt, there
    can be another.

    Raises:
        FatalError: if it has no open dead letter.
    """
    settings = settings or get_settings()
    with connect(settings.require("database_url")) as conn:
        row = conn.execute(
            "select reason, payload from ops.dead_letters where dead_letter_id = %s"
            " and status = 'open'",
            (_letter_id(video_id),),
        ).fetchone()
        if row is None:
            raise FatalError(f"{video_id} is no dead letter; open: {_open(conn) or 'none'}")
        payload: dict[str, Any] = json.loads(row[1])
        # As it was planned, whatever happened to the row since; what is finished stays so.
        conn.execute(
            "update content.video_schedule set status = 'scheduled', status_reason = null,"
            " brief = %s where video_id = %s"
            " and status in ('scheduled', 'generating', 'failed', 'cancelled')",
            (json.dumps(payload["brief"]), video_id),
        )
    return DeadVideo(video_id, payload["stage"], row[0], tuple(payload["finished"]))


def close_letter(video_id: str, *, settings: Settings | None = None) -> None:
    """Close the dead letter of a video that is finished; one that has none is left as it is."""
    settings = settings or get_settings()
    with connect(settings.require("database_url")) as conn:
        conn.execute(
            "update ops.dead_letters set status = 'replayed' where dead_letter_id = %s"
            " and status = 'open'",
            (_letter_id(video_id),),
        )


def _open(conn: psycopg.Connection) -> str:
    rows = conn.execute(
        "select payload::jsonb ->> 'video_id' from ops.dead_letters where source = %s"
        " and kind = %s and status = 'open' order by created_at desc limit 20",
        (SOURCE, KIND),
    ).fetchall()
    return ", ".join(row[0] for row in rows)


def _letter_id(video_id: str) -> str:
    return hashlib.sha256(f"{SOURCE}|{KIND}|{video_id}".encode()).hexdigest()[:32]
