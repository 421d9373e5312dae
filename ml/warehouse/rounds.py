"""Rounds of ingestion: build once for all families that land together, and for no event twice.

Any family's event starts a build. It first waits until no ingest run is active, so that one build
covers them all; the events that came while it waited find that they are covered already.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
from psycopg.types.json import Jsonb

from ml.storage.postgres import connect

# A run that waits for a provider's quota may take hours; the others are not held up for longer.
PATIENCE = timedelta(minutes=10)
_KEY = ("build_marts", "round")


def ingest_is_active(started_at: datetime) -> bool:
    """Whether a build that started then should still wait for ingest runs.

    Args:
        started_at: of the build's run.
    """
    if datetime.now(UTC) - started_at > PATIENCE:
        return False
    with connect() as conn:
        row = conn.execute(
            "select count(*) from ops.dag_runs"
            " where state = 'running' and (dag_id like 'ingest\\_%' or dag_id = 'import_archives')"
        ).fetchone()
    return bool(row and row[0])


def covered_runs(settled_at: datetime) -> list[str]:
    """The ingest runs, `dag_id/run_id`, that ended since the last published build settled.

    Airflow ties a build only to the events that started it; this names all that it covers.
    """
    with connect() as conn:
        rows = conn.execute(
            "select dag_id || '/' || run_id from ops.dag_runs"
            " where (dag_id like 'ingest\\_%%' or dag_id = 'import_archives') and state = 'success'"
            " and ended_at <= %s and ended_at > coalesce(%s, '-infinity'::timestamptz) order by 1",
            (settled_at, _settled_at(conn)),
        ).fetchall()
    return [row[0] for row in rows]


def is_covered(events_at: list[datetime]) -> bool:
    """Whether a published build settled after all of these events; a run without any is not."""
    with connect() as conn:
        settled_at = _settled_at(conn)
    return bool(events_at) and settled_at is not None and max(events_at) <= settled_at


def remember_round(settled_at: datetime) -> None:
    """Keep that a build which settled then is published; an older one does not move it back."""
    with connect() as conn:
        known = _settled_at(conn)
        latest = max(settled_at, known) if known else settled_at
        conn.execute(
            "insert into ops.cursors (source, stream, cursor) values (%s, %s, %s)"
            " on conflict (source, stream) do update"
            " set cursor = excluded.cursor, updated_at = now()",
            (*_KEY, Jsonb({"settled_at": latest.isoformat()})),
        )


def _settled_at(conn: psycopg.Connection) -> datetime | None:
    row = conn.execute(
        "select cursor ->> 'settled_at' from ops.cursors where source = %s and stream = %s", _KEY
    ).fetchone()
    return datetime.fromisoformat(row[0]) if row else None
