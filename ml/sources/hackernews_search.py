"""Hacker News: what a search finds among the stories of an interval, however long ago.

The search API on https://hn.algolia.com/api (read 2026-11 from the page's source,
https://github.com/algolia/hn-search/blob/master/app/views/pages/api.html.haml), `search_by_date`
with `tags=story` and the interval as `numericFilters`. No key. The page allows 100 requests a
minute.

A query gives its first 1,000 hits and no more, over all of its pages
(https://github.com/algolia/hn-search/issues/230): an interval with more is asked for again in two
halves, and so on. The answer that was too long is not kept, because its halves have all of it.

Two kinds as from the front page: `item` at the story's creation and `snapshot` at the observation.
A story is found as it is now, so an interval of last year gives last year's stories with today's
points. Words to search for come from HACKERNEWS_QUERIES; without any, all stories are found.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from ml.exceptions import RecordError
from ml.sources import fields
from ml.sources.access import Access
from ml.sources.base import (
    Interval,
    Page,
    Record,
    Rejected,
    Source,
    SourceSpec,
    new_page,
    record,
)
from ml.sources.http import Fetched, HttpClient

MAX_HITS = 1000


class HackerNewsSearchSource(Source):
    """Yields `item` and `snapshot` records, one each per found story."""

    spec = SourceSpec(
        id="hackernews_search",
        family="hackernews",
        title="Hacker News search",
        docs=("https://hn.algolia.com/api (2026-11)",),
        kinds=("item", "snapshot"),
        base_url="https://hn.algolia.com/api/v1",
        replayable=True,
        min_interval_s=0.6,
        params={"queries": "hackernews_queries"},
    )

    def fetch(
        self, interval: Interval, cursor: Mapping[str, Any] | None, access: Access
    ) -> Iterator[Page]:
        """Yield what each query finds, in as many pages as it takes."""
        start, end = (math.ceil(each.timestamp()) for each in (interval.start, interval.end))
        number = 0
        with access.client(self) as http:
            for query in self.settings.hackernews_queries or ("",):
                for found in _search(http, query, start, end):
                    yield new_page("search", found, number=number)
                    number += 1

    def parse(self, page: Page) -> Iterator[Record | Rejected]:
        """Turn a page into records; what does not parse becomes `Rejected`."""
        try:
            answer = fields.mapping(fields.document(page.body), "answer")
            hits = answer.get("hits")
            if not isinstance(hits, list):
                raise RecordError("the answer has no list of hits")
            missing = (fields.count(answer, "nbHits") or 0) - len(hits)
        except RecordError as error:
            yield fields.rejected_body("search", error, page.body)
            return
        yield from fields.parse_each("story", hits, lambda hit, _: _records(hit, page))
        if len(hits) >= MAX_HITS and missing > 0:  # that many stories of one second
            short = RecordError(f"{missing} hits are not in the answer")
            yield fields.rejected("search", short, page.request, len(hits))


def _search(http: HttpClient, query: str, start: int, end: int) -> Iterator[Fetched]:
    """Answers that together hold every hit of `[start, end)`, in seconds since 1970."""
    params: dict[str, str | int] = {
        "query": query,
        "tags": "story",
        "numericFilters": f"created_at_i>={start},created_at_i<{end}",
        "hitsPerPage": MAX_HITS,
        "page": 0,
    }
    found = http.get("search_by_date", params)
    if _hits(found.body) <= MAX_HITS or end - start < 2:
        yield found
        return
    middle = (start + end) // 2
    yield from _search(http, query, start, middle)
    yield from _search(http, query, middle, end)


def _hits(body: bytes) -> int:
    """How many hits the query has, as far as the answer says."""
    try:
        return fields.count(fields.mapping(fields.document(body), "answer"), "nbHits") or 0
    except RecordError:
        return 0


def _records(hit: Any, page: Page) -> Iterator[Record]:
    """The item and the snapshot of a hit.

    Raises:
        RecordError: naming the field that does not fit.
    """
    story = fields.mapping(hit, "hit")
    number = fields.required_count(story, "objectID")
    described = {
        "title": fields.required_text(story, "title"),
        "url": fields.text(story, "url") or None,
        "author": fields.text(story, "author"),
        "type": "story",
    }
    measured = {
        "upvotes": fields.count(story, "points"),
        "comments": fields.count(story, "num_comments"),
    }
    yield record(page, "item", str(number), fields.unix_moment(story, "created_at_i"), described)
    yield record(page, "snapshot", str(number), page.fetched_at, measured)
