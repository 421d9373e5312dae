"""Rounds of ingestion: build once for all families that land together, and for no event twice.

Any family's event starts a build. It first waits until no ingest run is active, so that one build
covers them all; the events that came while it waited find that they are covered already.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from ml.storage.postgres import connect

# A run that waits for a provider's quota may take hours; the others are not held up for longer.
PATIENCE = timedelta(minutes=10)
_KEY = ("build_marts", "round")
_ACTIVE = """
select 1 from ops.dag_runs
where state = 'running' and (starts_with(dag_id, 'ingest_') or dag_id = 'import_archives') limit 1
"""
_ENDED = """
select dag_id || '/' || run_id from ops.dag_runs
where state = 'success' and (starts_with(dag_id, 'ingest_') or dag_id = 'import_archives')
    and ended_at > %s and ended_at <= %s
order by 1
"""


def settle(started_at: datetime) -> dict[str, Any] | None:
    """When a build that started then need not wait for ingest runs any longer, and what it covers.

    Airflow ties a build only to the events that started it; `covers` names all ingest runs,
    `dag_id/run_id`, that ended since the last published build settled.

    Args:
        started_at: of the build's run.

    Returns:
        `{"at": ISO time, "covers": [...]}`, or None while it should wait.
    """
    at = datetime.now(UTC)
    with connect() as conn:
        if at - started_at <= PATIENCE and conn.execute(_ACTIVE).fetchone():
            return None
        since = _settled_at(conn) or datetime.min.replace(tzinfo=UTC)
        rows = conn.execute(_ENDED, (since, at)).fetchall()
    return {"at": at.isoformat(), "covers": [row[0] for row in rows]}


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
