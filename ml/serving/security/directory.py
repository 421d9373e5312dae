"""Keys as the API sees them: a short-lived copy in the process, refreshed behind requests.

A request reads the copy. One older than a second is refreshed in the background, one older than
five is waited for, so a revocation acts within five seconds. While Postgres does not answer copies
stay in use for a quarter of an hour: nobody can revoke a key then either.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeVar

import psycopg
from psycopg.rows import dict_row

from ml.exceptions import ServiceUnavailableError
from ml.serving.background import BEHIND_S
from ml.serving.security.callers import Caller, granted
from ml.storage.postgres import libpq_url

log = logging.getLogger(__name__)
_T = TypeVar("_T")
_Connection = psycopg.Connection[dict[str, Any]]

FRESH_S = 1.0
STALE_S = 5.0
AWAY_S = 900.0
LOCK_MINUTES = 30
MOST_FAILURES = 5
_ASK_AGAIN_S = 1.0
_ANSWER_TIMEOUT_S = 2.0
_MOST_COPIES = 10_000
_LOCK_SPACE = 4_729_011
_THREADS = 2

_FIND = """
select key_id, secret_sha256, roles, scopes, expires_at, revoked_at,
    case when locked_until > now() then locked_until end as locked_until
from ops.api_keys left join ops.api_login_failures using (key_id)
where key_id = %s
"""
# Failures count while each follows within half an hour of the last; a lock that is over starts
# the count anew.
_FAIL = """
insert into ops.api_login_failures as f (key_id, failures, last_failed_at)
values (%(key_id)s, 1, now())
on conflict (key_id) do update set
    failures = case
        when f.locked_until <= now() or f.last_failed_at < now() - %(window)s * interval '1 minute'
        then 1 else f.failures + 1 end,
    last_failed_at = now(),
    locked_until = case
        when f.locked_until > now() then f.locked_until
        when f.last_failed_at >= now() - %(window)s * interval '1 minute'
            and f.locked_until is null and f.failures + 1 >= %(most)s
        then now() + %(window)s * interval '1 minute' end
