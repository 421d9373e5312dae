"""Hacker News: the top stories and how they do.

Firebase API v0 as documented on https://github.com/HackerNews/API (read 2026-01): `topstories` is a
list of item ids, best first, and `item/<id>` one item, or null where it was never or is no more.
No key, no quota; at most `_PARALLEL` requests are open at once.

Two pages an interval: `topstories` as it came, and `stories`, a bundle that holds the raw body of
each item unchanged as a string, with its rank and time of arrival (sixty objects of 300 bytes
would only make bronze slow).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from ml.exceptions import RecordError
from ml.settings import Settings
from ml.sources import fields
from ml.sources.base import Availability, Interval, Page, Record, Rejected
from ml.sources.cursors import latest_end
from ml.sources.http import Fetched, HttpClient, is_world, observation_time

STORIES = 60
_PARALLEL = 8


class HackerNewsSource:
    """Yields `item` and `snapshot` records, one each per listed story and observation."""

    id = "hackernews"
    family = "hackernews"

    def __init__(self, settings: Settings, *, stories: int = STORIES) -> None:
        self._settings = settings
        self._stories = stories
        self.is_synthetic = is_world(settings, settings.hackernews_base_url)
        # The provider only knows the ranking of this moment; the world knows that of any moment.
        self.replayable = self.is_synthetic

    @property
    def quota(self) -> None:
        """The provider states none."""
        return

    def availability(self) -> Availability:
        """Always available: there is no key."""
        return Availability(True)

    def fetch(self, interval: Interval, cursor: Mapping[str, Any] | None) -> Iterator[Page]:  # noqa: ARG002
        """Yield the list of top stories and the bundle of the first of them.

        Raises:
            ProviderError: when the provider keeps failing.
            SourceUnavailableError: when it refuses the request.
        """
        base_url = self._settings.hackernews_base_url
        at = observation_time(self._settings, base_url, interval.end)
        with HttpClient(self.id, base_url, self._settings) as http:
            listed = http.get_json("topstories.json", at=at)
            yield _page("topstories", 0, listed.body, listed, at)
            ids = _ids(listed.body)[: self._stories]
            with ThreadPoolExecutor(_PARALLEL) as pool:
                items = list(pool.map(lambda i: http.get_json(f"item/{i}.json", at=at), ids))
        yield _page("stories", 1, _bundle(ids, items, at), listed, at)

    def parse(self, page: Page) -> Iterator[Record | Rejected]:
        """Turn a page into rows of `raw.records`; what does not parse becomes `Rejected`."""
        stream = "topstories" if page.stream == "topstories" else "story"
        try:
            content = fields.document(page.body)
            if page.stream == "topstories":
                yield from _check_list(content)
                return
            entries = fields.mapping(content, "bundle").get("stories")
            if not isinstance(entries, list):
                raise RecordError("the bundle has no list of stories")
        except RecordError as error:
            yield fields.rejected_body(stream, error, page.body)
            return
        for position, entry in enumerate(entries):
            try:
                yield from _records(entry, page)
            except RecordError as error:
                yield fields.rejected("story", error, entry, position)

    def next_cursor(
        self, interval: Interval, cursor: Mapping[str, Any] | None
    ) -> Mapping[str, Any]:
        """The end of the latest interval loaded; a backfill does not move it back."""
        return latest_end(interval, cursor)


def _page(stream: str, number: int, body: bytes, listed: Fetched, at: datetime | None) -> Page:
    return Page(
        stream=stream,
        region="ZZ",
        number=number,
        body=body,
        request=listed.request if stream == "topstories" else f"{listed.request}#items",
        fetched_at=at or listed.arrived_at,
    )


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**53


def _ids(body: bytes) -> list[int]:
    """The usable ids of a list, each once, best first."""
    try:
        values = fields.document(body)
    except RecordError:
        return []
    return list(dict.fromkeys(filter(_is_id, values))) if isinstance(values, list) else []


def _check_list(values: Any) -> Iterator[Rejected]:
    """Report what is no item id; the ids themselves are rows by their items.

    Raises:
        RecordError: if it is no list at all.
    """
    if not isinstance(values, list):
        raise RecordError("the list of top stories is no list")
    for position, value in enumerate(values):
        if not _is_id(value):
            error = RecordError(f"not an item id: {ascii(value)[:60]}")
            yield fields.rejected("topstories", error, value, position)


def _bundle(ids: list[int], items: list[Fetched], at: datetime | None) -> bytes:
    """The raw bodies with rank, id and arrival, as one JSON document in ASCII."""
    stories = [
        {
            "rank": rank,
            "id": number,
            "observed_at": (at or item.arrived_at).isoformat(),
            "body": item.body.decode("utf-8", "surrogateescape"),
        }
        for rank, (number, item) in enumerate(zip(ids, items, strict=True), start=1)
    ]
    return json.dumps({"stories": stories}).encode()


def _records(entry: Any, page: Page) -> Iterator[Record]:
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
        "rank": fields.count(story, "rank"),
        "upvotes": fields.count(item, "score"),
        "comments": fields.count(item, "descendants"),
    }
    observed_at = fields.moment(story, "observed_at") or page.fetched_at
    yield _record("item", number, fields.unix_moment(item, "time"), described, page)
    yield _record("snapshot", number, observed_at, measured, page)


def _description(item: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "title": fields.required_text(item, "title"),
        "url": fields.text(item, "url"),
        "author": fields.text(item, "by"),
        "type": fields.text(item, "type"),
    }


def _record(
    kind: str, number: int, event_at: datetime, payload: dict[str, Any], page: Page
) -> Record:
    values = {
        "kind": kind,
        "record_id": str(number),
        "region": page.region,
        "event_at": event_at,
        "available_at": max(page.fetched_at, event_at) if kind == "snapshot" else page.fetched_at,
        "payload": payload,
    }
    return Record("raw.records", values)
