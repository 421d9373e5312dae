"""Landing: from a source to bronze and, in one transaction, to the raw tables.

Rows, dead letters and the cursor commit together, every write has a key, and bronze is complete
before the commit: killed at any moment and run again, it ends at the same rows. Archives come in
the same way, by `import_archive`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from ml.exceptions import SourceUnavailableError
from ml.sources.archives import discover_archives
from ml.sources.base import Interval, Page, Rejected, Source, Table
from ml.storage import postgres, raw
from ml.storage.bronze import Bronze, StoredPage, interval_prefix
from ml.storage.imports import ImportResult, find_archives, import_archive

__all__ = [
    "ImportResult",
    "LandingResult",
    "discover_archives",
    "find_archives",
    "import_archive",
    "land",
]

log = logging.getLogger(__name__)

_STREAM = "interval"


@dataclass(frozen=True)
class LandingResult:
    """What landed of one interval.

    Attributes:
        rows: different rows of the interval.
        rejected: items that became dead letters.
        pages: raw pages.
        bronze_keys: their objects.
        rows_new: rows that were inserted or replaced an earlier observation.
    """

    rows: int
    rejected: int
    pages: int
    bronze_keys: tuple[str, ...]
    rows_new: int


def land(source: Source, interval: Interval, *, run_id: str) -> LandingResult:
    """Fetch an interval into bronze, then load it.

    A run whose pages are complete in bronze is loaded from there and not fetched again.

    Raises:
        SourceUnavailableError: if the source cannot be used as configured.
        ProviderError: when the provider keeps failing; nothing is loaded then.
        QuotaExceededError: when its quota is used up; nothing is loaded then.
        ServiceUnavailableError: when our own database or object storage does not answer.
    """
    bronze = Bronze()
    prefix = interval_prefix(source.id, interval, run_id)
    pages = bronze.read_interval(prefix)
    if pages is None:
        pages = bronze.write_interval(prefix, _fetch(source, interval))
    with postgres.transaction() as conn:
        # A holder that hangs is ended, and who waits for it fails and is tried again.
        conn.execute("set local idle_in_transaction_session_timeout = '60s'")
        conn.execute("set local lock_timeout = '90s'")
        raw.lock(conn, f"land|{source.id}")
        result = _load_pages(conn, source, pages)
        _move_cursor(conn, source, interval)
    log.info(
        "%s: %s rows, %s rejected, %s pages", source.id, result.rows, result.rejected, len(pages)
    )
    return result


def _fetch(source: Source, interval: Interval) -> Iterator[Page]:
    availability = source.availability()
    if not availability.available:
        raise SourceUnavailableError(f"{source.id}: {availability.reason}")
    with postgres.transaction() as conn:
        cursor = _cursor(conn, source)
    yield from source.fetch(interval, cursor)


def _load_pages(
    conn: psycopg.Connection, source: Source, pages: Sequence[StoredPage]
) -> LandingResult:
    by_table: dict[Table, list[dict[str, Any]]] = {}
    letters: list[raw.DeadLetter] = []
    for item in pages:
        for record in source.parse(item.page):
            if isinstance(record, Rejected):
                letters.append(_letter(record, item.key))
                continue
            shared = {"bronze_key": item.key, "is_synthetic": item.is_synthetic}
            by_table.setdefault(record.table, []).append({**record.values, **shared})
    done = [_load_rows(conn, source, table, rows) for table, rows in by_table.items()]
    dead = raw.DeadLetters(conn, source.id)
    dead.add(letters)
    dead.finish()
    return LandingResult(
        rows=sum(loaded.rows for loaded in done),
        rejected=len(letters),
        pages=len(pages),
        bronze_keys=tuple(item.key for item in pages),
        rows_new=sum(loaded.new for loaded in done),
    )


def _letter(record: Rejected, key: str) -> raw.DeadLetter:
    return raw.DeadLetter(record.kind, record.reason, record.payload, key, record.position)


def _load_rows(
    conn: psycopg.Connection, source: Source, table: Table, rows: list[dict[str, Any]]
) -> raw.Loaded:
    load = raw.Load(conn, table, {"source": source.id}, ("bronze_key", "is_synthetic"))
    load.add_rows(rows)
    loaded = load.finish()
    raw.analyze(conn, table, loaded.new)
    return loaded


def _cursor(conn: psycopg.Connection, source: Source) -> Mapping[str, Any] | None:
    row = conn.execute(
        "select cursor from ops.cursors where source = %s and stream = %s", (source.id, _STREAM)
    ).fetchone()
    return row[0] if row else None


def _move_cursor(conn: psycopg.Connection, source: Source, interval: Interval) -> None:
    cursor = source.next_cursor(interval, _cursor(conn, source))
    conn.execute(
        "insert into ops.cursors (source, stream, cursor) values (%s, %s, %s)"
        " on conflict (source, stream) do update set cursor = excluded.cursor, updated_at = now()",
        (source.id, _STREAM, Jsonb(dict(cursor))),
    )
