"""`as_of`: what "now" means for planning, drift windows, materialisation and TTLs.

Nothing else may read the clock, except logs and `ingested_at`.
"""

from __future__ import annotations

from datetime import UTC, datetime

import psycopg

from ml.exceptions import ConfigurationError
from ml.settings import Settings, get_settings


def as_of(conn: psycopg.Connection, settings: Settings | None = None) -> datetime:
    """Return "now" in UTC.

    `YTEMPIRE_AS_OF` wins. Otherwise the clock is the wall clock in production, the last
    observation where an archive or the simulated world is what there is.

    Raises:
        ConfigurationError: if the clock follows the data and there is none yet.
    """
    settings = settings or get_settings()
    if settings.as_of is not None:
        value = settings.as_of
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if settings.clock == "wall" or (settings.clock == "auto" and settings.app_env != "embedded"):
        return datetime.now(UTC)
    row = conn.execute(
        "select greatest((select max(observed_at) from raw.youtube_videos),"
        " (select max(event_at) from raw.records))"
    ).fetchone()
    if row is None or row[0] is None:
        raise ConfigurationError(
            "there is no observation yet, so `as_of` is unknown; import an archive or ingest first"
        )
    latest: datetime = row[0]
    return latest.astimezone(UTC)
