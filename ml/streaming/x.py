"""X: posts that match the configured queries, as they are made.

https://docs.x.com/x-api/posts/filtered-stream/quickstart, .../integrate/build-a-rule,
https://docs.x.com/x-api/fundamentals/handling-disconnections and .../recovery-and-redundancy (read
2026-11): rules decide what one long response sends, an object a line, with a blank line at least
every 20 seconds. A second connection is refused with 429 `TooManyConnections`.

The rules belong to the app: ours are those whose tag is their value, and only they are changed.
What the provider sends while nobody listens is sent again for up to 5 minutes (`backfill_minutes`)
to those whose access has that; without it, or after longer, it is lost, and the log says so. A line
with nothing but `errors` is about the connection: it ends it, is logged, and is in no page.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from ml.exceptions import ProviderError, RecordError, SourceUnavailableError
from ml.settings import Settings
from ml.sources import fields
from ml.sources.access import local_breaker
from ml.sources.base import NOWHERE, Page
from ml.sources.http import Credentials, Fetched, HttpClient
from ml.sources.quota import MemoryMeter
from ml.sources.x_posts import FIELDS, XPostsSource
from ml.streaming.base import Look
from ml.streaming.tables import QUERIES
from ml.streaming.x_connection import Connection

log = logging.getLogger(__name__)

_STREAM = "tweets/search/stream"
_RULES = f"{_STREAM}/rules"
_LOOK_S = 2.0
_MOST = 2000  # lines of one look
_BACKFILL_MIN = 5
_PAUSE_S = 1.0  # between two connections: a shorter one is not worth a warning


class XPosts:
    """The filtered stream; the connection outlives a look, and nothing else does.

    Args:
        settings: say where the provider is asked, with which token, for which queries.
    """

    every_s = 2.0
    table = QUERIES

    def __init__(self, settings: Settings) -> None:
        self.source = XPostsSource(settings)
        self._queries = settings.x_queries
        self._connection: Connection | None = None
        self._heard: datetime | None = None
        self._has_backfill = True
        token = settings.require_credential("x_bearer_token")
        self._http = HttpClient(
            self.source.id,
            self.source.spec.base_url,
            settings,
            credentials=Credentials(
                {"Authorization": f"Bearer {token}"}, variable="X_BEARER_TOKEN"
            ),
            breaker=local_breaker,
            meter=MemoryMeter(),
        )

    def look(self, seen: str) -> Look | None:
        """What has come within the last seconds, or None if nothing has.

        Args:
            seen: when a look has last found something, at the latest.

        Raises:
            ProviderError: if the connection ends; what came before has been given by then.
            SourceUnavailableError: if X refuses the token, or all of the queries.
        """
        if self._connection is None:
            self._connection = self._connect(seen)
        try:
            lines = self._connection.read(_LOOK_S, _MOST)
        except ProviderError:
            self.close()
            raise
        now = datetime.now(UTC)
        if not lines:
            return None
        body = b"\n".join(lines)
        page = Page("posts", NOWHERE, 0, body, self._connection.request, now)
        return Look(now.isoformat(), (page,))

    def close(self) -> None:
        """End the connection; the next look makes another."""
        if self._connection is not None:
            self._heard = self._connection.heard
            self._connection.close()
        self._connection = None

    def _connect(self, seen: str) -> Connection:
        sync_rules(self._http, self._queries)
        known = [datetime.fromisoformat(seen)] if seen else []
        known += [self._heard] if self._heard else []
        now = datetime.now(UTC)
        missed = now - max(known, default=now)
        params = {"tweet.fields": FIELDS}
        minutes = min(math.ceil(missed / timedelta(minutes=1)), _BACKFILL_MIN)
        if minutes and self._has_backfill:
            try:
                return Connection(self._http, _STREAM, params | {"backfill_minutes": str(minutes)})
            except SourceUnavailableError as error:
                log.info("X sends nothing again: %s", error)
                self._has_backfill = False
        if missed > timedelta(seconds=_PAUSE_S):
            log.warning("X may have sent posts in the last %s that nobody has heard", missed)
        return Connection(self._http, _STREAM, params)


def sync_rules(http: HttpClient, queries: tuple[str, ...]) -> None:
    """Make a rule of each query, its tag the query itself, and remove those of earlier queries.

    Raises:
        ProviderError: if X fails.
        SourceUnavailableError: if it takes none of the queries.
    """
    listed = _document(http.get(_RULES))
    ours = {
        str(rule["value"]): str(rule["id"])
        for rule in listed.get("data", [])
        if rule.get("tag") == rule["value"]
    }
    old = [number for value, number in ours.items() if value not in queries]
    new = [{"value": query, "tag": query} for query in queries if query not in ours]
    if old:
        http.post(_RULES, content={"delete": {"ids": old}})
    if not new:
        return
    answer = _document(http.post(_RULES, content={"add": new}))
    refused = {
        str(error.get("value")): str(error.get("details") or error.get("title"))
        for error in answer.get("errors", [])
        if error.get("title") != "DuplicateRule"
    }
    for query, reason in refused.items():
        log.warning("X does not take the query %s: %s", query, reason)
    if set(refused) >= set(queries):
        raise SourceUnavailableError("X takes none of the queries; change X_QUERIES")


def _document(answer: Fetched) -> Mapping[str, Any]:
    try:
        return fields.mapping(fields.document(answer.body), "the answer")
    except RecordError as error:
        raise ProviderError(f"X: {error.reason}; retry later") from error
