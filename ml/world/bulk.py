"""Bronze in bulk: what the sources would fetch from the world, without a server and a scheduler.

The real sources ask the real routes, inside this process: the pages are byte for byte those that
would have come over HTTP, and carry the same `is_synthetic`. They land in the same bronze, complete
with manifests, from where `ytempire replay bronze` loads them:

    python -m ml.world.bulk --source hackernews_search --days 30 --scale 10
    ytempire replay bronze --source hackernews_search --from 2026-01-01 --to 2026-01-31

Quotas are not booked and the world's own does not end. Written again, an interval has the same
bytes under the same keys.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import secrets
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import httpx
from fastapi import FastAPI
from pydantic import SecretStr

from ml.settings import Settings, get_settings
from ml.sources.access import Access, local_breaker
from ml.sources.base import Interval, Page, Source
from ml.sources.catalog import get_source
from ml.sources.http import NO_CREDENTIALS, Credentials, HttpClient
from ml.sources.quota import Quota
from ml.storage.bronze import Bronze, interval_prefix
from ml.world.parameters import WORLD_START
from ml.world.scale import seed_of, sized
from ml.world.server import create_app
from ml.world.shift import shift_of, shifted

log = logging.getLogger(__name__)

RUN_ID = "bulk"
_NO_SERVER = "http://world.invalid"  # in the requests of pages, where no server has an address
_ENOUGH = 10**12


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes:
        intervals: of all sources together.
        pages: objects, without the manifests.
        items: that the world listed in its answers.
        seconds: that it took.
    """

    intervals: int
    pages: int
    items: int
    seconds: float


class Target(Protocol):
    """Where pages go; `Bronze`, or what a test or a bench puts in its place."""

    def write_interval(self, prefix: str, pages: Iterator[Page]) -> Sequence[Any]:
        """Store the pages of an interval."""
        ...


class Bulk:
    """A world in this process, and sources that ask it.

    Args:
        settings: say which world; a running world's address and key, where there are some.
        scale: how much happens in it; by default what the settings say.
    """

    def __init__(self, settings: Settings, scale: float | None = None) -> None:
        self.settings = settings.model_copy(
            update={
                "sources_from": "world",
                "world_url": settings.world_url or _NO_SERVER,
                "world_key": settings.world_key or SecretStr(secrets.token_hex(16)),
                "world_daily_quota": _ENOUGH,
            }
        )
        app = create_app(self.settings)
        self._world = app.state.world
        if scale is not None:
            here = self._world.seed
            self._world.seed = shifted(sized(seed_of(here), scale), shift_of(here))
        self._transport = _InProcess(app)

    def pages(
        self, source: Source, interval: Interval, cursor: Mapping[str, Any] | None
    ) -> Iterator[Page]:
        """The pages that a source would fetch for an interval."""
        return source.fetch(interval, cursor, _BulkAccess(self.settings, interval, self._transport))

    def write(
        self,
        sources: Sequence[Source],
        intervals: Sequence[Interval],
        target: Target,
        run_id: str = RUN_ID,
    ) -> Written:
        """Write intervals of some sources, oldest first, each source with its own cursor."""
        started, pages = time.monotonic(), 0
        before = self._items()
        for source in sources:
            cursor: Mapping[str, Any] | None = None
            for interval in intervals:
                fetched: list[Page] = []
                prefix = interval_prefix(source.id, interval, run_id)
                target.write_interval(prefix, _noted(self.pages(source, interval, cursor), fetched))
                cursor = source.next_cursor(interval, cursor, fetched)
                pages += len(fetched)
            log.info("%s: %d pages by now", source.id, pages)
        seconds = time.monotonic() - started
        return Written(
            len(sources) * len(intervals), pages, self._items() - before, round(seconds, 2)
        )

    def ledger(self) -> dict[str, Any]:
        """What the world has sent by now."""
        report: dict[str, Any] = self._world.ledger.report()
        return report

    def _items(self) -> int:
        return sum(row["items"] for row in self.ledger()["rows"])


def _noted(pages: Iterator[Page], notes: list[Page]) -> Iterator[Page]:
    for page in pages:
        notes.append(page)
        yield page


def intervals(start: datetime, days: int, minutes: int) -> list[Interval]:
    """The intervals of so many days, each as long as given."""
    step = timedelta(minutes=minutes)
    count = timedelta(days=days) // step
    return [Interval(start + n * step, start + (n + 1) * step) for n in range(count)]


class _InProcess(httpx.BaseTransport):
    """Hands requests to the app, one at a time."""

    def __init__(self, app: FastAPI) -> None:
        self._app = httpx.ASGITransport(app)
        self._loop = asyncio.new_event_loop()
        self._lock = threading.Lock()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        with self._lock:
            try:
                return self._loop.run_until_complete(self._answer(request))
            except ConnectionAbortedError as error:
                raise httpx.RemoteProtocolError(str(error), request=request) from None

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        answered = await self._app.handle_async_request(request)
        return httpx.Response(
            answered.status_code, headers=answered.headers, content=await answered.aread()
        )


class _BulkClient(HttpClient):
    def __init__(self, *args: Any, transport: httpx.BaseTransport, **options: Any) -> None:
        super().__init__(*args, **options)
        wired = self._client
        self._client = httpx.Client(
            transport=transport, headers=wired.headers, follow_redirects=wired.follow_redirects
        )
        wired.close()


class _BulkAccess(Access):
    def __init__(
        self, settings: Settings, interval: Interval, transport: httpx.BaseTransport
    ) -> None:
        super().__init__(settings, meter=_Unlimited(), at=interval.end)
        self._transport = transport

    def client(
        self, source: Source, *, base_url: str = "", credentials: Credentials = NO_CREDENTIALS
    ) -> HttpClient:
        return _BulkClient(
            source.id,
            base_url or source.spec.base_url,
            self.settings,
            credentials=credentials,
            breaker=local_breaker,
            meter=self.meter,
            at=self.at,
            transport=self._transport,
        )


class _Unlimited:
    """A meter of what costs nobody anything."""

    def spend(self, quota: Quota, units: int, at: datetime | None) -> None: ...

    def left(self, quota: Quota, at: datetime | None) -> int:  # noqa: ARG002 - as any meter's
        return _ENOUGH


def main(arguments: Sequence[str] | None = None) -> None:
    """Write intervals of sources to bronze and tell on stdout, in JSON, how much that was."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    asked = _parser().parse_args(arguments)
    bulk = Bulk(get_settings(), asked.scale)
    sources = [get_source(name, bulk.settings) for name in asked.source]
    wanted = intervals(asked.start, asked.days, asked.minutes)
    written = bulk.write(sources, wanted, Bronze(bulk.settings), asked.run_id)
    sys.stdout.write(json.dumps(asdict(written)) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ml.world.bulk", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--source", action="append", required=True, help="id; may be repeated")
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--start", type=_day, default=WORLD_START, help="first day, UTC")
    parser.add_argument("--minutes", type=int, default=1440, help="length of an interval")
    parser.add_argument("--scale", type=float, help="how much happens; 1 is the fitted world")
    parser.add_argument("--run-id", default=RUN_ID)
    return parser


def _day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


if __name__ == "__main__":
    main()
