"""The audit log as the API writes it: off the path of requests, in batches, never with a secret.

The same event again before the next write raises a count instead of adding a row, so a caller that
is refused a thousand times a second fills no table.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg

from ml.exceptions import ServiceUnavailableError
from ml.storage.postgres import transaction

log = logging.getLogger(__name__)

_EVERY_S = 1.0
_USED_EVERY_S = 10.0
_MOST_WAITING = 10_000


@dataclass(frozen=True, slots=True)
class Event:
    """What happened: a login or a refused call. `key_id` is of a key that exists, or None."""

    event: str
    key_id: str | None
    address: str
    method: str
    route: str
    reason: str


class Journal:
    """Collects events and uses of keys, and writes them in a thread of its own.

    While Postgres is away they wait; what is more than can wait is dropped, counted and logged.
    """

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._lock = threading.Lock()
        self._events: dict[Event, tuple[datetime, int]] = {}
        self._used: dict[str, datetime] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.dropped = 0

    def record(self, event: Event) -> None:
        """Note an event; the first of its kind starts the thread."""
        with self._lock:
            first, times = self._events.get(event, (datetime.now(UTC), 0))
            if not times and len(self._events) >= _MOST_WAITING:
                self.dropped += 1
                return
            self._events[event] = (first, times + 1)
        self._start()

    def used(self, key_id: str) -> None:
        """Note that a key was used now. Cheap enough for every request."""
        if key_id not in self._used:
            with self._lock:
                self._used[key_id] = datetime.now(UTC)
            self._start()

    def close(self) -> None:
        """Write what is left and end the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(15)
            self._thread = None
            if self._events:
                log.error("%d kinds of events of the audit log are lost", len(self._events))
        self._stop.clear()

    def _start(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            with self._lock:
                if self._thread is None or not self._thread.is_alive():
                    self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
                    self._thread.start()

    def _run(self) -> None:
        stopping, write_used_at = False, time.monotonic() + _USED_EVERY_S
        while not stopping:
            stopping = self._stop.wait(_EVERY_S)
            used: dict[str, datetime] = {}
            with self._lock:
                events, self._events = self._events, {}
                if stopping or time.monotonic() >= write_used_at:
                    used, self._used = self._used, {}
                    write_used_at = time.monotonic() + _USED_EVERY_S
            if not events and not used:
                continue
            try:
                self._write(events, used)
            except (ServiceUnavailableError, psycopg.Error) as error:
                log.warning("the audit log is not written yet: %s", error)
                self._take_back(events)

    def _write(self, events: dict[Event, tuple[datetime, int]], used: dict[str, datetime]) -> None:
        with transaction(self._url) as conn, conn.cursor() as cursor:
            cursor.executemany(
                "insert into ops.api_audit"
                " (at, event, key_id, address, method, route, reason, times)"
                " values (%s, %s, %s, %s, %s, %s, %s, %s)",
                [
                    (first, e.event, e.key_id, e.address, e.method, e.route, e.reason, times)
                    for e, (first, times) in events.items()
                ],
            )
            # In one order everywhere, or two workers block each other.
            cursor.executemany(
                "update ops.api_keys set last_used_at = greatest(last_used_at, %s)"
                " where key_id = %s",
                [(at, key_id) for key_id, at in sorted(used.items())],
            )

    def _take_back(self, events: dict[Event, tuple[datetime, int]]) -> None:
        with self._lock:
            for event, (first, times) in events.items():
                if event not in self._events and len(self._events) >= _MOST_WAITING:
                    self.dropped += times
                    continue
                more = self._events.get(event, (first, 0))[1]
                self._events[event] = (first, times + more)
        if self.dropped:
            log.error("%d events of the audit log are lost", self.dropped)
