"""Replay: raw tables anew from bronze, after a parser has learned to read what it could not."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg import sql

from ml.sources.base import Source
from ml.storage import postgres, raw
from ml.storage.bronze import STREAM_RUN, Bronze, StoredPage
from ml.storage.landing import load_pages
from ml.streaming.gate import Gated

log = logging.getLogger(__name__)

# What is loaded again may have been seen before, in pages that are not read again.
_KEEP_FIRST_SIGHTS = """
    create temporary table first_sights on commit drop as
    select kind, record_id, region, event_at, first_available_at
    from raw.records
    where source = %s and bronze_key = any(%s) and first_available_at is not null
"""
_RESTORE_FIRST_SIGHTS = """
    update raw.records as r
    set first_available_at = least(r.first_available_at, kept.first_available_at)
    from first_sights as kept
    where r.source = %s
        and (r.kind, r.record_id, r.region, r.event_at)
        = (kept.kind, kept.record_id, kept.region, kept.event_at)
"""

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class Replayed:
    """What a replay did.

    Attributes:
        pages: read again.
        rows: that they hold.
        rejected: items that still do not parse.
        mended: dead letters that parse now.
    """

    pages: int = 0
    rows: int = 0
    rejected: int = 0
    mended: int = 0

    def __add__(self, other: Replayed) -> Replayed:
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Replayed(*(mine + theirs for mine, theirs in pairs))


def replay_bronze(
    source: Source, start: datetime, end: datetime, on_progress: OnProgress = lambda *_: None
) -> Replayed:
    """Load every complete interval of a source that starts in `[start, end)` again from bronze.

    The rows that came from these pages are replaced, each interval in one transaction, so that rows
    of an earlier parser do not stay. The provider is not asked, and the cursor does not move.

    Raises:
        FatalError: if an object is not what its manifest says.
        ServiceUnavailableError: when our own database or object storage does not answer.
    """
    bronze = Bronze()
    prefixes = bronze.complete_intervals(source.id, start, end)
    total = Replayed()
    for done, prefix in enumerate(prefixes, start=1):
        total += _reload(source, bronze.read_interval(prefix) or [], forget=True)
        on_progress(done, len(prefixes))
    return total


def replay_dead_letters(source: Source, on_progress: OnProgress = lambda *_: None) -> Replayed:
    """Parse the pages of a source's open dead letters again; those that parse now are `replayed`.

    Raises:
        ServiceUnavailableError: when our own database or object storage does not answer.
    """
    with postgres.transaction() as conn:
        rows = conn.execute(
            "select distinct bronze_key from ops.dead_letters"
            " where source = %s and status = 'open' order by 1",
            (source.id,),
        ).fetchall()
    bronze, total = Bronze(), Replayed()
    for done, (key,) in enumerate(rows, start=1):
        try:
            page = bronze.read_page(key)
        except FileNotFoundError:
            log.warning("%s: %s is no longer in bronze; its dead letters stay", source.id, key)
        else:
            total += _reload(source, [page], forget=False)
        on_progress(done, len(rows))
    return total


def _reload(source: Source, pages: Sequence[StoredPage], *, forget: bool) -> Replayed:
    keys = [page.key for page in pages]
    with postgres.transaction() as conn:
        raw.lock(conn, f"land|{source.id}")
        if forget:
            conn.execute(_KEEP_FIRST_SIGHTS, (source.id, keys))
            for table in raw.TABLES:
                name = sql.Identifier(*table.split("."))
                conn.execute(
                    sql.SQL("delete from {} where source = %s and bronze_key = any(%s)").format(
                        name
                    ),
                    (source.id, keys),
                )
        before = _close_letters(conn, source, keys)
        # What a stream has landed has passed its gate, and does again.
        is_streamed = any(f"/run={STREAM_RUN}" in key for key in keys)
        loaded = load_pages(conn, Gated(source, conn) if is_streamed else source, pages)
        if forget:
            conn.execute(_RESTORE_FIRST_SIGHTS, (source.id,))
        mended = _mended(conn, before)
    return Replayed(loaded.pages, loaded.rows, loaded.rejected, mended)


def _close_letters(conn: psycopg.Connection, source: Source, keys: list[str]) -> list[str]:
    """Call the open dead letters of these pages replayed; what is rejected again opens anew."""
    rows = conn.execute(
        "update ops.dead_letters set status = 'replayed'"
        " where source = %s and bronze_key = any(%s) and status = 'open' returning dead_letter_id",
        (source.id, keys),
    ).fetchall()
    return [row[0] for row in rows]


def _mended(conn: psycopg.Connection, letters: list[str]) -> int:
    row = conn.execute(
        "select count(*) from ops.dead_letters"
        " where dead_letter_id = any(%s) and status = 'replayed'",
        (letters,),
    ).fetchone()
    return int(row[0]) if row else 0
