"""RSS and Atom feeds: a source for each entry of a list, `feeds.yaml` unless YTEMPIRE_FEEDS is set.

RSS 2.0 as on https://www.rssboard.org/rss-specification, Atom as in
https://www.rfc-editor.org/rfc/rfc4287, conditional requests as in
https://www.rfc-editor.org/rfc/rfc9110#name-conditional-requests; the dialects are left to
feedparser, whose rules for encodings (https://pythonhosted.org/feedparser/character-encoding.html)
need the content type, so it is kept as a fragment of the page's request (`#content-type=...`). All
read 2026-11.

One kind, `entry`, as the feed tells it, with the feed's language, region and category. What has
both an id and a date is one row however often it is seen. An entry that is edited under the same
id and date replaces itself; one that gets another date is another row.

An entry without any date is no news of the moment at which we happened to look, so that moment is
not its event time. It is a row at `UNDATED`, with `dated` false: the same row at every look, from
whatever interval, and in no window of time; `available_at` says when it was seen last. A date that
is there and cannot be read ("yesterday") makes a dead letter, and so does one in the future: the
entry is a row as soon as a look at the feed finds that it has come.

Left out on purpose: enclosures, images, full texts beyond `_TEXT_LIMIT`.
"""

from __future__ import annotations

import calendar
import hashlib
import io
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import parse_qs, parse_qsl, quote, urlsplit

import feedparser  # type: ignore[import-untyped]  # it publishes no types
from selectolax.lexbor import LexborHTMLParser

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
    is_latest,
    latest_end,
    record,
)
from ml.sources.feed_list import Feed, load_feeds

UNDATED = datetime(1970, 1, 1, tzinfo=UTC)
_TEXT_LIMIT = 2000
_ID_LIMIT = 500  # bytes: a longer key does not fit into the index
_TAGS_LIMIT = 20
# The document is fine, only what was said about it is not.
_HARMLESS = (feedparser.CharacterEncodingOverride, feedparser.NonXMLContentType)
# What malformed documents make feedparser raise, beside the errors that it keeps for us.
_PARSER_ERRORS = (
    ArithmeticError, AssertionError, AttributeError, LookupError, RecursionError, TypeError,
    ValueError,
)  # fmt: skip


class FeedSource(Source):
    """Yields an `entry` record per entry of one feed."""

    def __init__(self, settings: Settings, feed: Feed) -> None:
        super().__init__(settings)
        self.feed = feed
        address = urlsplit(feed.url)
        self._path, self._query = address.path, dict(parse_qsl(address.query, True))
        self.spec = SourceSpec(
            id=feed.id,
            family="feeds",
            title=feed.title,
            docs=(
                "https://www.rssboard.org/rss-specification (2026-11)",
                "https://www.rfc-editor.org/rfc/rfc4287 (2026-11)",
            ),
            kinds=("entry",),
            base_url=f"{address.scheme}://{address.netloc}",
        )

    def fetch(
        self, interval: Interval, cursor: Mapping[str, Any] | None, access: Access
    ) -> Iterator[Page]:
        """Yield the feed, unless it is what the latest interval before this one has seen."""
        validators = _validators(cursor) if _goes_on(interval, cursor) else {}
        with access.client(self) as http:
            found = http.get(self._path, self._query, expect="xml", validators=validators)
        if found.not_modified:
            return
        content_type = quote(found.headers.get("content-type", ""), safe="/;=")
        yield Page(
            stream="feed",
            region=self.feed.region,
            number=0,
            body=found.body,
            request=f"{found.request}#content-type={content_type}",
            fetched_at=found.fetched_at,
            validators=found.validators,
        )

    def next_cursor(
        self,
        interval: Interval,
        cursor: Mapping[str, Any] | None,
        pages: Sequence[Page],
    ) -> Mapping[str, Any]:
        """The end of the latest interval, and what the feed said of its version then."""
        seen = _validators(cursor)
        if pages and is_latest(interval, cursor):
            seen = dict(pages[-1].validators)
        return {**latest_end(interval, cursor), "validators": seen}

    def parse(self, page: Page) -> Iterator[Record | Rejected]:
        """Turn the page into `entry` records; what does not parse becomes `Rejected`."""
        try:
            entries = _entries(page, self.feed.url)
        except RecordError as error:
            yield fields.rejected_body("feed", error, page.body)
            return
        yield from fields.parse_each(
            "entry",
            entries,
            lambda entry, _: [self._record(entry, page)],
            shown=partial(json.dumps, default=str),  # as feedparser has read it
        )

    def _record(self, entry: dict[str, Any], page: Page) -> Record:
        """The row of an entry.

        Raises:
            RecordError: naming the field that does not fit.
        """
        said = {
            "title": _plain(entry, "title"),
            "url": entry.get("link") or None,
            "author": entry.get("author") or None,
            "text": _text(entry),
        }
        payload: dict[str, Any] = {name: fields.text(said, name) for name in said}
        if not payload["title"] and not payload["text"]:
            raise RecordError("the entry has neither title nor text")
        happened = _moment(entry)
        if happened is not None and happened > page.fetched_at:
            raise RecordError(f"it is from the future: {happened.isoformat()}")
        payload |= {
            "tags": fields.texts({"tags": _tags(entry)}, "tags"),
            "language": self.feed.language,
            "category": self.feed.category,
            "dated": happened is not None,
        }
        return record(page, "entry", _record_id(entry), happened or UNDATED, payload)


