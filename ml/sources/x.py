"""X: how many posts an hour match each query, and what trends in each place.

Two sources, because they reach back differently; each asks API v2 with the app's bearer token:

* `x_counts`: https://docs.x.com/x-api/posts/counts/introduction (read 2026-11). There are counts of
  the last 7 days up to 10 seconds before the request, so an interval is cut to that; of one that is
  older there is nothing to ask, and nothing lands. A bucket that the cut, or the interval, makes
  shorter than an hour says so in `seconds`. The documentation contradicts itself on paging: a
  `next_token` is followed if one comes.
* `x_trends`: https://docs.x.com/x-api/trends/trends-by-woeid/introduction (read 2026-11). Trends
  are those of the moment. A trend's count of posts, of the last 24 hours, is known for some only.

300 requests in 15 minutes for counts, 75 for trends (https://docs.x.com/x-api/fundamentals/
rate-limits, read 2026-11). A request is billed by what it returns; there is no free access.
"""

from __future__ import annotations

import logging
import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from ml.exceptions import RecordError
from ml.sources import fields
from ml.sources.access import Access
from ml.sources.base import (
    NOWHERE,
    Availability,
    Interval,
    Page,
    Record,
    Rejected,
    Source,
    SourceSpec,
    new_page,
    parameter,
    record,
)
from ml.sources.http import Credentials, HttpClient

log = logging.getLogger(__name__)

_BASE = "https://api.x.com/2"
_SETTING = "x_bearer_token"
_LIMITS = "https://docs.x.com/x-api/fundamentals/rate-limits (2026-11)"
_REACH = timedelta(days=7) - timedelta(minutes=1)  # a minute for the way of the request
_NEWEST = timedelta(seconds=10)
_MAX_PAGES = 20
_MAX_TRENDS = 50
_WOEID = re.compile(r"/by/woeid/(\d+)")
# Yahoo's ids of countries, from the archived list that X links to; any other place is `ZZ`.
_COUNTRIES = {
    "23424748": "AU", "23424768": "BR", "23424775": "CA", "23424819": "FR", "23424829": "DE",
    "23424848": "IN", "23424853": "IT", "23424856": "JP", "23424900": "MX", "23424908": "NG",
    "23424909": "NL", "23424934": "PH", "23424950": "ES", "23424969": "TR", "23424975": "GB",
    "23424977": "US",
}  # fmt: skip


class _XSource(Source):
    """What both have in common: the client, and items listed in `data`."""

    def _client(self, access: Access) -> HttpClient:
        token = self.settings.require_credential(_SETTING)
        credentials = Credentials({"Authorization": f"Bearer {token}"}, variable="X_BEARER_TOKEN")
        return access.client(self, credentials=credentials)

    def parse(self, page: Page) -> Iterator[Record | Rejected]:
        """Turn a page into rows of `raw.records`; what does not parse becomes `Rejected`."""
        kind = self.spec.kinds[0]
        try:
            body = fields.mapping(fields.document(page.body), "page")
            items, errors = (
                fields.sequence(body.get(name, []), name) for name in ("data", "errors")
            )
            if "data" not in body and not errors:
                raise RecordError("the page has neither data nor errors")
            asked = self._asked(page)
        except RecordError as error:
            yield fields.rejected_body(kind, error, page.body)
            return
        yield from fields.parse_each(
            kind,
            items,
            lambda item, position: [
                self._record(fields.mapping(item, "item"), page, asked, position)
            ],
        )
        for position, item in enumerate(errors, len(items)):
            yield fields.rejected(kind, RecordError("X reports an error"), item, position)

    @abstractmethod
    def _asked(self, page: Page) -> str:
        """What the page was asked for, from its request."""

    @abstractmethod
    def _record(self, item: Mapping[str, Any], page: Page, asked: str, position: int) -> Record:
        """The row of an item."""