"""
_FORGIVE = "update ops.api_login_failures set failures = 0, locked_until = null where key_id = %s"


@dataclass(frozen=True, slots=True)
class Record:
    """A key at the moment of its copy; times are in seconds since 1970."""

    caller: Caller
    secret_sha256: bytes
    revoked: bool
    expires_at: float
    locked_until: float

    def matches(self, digest: bytes) -> bool:
        """Whether a presented secret has this hash, in constant time."""
        return hmac.compare_digest(self.secret_sha256, digest)

    def problem(self, now: float) -> Literal["revoked", "expired", ""]:
        """Why the key opens nothing any more, if it does not."""
        if self.revoked:
            return "revoked"
        return "expired" if now >= self.expires_at else ""


@dataclass(frozen=True, slots=True)
class Login:
    """Outcome of a login: `record` is None if there is no such key."""

    outcome: Literal["ok", "unknown", "wrong_secret", "locked", "revoked", "expired"]
    record: Record | None


class KeyDirectory:
    """Finds keys, and judges secrets where that must be exact."""

    def __init__(self, database_url: str) -> None:
        self._url = libpq_url(database_url)
        self._copies: dict[str, tuple[float, Record | None]] = {}
        self._pending: dict[str, tuple[float, Future[Record | None]]] = {}
        self._due: dict[str, asyncio.TimerHandle] = {}
        self._ask_again_at = 0.0
        self._lost_at: float | None = None
        self._opening = threading.Lock()
        self._of_thread = threading.local()
        self._connections: list[_Connection] = []
        self._threads: ThreadPoolExecutor | None = None

    def copy(self, key_id: str) -> tuple[bool, Record | None]:
        """What is known without asking: whether there is a usable copy, and the copy.

        To be called in the event loop, which has an old copy refreshed a moment later.
        """
        known = self._copies.get(key_id)
        if known is None:
            return False, None
        now = time.monotonic()
        age = now - known[0]
        if age > FRESH_S and now >= self._ask_again_at and key_id not in self._due:
            loop = asyncio.get_running_loop()
            self._due[key_id] = loop.call_later(BEHIND_S, self._refresh_due, key_id)
        # What was away some time ago may be back: then the copy is worth no more than otherwise.
        is_away = self._lost_at is not None and now - self._lost_at < STALE_S
        return age <= (AWAY_S if is_away else STALE_S), known[1]

    async def find(self, key_id: str) -> Record | None:
        """The key of an id, None if there is none; from the copy if that will do.

        Raises:
            ServiceUnavailableError: if there is no copy and Postgres does not answer.
        """
        is_usable, record = self.copy(key_id)
        if is_usable:
            return record
        if time.monotonic() >= self._ask_again_at:
            try:
                return await _answer(self._refresh(key_id))
            except (ServiceUnavailableError, TimeoutError):
                self._lost()
        is_usable, record = self.copy(key_id)
        if is_usable:
            return record
        raise _away()

    async def log_in(self, key_id: str, digest: bytes) -> Login:
        """Judge a secret in Postgres, counting failures: five in a row lock the key.

        Raises:
            ServiceUnavailableError: if Postgres does not answer.
        """
        try:
            login = await _answer(
                self._executor().submit(self._ask, lambda conn: self._log_in(conn, key_id, digest))
            )
        except TimeoutError:
            raise _away() from None
        if login.outcome in ("wrong_secret", "locked") and key_id in self._copies:
            # It may be locked now: the copy is for need alone.
            self._copies[key_id] = (time.monotonic() - STALE_S, self._copies[key_id][1])
        return login

    def close(self) -> None:
        """Close the connections; the next question opens them again."""
        for timer in self._due.values():
            timer.cancel()
        self._due.clear()
        with self._opening:
            threads, self._threads = self._threads, None
            self._pending.clear()
        if threads is not None:
            threads.shutdown(wait=False, cancel_futures=True)
        for connection in self._connections:
            connection.close()
        self._of_thread = threading.local()

    def _refresh_due(self, key_id: str) -> None:
        del self._due[key_id]
        self._refresh(key_id)

    def _refresh(self, key_id: str) -> Future[Record | None]:
        """Ask in a thread; requests that want the same at the same time share the answer."""
        now = time.monotonic()
        pending = self._pending.get(key_id)
        if pending is None:
            future = self._executor().submit(self._fetch, key_id)
            self._pending[key_id] = (now, future)
            future.add_done_callback(lambda _: self._pending.pop(key_id, None))
            return future
        if now - pending[0] > _ANSWER_TIMEOUT_S:
            self._lost()
        return pending[1]

    def _fetch(self, key_id: str) -> Record | None:
        try:
            row = self._ask(lambda conn: conn.execute(_FIND, (key_id,)).fetchone())
        except ServiceUnavailableError:
            self._lost()
            raise
        self._lost_at = None
        record = _record(row) if row else None
        self._make_room()
        self._copies[key_id] = (time.monotonic(), record)
        return record

    def _log_in(self, conn: _Connection, key_id: str, digest: bytes) -> Login:
        with conn.transaction():
            # Guesses at one key wait for each other, or several pass before the lock is seen.
            conn.execute("select pg_advisory_xact_lock(%s, hashtext(%s))", (_LOCK_SPACE, key_id))
            row = conn.execute(_FIND, (key_id,)).fetchone()
            if row is None:
                return Login("unknown", None)
            record = _record(row)
            if record.locked_until:
                return Login("locked", record)
            if not record.matches(digest):
                values = {"key_id": key_id, "window": LOCK_MINUTES, "most": MOST_FAILURES}
                conn.execute(_FAIL, values)
                return Login("wrong_secret", record)
            conn.execute(_FORGIVE, (key_id,))
            return Login(record.problem(time.time()) or "ok", record)

    def _ask(self, question: Callable[[_Connection], _T]) -> _T:
        """Ask on the connection of this thread; one that has died meanwhile is replaced once."""
        kept: _Connection | None = getattr(self._of_thread, "connection", None)
        if kept is not None and not kept.closed:
            try:
                return question(kept)
            except (psycopg.OperationalError, psycopg.InterfaceError):
                kept.close()
        try:
            return question(self._connect())
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise _away() from error

    def _connect(self) -> _Connection:
        conn = psycopg.connect(
            self._url,
            autocommit=True,
            row_factory=dict_row,
            connect_timeout=2,
            options="-c statement_timeout=2000",
            # A server that vanishes without a word is given up after some seconds.
            keepalives_idle=5,
            keepalives_interval=2,
            keepalives_count=2,
            tcp_user_timeout=5000,
        )
        self._of_thread.connection = conn
        with self._opening:
            self._connections = [each for each in self._connections if not each.closed] + [conn]
        return conn

    def _executor(self) -> ThreadPoolExecutor:
        with self._opening:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(_THREADS, "keys")
            return self._threads

    def _lost(self) -> None:
        if self._lost_at is None:
            log.warning("keys cannot be read; known ones stay valid for %d s", AWAY_S)
        self._lost_at = time.monotonic()
        self._ask_again_at = self._lost_at + _ASK_AGAIN_S

    def _make_room(self) -> None:
        if len(self._copies) < _MOST_COPIES:
            return
        # Those of keys that do not exist go first: they are what an attacker can fill it with.
        for unknown in [key for key, (_, record) in self._copies.items() if record is None]:
            del self._copies[unknown]
        if len(self._copies) >= _MOST_COPIES:
            self._copies.clear()


async def _answer(future: Future[_T]) -> _T:
    """Wait for a thread; a caller that goes away does not cancel what others wait for as well."""
    async with asyncio.timeout(_ANSWER_TIMEOUT_S):
        return await asyncio.shield(asyncio.wrap_future(future))


def _away() -> ServiceUnavailableError:
    return ServiceUnavailableError("API keys cannot be read", retry_after_s=_ASK_AGAIN_S)


def _record(row: dict[str, Any]) -> Record:
    roles, scopes = row["roles"], row["scopes"]
    return Record(
        caller=Caller(row["key_id"], frozenset(roles), granted(roles, scopes)),
        secret_sha256=bytes(row["secret_sha256"]),
        revoked=row["revoked_at"] is not None,
        expires_at=_seconds(row["expires_at"], float("inf")),
        locked_until=_seconds(row["locked_until"], 0.0),
    )


def _seconds(at: datetime | None, otherwise: float) -> float:
    return otherwise if at is None else at.timestamp()
