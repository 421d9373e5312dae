"""From a look at a stream to the online store, at least once.

Two offsets in `ops.cursors`: `updates` moves in the transaction that writes the rows, `pushed`
after the online store has answered. What lies between the two is pushed by whoever comes next, so
a process may end at any moment. It keeps nothing in memory that the next one needs.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.types.json import Jsonb

from ml.settings import Settings
from ml.sources.base import Interval
from ml.storage import postgres, raw
from ml.storage.bronze import STREAM_RUN, Bronze, StoredPage, interval_prefix, parse_prefix
from ml.storage.landing import PagesLoaded, load_pages
from ml.streaming.base import Stream
from ml.streaming.gate import Gated
from ml.streaming.tables import open_store

if TYPE_CHECKING:
    from feast import FeatureStore

log = logging.getLogger(__name__)

LANDED, PUSHED, WAITING = "updates", "pushed", "waiting"
_STAMP = "%Y%m%dT%H%M%S.%f"
_MOMENT = timedelta(microseconds=1)
_READ = "select cursor from ops.cursors where source = %s and stream = %s"
_WRITE = """
insert into ops.cursors (source, stream, cursor) values (%s, %s, %s)
on conflict (source, stream) do update set cursor = excluded.cursor, updated_at = now()
"""
_FIRST = (
    "insert into ops.cursors (source, stream, cursor) values (%s, %s, %s) on conflict do nothing"
)
_LOOKED = """
insert into ops.cursors (source, stream, cursor) values (%s, %s, '{}')
on conflict (source, stream) do update set updated_at = now()
"""


class Pipeline:
    """Lands what a stream finds and pushes the features of the entities that it touches.

    Args:
        settings: where everything is.
        stream: that is looked at.
    """

    def __init__(self, settings: Settings, stream: Stream) -> None:
        self._settings = settings
        self._stream = stream
        self._source = stream.source
        self._bronze = Bronze(settings)

    def step(self) -> None:
        """Look once, land what there is, and push what is not pushed yet.

        Raises:
            YtempireError: if a part does not answer; the next step goes on where this one stopped.
        """
        try:
            self.land()
        finally:
            self.push()

    def land(self) -> PagesLoaded | None:
        """Look once and load what has changed, with its offset; None if nothing has."""
        with self._transaction() as conn:
            offset = self._offset(conn, LANDED)
        look = self._stream.look(offset.get("seen", ""))
        if look is None:
            with self._transaction() as conn:
                conn.execute(_LOOKED, (self._source.id, LANDED))
            return None
        now = datetime.now(UTC)
        start = _moment(offset) or look.pages[0].fetched_at
        interval = Interval(min(start, now - _MOMENT), now)  # also where a clock was set back
        prefix = interval_prefix(self._source.id, interval, _run(now))
        pages = self._bronze.write_interval(prefix, iter(look.pages))
        with self._transaction() as conn:
            loaded = self._load(conn, pages)
            rows = offset.get("rows", 0) + loaded.rows
            self._move(conn, LANDED, {"through": _text(now), "seen": look.seen, "rows": rows})
            first = Jsonb({"through": _text(interval.start)})
            conn.execute(_FIRST, (self._source.id, PUSHED, first))
        log.info("%s: %s rows, %s rejected", self._source.id, loaded.rows, loaded.rejected)
        return loaded

    def recover(self) -> int:
        """Load what a process has put into bronze and not into the raw tables before it ended.

        Returns:
            How many micro-batches were loaded again.
        """
        with self._transaction() as conn:
            offset = self._offset(conn, LANDED)
        through, now = _moment(offset), datetime.now(UTC)
        # As in the names of intervals. Without an offset none of bronze has been loaded: the first
        # process has ended early, or the database is new.
        since = through.replace(microsecond=0) if through else None
        found = self._bronze.complete_intervals(self._source.id, since, now)
        ours = [
            prefix
            for prefix in found
            if f"/run={STREAM_RUN}" in prefix and (not through or _ended(prefix) > through)
        ]
        for prefix in ours:
            with self._transaction() as conn:
                self._load(conn, self._bronze.read_interval(prefix) or [])
        if ours:
            with self._transaction() as conn:
                self._move(conn, LANDED, {**offset, "through": _text(now)})
                first = Jsonb({"through": _text(parse_prefix(ours[0])[1].start)})
                conn.execute(_FIRST, (self._source.id, PUSHED, first))
        return len(ours)

    def waiting(self, reason: str) -> None:
        """Say what the provider is waited for, until the next look that succeeds."""
        with self._transaction() as conn:
            self._move(conn, WAITING, {"reason": reason})

    def push(self) -> int:
        """Append and push the features of the entities that were touched since the last push.

        Returns:
            How many entities that were.
        """
        with self._transaction() as conn:
            landed, pushed = (_moment(self._offset(conn, each)) for each in (LANDED, PUSHED))
            if landed is None or pushed is None or pushed >= landed:
                return 0
            table = self._stream.table
            rows = table.newest(conn, table.append_touched(conn, pushed))
        if rows:
            table.push(rows, self._store)
        with self._transaction() as conn:
            self._move(conn, PUSHED, {"through": _text(landed), "entities": len(rows)})
        return len(rows)

    @cached_property
    def _store(self) -> FeatureStore:
        return open_store(self._settings)

    def _load(self, conn: psycopg.Connection, pages: Sequence[StoredPage]) -> PagesLoaded:
        # As every landing does: a holder that hangs is ended, and who waits is tried again.
        conn.execute("set local idle_in_transaction_session_timeout = '60s'")
        conn.execute("set local lock_timeout = '90s'")
        raw.lock(conn, f"land|{self._source.id}")
        return load_pages(conn, Gated(self._source, conn), pages)

    def _transaction(self) -> Any:
        return postgres.transaction(self._settings.require("database_url"))

    def _offset(self, conn: psycopg.Connection, name: str) -> Mapping[str, Any]:
        row = conn.execute(_READ, (self._source.id, name)).fetchone()
        return row[0] if row else {}

    def _move(self, conn: psycopg.Connection, name: str, offset: Mapping[str, Any]) -> None:
        conn.execute(_WRITE, (self._source.id, name, Jsonb(dict(offset))))


def _run(now: datetime) -> str:
    return f"{STREAM_RUN}{now:{_STAMP}}"


def _ended(prefix: str) -> datetime:
    """When the micro-batch of a prefix was complete, by the name of its run."""
    return datetime.strptime(prefix.rpartition(STREAM_RUN)[2], _STAMP).replace(tzinfo=UTC)


def _moment(offset: Mapping[str, Any]) -> datetime | None:
    return datetime.fromisoformat(offset["through"]) if "through" in offset else None


def _text(moment: datetime) -> str:
    return moment.isoformat()
