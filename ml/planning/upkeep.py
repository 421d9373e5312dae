"""Scheduled videos that are not wanted any more are cancelled before they cost anything."""

from __future__ import annotations

import logging
from datetime import datetime

import psycopg

from ml.clock import as_of
from ml.exceptions import FatalError
from ml.planning.channels import closed_because
from ml.planning.forecast import candidates
from ml.settings import Settings, get_settings
from ml.storage.postgres import connect

log = logging.getLogger(__name__)

_DEAD_BELOW = 0.25  # of the forecast that the topic was planned on
_WAITING = """
select video_id, channel_id, topic_id, forecast, as_of from content.video_schedule
where status = 'scheduled' and as_of < %s order by video_id
"""
_ONE = """
select status, channel_id, topic_id, forecast, as_of from content.video_schedule where video_id = %s
"""


def is_wanted(video_id: str, settings: Settings | None = None) -> bool:
    """Whether a scheduled video is still worth making; if not, it is cancelled with the reason.

    Raises:
        FatalError: if it is not in the schedule.
    """
    settings = settings or get_settings()
    with connect(settings.require("database_url")) as conn:
        row = conn.execute(_ONE, (video_id,)).fetchone()
        if row is None:
            raise FatalError(f"video {video_id} is not in content.video_schedule; plan it first")
        status, channel_id, topic_id, forecast, planned = row
        if status not in ("scheduled", "failed"):
            return bool(status != "cancelled")
        now = as_of(conn, settings)
        reason = closed_because(conn, channel_id, now)
        if reason is None and planned < now:
            found = candidates(conn, now, topic_id)
            if found or candidates(conn, now):  # without any forecast nothing is known of a death
                reason = death(forecast, found[0]["forecast"] if found else None)
        if reason is not None:
            cancel(conn, video_id, reason)
        return reason is None


def cancel_unwanted(
    conn: psycopg.Connection, now: datetime, forecasts: dict[str, float]
) -> list[str]:
    """Cancel the waiting videos of earlier plans that nobody would plan now.

    Args:
        conn: in a transaction.
        now: what "now" is.
        forecasts: by topic, of all topics that have one; without any, no trend is taken for dead.

    Returns:
        Ids of the cancelled videos.
    """
    cancelled = []
    for video_id, channel_id, topic_id, forecast, _ in conn.execute(_WAITING, (now,)).fetchall():
        reason = closed_because(conn, channel_id, now)
        if reason is None and forecasts:
            reason = death(forecast, forecasts.get(topic_id))
        if reason is not None:
            cancel(conn, video_id, reason)
            cancelled.append(video_id)
    return cancelled


def death(planned: float, current: float | None) -> str | None:
    """Why a topic is dead, by its forecast then and now (None: it has none); None if it lives."""
    if current is None:
        return "the trend has died: no video about it is on the charts any more"
    if current < _DEAD_BELOW * planned:
        return f"the trend has died: {current:.0f} views a day are expected, {planned:.0f} were"
    return None


def cancel(conn: psycopg.Connection, video_id: str, reason: str) -> None:
    """Cancel a video that has not been begun, or has failed."""
    conn.execute(
        "update content.video_schedule set status = 'cancelled', status_reason = %s"
        " where video_id = %s and status in ('scheduled', 'failed')",
        (reason, video_id),
    )
    log.info("cancelled %s: %s", video_id, reason)