def feed_sources(settings: Settings) -> list[FeedSource]:
    """A source for each feed of the configured list.

    Raises:
        ConfigurationError: if the list is not understood.
    """
    return [FeedSource(settings, feed) for feed in load_feeds(settings.feeds_file)]


def _validators(cursor: Mapping[str, Any] | None) -> dict[str, str]:
    return dict((cursor or {}).get("validators", {}))


def _goes_on(interval: Interval, cursor: Mapping[str, Any] | None) -> bool:
    """Whether an interval is later than all that have landed.

    An interval that is asked for again, or was left out, gets the whole feed.
    """
    ends = latest_end(interval, None).items()
    return is_latest(interval, cursor) and any((cursor or {}).get(k) != v for k, v in ends)


def _entries(page: Page, address: str) -> list[dict[str, Any]]:
    """The entries of a feed, also of one that is not well-formed.

    Raises:
        RecordError: if it has none and is not simply empty.
    """
    kept = parse_qs(page.request.rpartition("#")[2]).get("content-type", [""])[0]
    headers = {"content-location": address, "content-type": kept or "application/xml"}
    try:
        # As a stream: a text would be taken for a file name or fetched as an address.
        found = feedparser.parse(
            io.BytesIO(page.body),
            response_headers=headers,
            sanitize_html=False,
            resolve_relative_uris=False,
        )
    except _PARSER_ERRORS as error:
        raise RecordError(f"feedparser fails on it: {ascii(error)[:100]}") from None
    entries: list[dict[str, Any]] = found.entries
    broken = found.bozo and not isinstance(found.bozo_exception, _HARMLESS)
    if not entries and (broken or not found.get("version")):
        reason = ascii(str(found.bozo_exception))[:100] if broken else "it is no RSS or Atom"
        raise RecordError(f"not a feed: {reason}")
    return entries


def _record_id(entry: dict[str, Any]) -> str:
    """The entry's own id, else its link; by its hash where it is too long for a key.

    Raises:
        RecordError: if it has neither.
    """
    name = "id" if entry.get("id") else "link"
    found = fields.required_text(entry, name)
    if len(found.encode()) > _ID_LIMIT:
        return "sha256:" + hashlib.sha256(found.encode()).hexdigest()
    return found


def _moment(entry: dict[str, Any]) -> datetime | None:
    """When it was published, else updated; None if it says neither.

    Raises:
        RecordError: if it says when, in a way that cannot be read.
    """
    # By `dict.get`: feedparser's own answers a question for one date with the other.
    said = {name: dict.get(entry, name) for name in ("published", "updated", "created")}
    for name in said:
        parsed = dict.get(entry, f"{name}_parsed")
        if isinstance(parsed, time.struct_time):
            try:
                return datetime.fromtimestamp(calendar.timegm(parsed), UTC)
            except (ValueError, OverflowError, OSError):
                continue
    for name, value in said.items():
        if value:
            raise RecordError(f"{name} is not a time: {ascii(value)[:60]}")
    return None


def _plain(entry: dict[str, Any], name: str) -> str | None:
    """A text without its markup, if it has any, and without idle white space."""
    value = entry.get(name)
    if not isinstance(value, str):
        return None
    if (entry.get(f"{name}_detail") or {}).get("type") != "text/plain":
        value = _without_markup(value)
    return " ".join(value.split()) or None


def _text(entry: dict[str, Any]) -> str | None:
    if summary := _plain(entry, "summary"):
        return summary[:_TEXT_LIMIT]
    contents = entry.get("content") or [{}]
    value = " ".join(_without_markup(str(contents[0].get("value") or "")).split())
    return value[:_TEXT_LIMIT] or None


def _without_markup(value: str) -> str:
    tree = LexborHTMLParser(value)
    tree.strip_tags(["script", "style"])
    return tree.text(separator=" ")


def _tags(entry: dict[str, Any]) -> list[str] | None:
    terms = [tag.get("term") or tag.get("label") for tag in entry.get("tags") or []]
    plain = (" ".join(term.split())[:100] for term in terms if isinstance(term, str))
    return list(dict.fromkeys(term for term in plain if term))[:_TAGS_LIMIT] or None
