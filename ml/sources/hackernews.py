"""Hacker News: the top, the newest and the best stories and how they do, a source for each list.

Firebase API v0 as documented on https://github.com/HackerNews/API (read 2026-01, again 2026-11):
`topstories`, `newstories` and `beststories` are lists of item ids, first place first, and
`item/<id>` one item, or null where it was never or is no more. No key, no quota.

Two pages an interval: the list as it came, and `stories`, a bundle that holds the raw body of each
item unchanged as a string, with its rank and time of arrival (sixty objects of 300 bytes would only
make bronze slow).

The place on a list is `rank`, `new_rank` or `best_rank`, so that rows of the three can be laid
together by story.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from ml.exceptions import RecordError
from ml.settings import Settings
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
from ml.sources.http import Fetched

STORIES = 60


class HackerNewsSource(Source):
    """Yields `item` and `snapshot` records, one each per listed story and observation.

    Attributes:
        listing: the list that is read, also the stream of its page.
        place: what the place on it is called in a snapshot.
    """

    listing = "topstories"
    place = "rank"
    spec = SourceSpec(
        id="hackernews",
        family="hackernews",
        title="Hacker News front page",
        docs=("https://github.com/HackerNews/API (2026-01)",),
        kinds=("item", "snapshot"),
        base_url="https://hacker-news.firebaseio.com/v0",
        parallel=8,
    )

    def __init__(self, settings: Settings, *, stories: int = STORIES) -> None:
        super().__init__(settings)
        self._stories = stories

    def fetch(
        self, interval: Interval, cursor: Mapping[str, Any] | None, access: Access
    ) -> Iterator[Page]:
        """Yield the list and the bundle of the first stories on it."""
        with access.client(self) as http:
            listed = http.get(f"{self.listing}.json")
            yield new_page(self.listing, listed)
            ids = _ids(listed.body)[: self._stories]
            with ThreadPoolExecutor(self.spec.parallel) as pool:
                items = list(pool.map(lambda i: http.get(f"item/{i}.json"), ids))
        bundle = new_page("stories", listed, number=1, note="items")
        yield replace(bundle, body=_bundle(ids, items))

    def parse(self, page: Page) -> Iterator[Record | Rejected]:
        """Turn a page into rows of `raw.records`; what does not parse becomes `Rejected`."""
        if page.stream == self.listing:
            return fields.parse_items(page, self.listing, _listed, _check_id)
        return fields.parse_items(
            page, "story", _stories, lambda entry, _: _records(entry, page, self.place)
        )


def _spec(source_id: str, title: str) -> SourceSpec:
    return replace(HackerNewsSource.spec, id=source_id, title=title)


class HackerNewsNewSource(HackerNewsSource):
    """The same of the newest stories, whatever becomes of them."""

    listing = "newstories"
    place = "new_rank"
    spec = _spec("hackernews_new", "Hacker News newest stories")


class HackerNewsBestSource(HackerNewsSource):
    """The same of the stories with the most votes of the last days."""

    listing = "beststories"
    place = "best_rank"
    spec = _spec("hackernews_best", "Hacker News best stories")


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**53


def _ids(body: bytes) -> list[int]:
    """The usable ids of a list, each once, best first."""
    try:
        return list(dict.fromkeys(filter(_is_id, _listed(body))))
    except RecordError:
        return []


def _listed(body: bytes) -> list[Any]:
    """What a list lists.

    Raises:
        RecordError: if it is no list at all.
    """
    values = fields.document(body)
    if not isinstance(values, list):
        raise RecordError("the list of stories is no list")
    return values


def _check_id(value: Any, _: int) -> list[Record]:
    """Report what is no item id; the ids themselves are rows by their items.

    Raises:
        RecordError: if it is none.
    """
    if not _is_id(value):
        raise RecordError(f"not an item id: {ascii(value)[:60]}")
    return []


def _bundle(ids: list[int], items: list[Fetched]) -> bytes:
    """The raw bodies with rank, id and arrival, as one JSON document in ASCII."""
    stories = [
        {
            "rank": rank,
            "id": number,
            "observed_at": item.fetched_at.isoformat(),
            "body": item.body.decode("utf-8", "surrogateescape"),
        }
        for rank, (number, item) in enumerate(zip(ids, items, strict=True), start=1)
    ]
    return json.dumps({"stories": stories}).encode()


def _stories(body: bytes) -> list[Any]:
    """The stories of a bundle.

    Raises:
        RecordError: if it is none.
    """
    entries = fields.mapping(fields.document(body), "bundle").get("stories")
    if not isinstance(entries, list):
        raise RecordError("the bundle has no list of stories")
    return entries


def _records(entry: Any, page: Page, place: str) -> Iterator[Record]:
    """The item and the snapshot of one bundled story.

    Raises:
        RecordError: naming the field that does not fit.
    """
    story = fields.mapping(entry, "story")
    raw = story.get("body")
    if not isinstance(raw, str):
        raise RecordError("the story has no body")
    value = fields.document(raw)
    if value is None:
        raise RecordError("the item is null: deleted, or never there")
    item = fields.mapping(value, "item")
    number = fields.count(item, "id")
    if number is None or number != fields.count(story, "id"):
        raise RecordError(f"the item has another id than was asked for: {ascii(number)[:60]}")
    described = _description(item)
    measured = {
        place: fields.count(story, "rank"),
        "upvotes": fields.count(item, "score"),
        "comments": fields.count(item, "descendants"),
    }
    observed_at = fields.moment(story, "observed_at") or page.fetched_at
    yield record(page, "item", str(number), fields.unix_moment(item, "time"), described)
    yield record(page, "snapshot", str(number), observed_at, measured)


def _description(item: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "title": fields.required_text(item, "title"),
        "url": fields.text(item, "url"),
        "author": fields.text(item, "by"),
        "type": fields.text(item, "type"),
    }
