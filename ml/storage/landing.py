"""Landing: from a source to bronze and, in one transaction, to the raw tables.

Rows, dead letters and the cursor commit together, every write has a key, and bronze is complete
before the commit: killed at any moment and run again, it ends at the same rows. Archives come in
the same way, by `import_archive`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import psycopg
from psycopg.types.json import Jsonb

from ml.exceptions import (
    NotFoundError,
    ProviderError,
    QuotaExceededError,
    SourceUnavailableError,
    YtempireError,
)
from ml.settings import get_settings
from ml.sources.access import Access
from ml.sources.archives import discover_archives
from ml.sources.base import Interval, Page, Rejected, Source, Table
from ml.sources.catalog import family
from ml.sources.quota import FULL, LONGEST_STRIDE, Choice, Level, Meter, choose_level, exceeded
from ml.storage import postgres, raw
from ml.storage.bronze import (
    STREAM_RUN,
    Bronze,
    StoredPage,
    interval_prefix,
    parse_prefix,
)
from ml.storage.imports import ImportResult, find_archives, import_archive
from ml.storage.quotas import LedgerMeter, shared_breaker

__all__ = [
    "ImportResult",
    "LandingResult",
    "close_day",
    "covered",
    "discover_archives",
    "find_archives",
    "import_archive",
    "land",
    "land_family",
    "land_missing",
]

log = logging.getLogger(__name__)

_STREAM = "interval"
_SKIPPED = "quota:"  # begins the reason of an interval that was skipped to save a quota
Status = Literal["landed", "empty"]


@dataclass(frozen=True)
class LandingResult:
    """What landed of one interval.

    Attributes:
        source: its id.
        interval: what was asked for.
        status: `empty` if the source could not be asked; `reason` says why.
        level: how complete the fetch was to be.
        rows: different rows of the interval.
        rejected: items that became dead letters.
        pages: raw pages.
        bronze_keys: their objects.
        rows_new: rows that were inserted or replaced an earlier observation.
    """

    source: str
    interval: Interval
    status: Status = "landed"
    reason: str = ""
    level: str = FULL.name
    rows: int = 0
    rejected: int = 0
    pages: int = 0
    bronze_keys: tuple[str, ...] = ()
    rows_new: int = 0

    def summary(self) -> dict[str, Any]:
        """The result without its objects, as an asset event shows it."""
        times = {"start": self.interval.start.isoformat(), "end": self.interval.end.isoformat()}
        shown = ("source", "status", "reason", "level", "rows", "rejected", "rows_new")
        return times | {name: getattr(self, name) for name in shown}


def land_family(
    name: str,
    intervals: Sequence[Interval],
    *,
    run_id: str,
    changes: Mapping[str, Any] | None = None,
    dry_run: bool = False,
) -> list[LandingResult]:
    """Land intervals of every source of a family.

    A source that cannot be used, that only knows the present, or that has nothing at its address
    gives empty results that say so. Sources do not hold each other up: all are tried before the
    first failure is raised, and what has landed is not fetched again by the run's next attempt.

    Args:
        name: of the family.
        intervals: what to land, oldest first.
        run_id: of the run; the same run fetches an interval once.
        changes: settings that the run overrides, for example other regions.
        dry_run: fetch and parse, and keep nothing.

    Raises:
        ProviderError: if a provider kept failing.
        SourceUnavailableError: if it refuses the credentials or the request.
        QuotaExceededError: if a quota is used up.
        ServiceUnavailableError: when our own database or object storage does not answer.
    """
    settings = get_settings().changed(changes or {})
    results: list[LandingResult] = []
    failures: list[YtempireError] = []
    for source in family(name, settings):
        for interval in intervals:
            try:
                results.append(
                    preview(source, interval) if dry_run else land(source, interval, run_id=run_id)
                )
            except NotFoundError as error:
                # A feed that has moved must not stop fifty others.
                log.warning("%s", error)
                results.append(_empty(source, interval, run_id, str(error)))
            except (ProviderError, QuotaExceededError, SourceUnavailableError) as error:
                log.warning("%s", error)
                failures.append(error)
                break  # the later intervals of this source would only fail too
    if failures:
        raise failures[0]
    return results


def land(source: Source, interval: Interval, *, run_id: str) -> LandingResult:
    """Fetch an interval into bronze, then load it.

    A run whose pages are complete in bronze is loaded from there and not fetched again.

    Raises:
        ProviderError: when the provider keeps failing; nothing is loaded then.
        SourceUnavailableError: when it refuses the credentials; nothing is loaded then.
        QuotaExceededError: when its quota is used up; nothing is loaded then.
        ServiceUnavailableError: when our own database or object storage does not answer.
    """
    bronze = Bronze()
    prefix = interval_prefix(source.id, interval, run_id)
    pages, level = bronze.read_interval(prefix), FULL
    if pages is None:
        if reason := _cannot_ask(source, interval):
            return _empty(source, interval, run_id, reason)
        with LedgerMeter() as meter:
            choice = _choose(source, interval, meter)
            if not _is_due(interval, choice.every):
                reason = f"{_SKIPPED} one interval in {choice.every}"
                return _empty(source, interval, run_id, reason)
            level = choice.level
            pages = bronze.write_interval(prefix, _fetch(source, interval, meter, level))
    return _load_interval(source, interval, run_id, pages, level)


def land_missing(
    source: Source, on_progress: Callable[[int, int], None] = lambda *_: None
) -> list[LandingResult]:
    """Load every complete interval of bronze that no landing is recorded of, oldest first.

    After the database was restored from a backup this brings back what has landed since, without
    asking the provider. What a stream has landed is left to the stream, which recovers by itself.

    Raises:
        FatalError: if an object is not what its manifest says.
        ServiceUnavailableError: when our own database or object storage does not answer.
    """
    bronze = Bronze()
    with postgres.connect() as conn:
        recorded = {
            interval_prefix(source.id, Interval(start, end), run_id)
            for start, end, run_id in conn.execute(
                "select interval_start, interval_end, run_id from ops.landings"
                " where source = %s and status = 'landed'",
                (source.id,),
            )
        }
    found = [parse_prefix(prefix) for prefix in bronze.complete_intervals(source.id)]
    missing = [
        (prefix, interval, run)
        for prefix, interval, run in found
        if prefix not in recorded and not run.startswith(STREAM_RUN)
    ]
    results = []
    for done, (prefix, interval, run) in enumerate(missing, start=1):
        pages = bronze.read_interval(prefix) or []
        results.append(_load_interval(source, interval, run, pages, FULL))
        on_progress(done, len(missing))
    return results


def _load_interval(
    source: Source, interval: Interval, run_id: str, pages: Sequence[StoredPage], level: Level
) -> LandingResult:
    with postgres.transaction() as conn:
        # A holder that hangs is ended, and who waits for it fails and is tried again.
        conn.execute("set local idle_in_transaction_session_timeout = '60s'")
        conn.execute("set local lock_timeout = '90s'")
        raw.lock(conn, f"land|{source.id}")
        loaded = load_pages(conn, source, pages)
        _move_cursor(conn, source, interval, pages)
        result = LandingResult(source.id, interval, level=level.name, **vars(loaded))
        _record(conn, source, result, run_id)
    log.info(
        "%s: %s rows, %s rejected, %s pages", source.id, result.rows, result.rejected, len(pages)
    )
    return result


def _empty(source: Source, interval: Interval, run_id: str, reason: str) -> LandingResult:
    """Record that there is nothing, so that nobody waits for it."""
    result = LandingResult(source.id, interval, "empty", reason)
    with postgres.transaction() as conn:
        _record(conn, source, result, run_id)
    return result


def _record(conn: psycopg.Connection, source: Source, result: LandingResult, run_id: str) -> None:
    values = (
        source.id, result.interval.start, result.interval.end, run_id, source.spec.family,
        result.status, result.reason, result.level, result.pages, result.rows, result.rows_new,
        result.rejected,
    )  # fmt: skip
    # The first landing of a run stands: loading it again finds nothing new.
    conn.execute(
        "insert into ops.landings (source, interval_start, interval_end, run_id, family, status,"
        " reason, level, pages, rows, rows_new, rejected)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
        " on conflict (source, interval_start, interval_end, run_id) do update set"
        " status = excluded.status, reason = excluded.reason, level = excluded.level,"
        " pages = excluded.pages, rows = excluded.rows, rows_new = excluded.rows_new,"
        " rejected = excluded.rejected"
        " where ops.landings.status = 'empty'",
        values,
    )


def preview(source: Source, interval: Interval) -> LandingResult:
    """Fetch and parse an interval and keep nothing but what it cost."""
    if reason := _cannot_ask(source, interval):
        return LandingResult(source.id, interval, "empty", reason)
    with LedgerMeter() as meter:
        level = _choose(source, interval, meter).level
        pages = list(_fetch(source, interval, meter, level))
    found = [item for page in pages for item in source.parse(page)]
    rejected = sum(isinstance(item, Rejected) for item in found)
    return LandingResult(
        source.id, interval, level=level.name, pages=len(pages),
        rows=len(found) - rejected, rejected=rejected,
    )  # fmt: skip


def _cannot_ask(source: Source, interval: Interval) -> str:
    """Why there is nothing to ask, empty if there is."""
    availability = source.availability()
    if not availability.available:
        return availability.reason
    age = datetime.now(UTC) - interval.end
    if not source.replayable and age > max(interval.end - interval.start, _PRESENT):
        return "the provider only knows the present"
    return ""


_PRESENT = timedelta(hours=1)


def _choose(source: Source, interval: Interval, meter: Meter) -> Choice:
    """How much of the interval the quotas can pay for, spread over the rest of the day.

    Raises:
        QuotaExceededError: if not even the source's last resort.
    """
    at = interval.end if source.settings.uses_world else datetime.now(UTC)
    left = {quota.pool: meter.left(quota, at) for quota in source.spec.quotas}
    length = interval.end - interval.start
    intervals = [-(-(quota.resets_at(at) - at) // length) for quota in source.spec.quotas]
    choice = choose_level(source.levels(), left, max([1, *intervals]))
    if choice is not None:
        return choice
    quota = min(source.spec.quotas, key=lambda each: left[each.pool])
    cost = source.levels()[-1].costs.get(quota.pool, 0)
    raise exceeded(quota, cost, left[quota.pool], at)


def _is_due(interval: Interval, every: int) -> bool:
    length = interval.end - interval.start
    return int(interval.start.timestamp() // length.total_seconds()) % every == 0


def _fetch(source: Source, interval: Interval, meter: Meter, level: Level) -> Iterator[Page]:
    with postgres.transaction() as conn:
        cursor = _cursor(conn, source)
        since = _skipped_since(conn, source, interval)
    settings = source.settings
    access = Access(
        settings,
        meter=meter,
        breaker=shared_breaker(settings),
        level=level,
        at=interval.end,
        skipped_since=since,
    )
    yield from source.fetch(interval, cursor, access)


def _skipped_since(conn: psycopg.Connection, source: Source, interval: Interval) -> datetime | None:
    """Start of the unbroken row of skipped intervals that ends where this one starts.

    Read from what was recorded of each interval and not from the cursor: parts of a backfill land
    beside each other, and the cursor tells of the one that is ahead.
    """
    length = interval.end - interval.start
    rows = conn.execute(
        "select interval_start from ops.landings where source = %s and interval_end <= %s"
        " and interval_start >= %s and interval_end - interval_start = %s group by 1"
        " having bool_and(status = 'empty') and bool_or(starts_with(reason, %s))",
        (
            source.id,
            interval.start,
            interval.start - (LONGEST_STRIDE - 1) * length,
            length,
            _SKIPPED,
        ),
    ).fetchall()
    skipped = {row[0] for row in rows}
    since = interval.start
    while since - length in skipped:
        since -= length
    return since if since < interval.start else None


@dataclass(frozen=True)
class PagesLoaded:
    """What loading pages did; the fields are those of `LandingResult`."""

    rows: int
    rejected: int
    pages: int
    bronze_keys: tuple[str, ...]
    rows_new: int


def load_pages(
    conn: psycopg.Connection, source: Source, pages: Sequence[StoredPage]
) -> PagesLoaded:
    """Parse pages and merge their rows; what does not parse becomes dead letters."""
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
    return PagesLoaded(
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


def _move_cursor(
    conn: psycopg.Connection, source: Source, interval: Interval, pages: Sequence[StoredPage]
) -> None:
    cursor = source.next_cursor(interval, _cursor(conn, source), [item.page for item in pages])
    conn.execute(
        "insert into ops.cursors (source, stream, cursor) values (%s, %s, %s)"
        " on conflict (source, stream) do update set cursor = excluded.cursor, updated_at = now()",
        (source.id, _STREAM, Jsonb(dict(cursor))),
    )


def covered(family_name: str, run_id: str) -> dict[str, Any]:
    """What a run has landed, whole and by day, as its asset events say it."""
    with postgres.connect() as conn:
        rows = conn.execute(_COVERED, (family_name, run_id)).fetchall()
    days = {
        day: {"rows": int(count), "rejected": int(rejected), "landed": landed, "empty": empty}
        for day, count, rejected, landed, empty in rows
    }
    return {
        "family": family_name,
        "rows": sum(day["rows"] for day in days.values()),
        "rejected": sum(day["rejected"] for day in days.values()),
        "days": days,
    }


def close_day(day: str) -> dict[str, Any]:
    """Write to `ops.days` what all families have landed of a day, `YYYY-MM-DD`."""
    with postgres.transaction() as conn:
        row = conn.execute(_CLOSE_DAY, {"day": day}).fetchone()
    names = ("families", "sources_landed", "sources_empty", "rows", "rejected")
    return {"day": day, **dict(zip(names, row or (0,) * len(names), strict=True))}


_COVERED = """
select to_char(interval_start at time zone 'UTC', 'YYYY-MM-DD') as day, sum(rows), sum(rejected),
    count(distinct source) filter (where status = 'landed'),
    count(distinct source) filter (where status = 'empty')
from ops.landings where family = %s and run_id = %s group by 1 order by 1
"""
# Of several runs of one interval, the latest counts.
_CLOSE_DAY = """
with latest as (
    select distinct on (source, interval_start, interval_end) *
    from ops.landings
    where interval_start >= %(day)s::date::timestamp at time zone 'UTC'
        and interval_start < (%(day)s::date + 1)::timestamp at time zone 'UTC'
    order by source, interval_start, interval_end, (status = 'landed') desc, landed_at desc
)
insert into ops.days (day, families, sources_landed, sources_empty, rows, rejected)
select %(day)s::date, count(distinct family),
    count(distinct source) filter (where status = 'landed'),
    count(distinct source) filter (where status = 'empty'),
    coalesce(sum(rows), 0), coalesce(sum(rejected), 0)
from latest
on conflict (day) do update set families = excluded.families,
    sources_landed = excluded.sources_landed, sources_empty = excluded.sources_empty,
    rows = excluded.rows, rejected = excluded.rejected, closed_at = now()
returning families, sources_landed, sources_empty, rows, rejected
"""