class XCountsSource(_XSource):
    """Yields a `count` record for each query and hour."""

    spec = SourceSpec(
        id="x_counts",
        family="x",
        title="X: posts an hour by query",
        docs=("https://docs.x.com/x-api/posts/counts/introduction (2026-11)", _LIMITS),
        kinds=("count",),
        base_url=_BASE,
        credentials=(_SETTING,),
        replayable=True,  # for 7 days
        min_interval_s=3.0,  # 300 in 15 minutes
        params={"queries": "x_queries"},
    )

    def availability(self) -> Availability:
        """Whether there is a token and a query."""
        if not self.settings.x_queries:
            return Availability(False, 'set X_QUERIES, for example ["AI"]')
        return super().availability()

    def fetch(
        self, interval: Interval, cursor: Mapping[str, Any] | None, access: Access
    ) -> Iterator[Page]:
        """Yield the counts of every query, as far as the interval can be asked for."""
        now = access.at or datetime.now(UTC)
        start, end = max(interval.start, now - _REACH), min(interval.end, now - _NEWEST)
        if start >= end:
            log.warning("x_counts: %s to %s is out of reach", interval.start, interval.end)
            return
        params = {"start_time": _iso(start), "end_time": _iso(end), "granularity": "hour"}
        numbers = count()
        with self._client(access) as http:
            for query in self.settings.x_queries:
                yield from _pages(http, {"query": query, **params}, numbers)

    def _asked(self, page: Page) -> str:
        return fields.required_text({"query": parameter(page, "query") or ""}, "query")

    def _record(self, item: Mapping[str, Any], page: Page, asked: str, position: int) -> Record:
        start, end = (fields.moment(item, name) for name in ("start", "end"))
        if start is None or end is None or end <= start:
            raise RecordError("the bucket has no start, or no end after it")
        posts = fields.required_count(item, "tweet_count")
        seconds = round((end - start).total_seconds())
        return record(page, "count", asked, start, {"posts": posts, "seconds": seconds})


class XTrendsSource(_XSource):
    """Yields a `trend` record for each trend of each place."""

    spec = SourceSpec(
        id="x_trends",
        family="x",
        title="X: trends of places",
        docs=("https://docs.x.com/x-api/trends/trends-by-woeid/introduction (2026-11)", _LIMITS),
        kinds=("trend",),
        base_url=_BASE,
        credentials=(_SETTING,),
        min_interval_s=12.0,  # 75 in 15 minutes
        params={"places": "x_woeids"},
    )

    def availability(self) -> Availability:
        """Whether there is a token and a place."""
        if not self.settings.x_woeids:
            return Availability(False, "set X_WOEIDS, for example [1]")
        return super().availability()

    def fetch(
        self, interval: Interval, cursor: Mapping[str, Any] | None, access: Access
    ) -> Iterator[Page]:
        """Yield the trends of every place."""
        params = {"max_trends": str(_MAX_TRENDS), "trend.fields": "trend_name,tweet_count"}
        with self._client(access) as http:
            for number, woeid in enumerate(self.settings.x_woeids):
                fetched = http.get(f"trends/by/woeid/{woeid}", params)
                region = _COUNTRIES.get(str(woeid), NOWHERE)
                yield new_page("trends", fetched, region=region, number=number)

    def _asked(self, page: Page) -> str:
        found = _WOEID.search(page.request)
        if found is None:
            raise RecordError("the request names no place")
        return found[1]

    def _record(self, item: Mapping[str, Any], page: Page, asked: str, position: int) -> Record:
        name = fields.required_text(item, "trend_name")
        payload = {
            "title": name,
            "rank": position + 1,
            "posts": fields.count(item, "tweet_count"),
            "woeid": int(asked),
        }
        # Places without a country share a region: the id keeps their trends apart.
        return record(page, "trend", f"{asked}:{name}", page.fetched_at, payload)


def _pages(http: HttpClient, params: dict[str, str], numbers: Iterator[int]) -> Iterator[Page]:
    """All pages of one query's counts."""
    seen: set[str] = set()
    for _ in range(_MAX_PAGES):
        fetched = http.get("tweets/counts/recent", params)
        yield new_page("counts", fetched, number=next(numbers))
        token = _next_token(fetched.body)
        if token is None or token in seen:
            return
        seen.add(token)
        params = {**params, "next_token": token}


def _next_token(body: bytes) -> str | None:
    try:
        page = fields.mapping(fields.document(body), "page")
        return fields.text(fields.mapping(page.get("meta", {}), "meta"), "next_token")
    except RecordError:
        return None


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
