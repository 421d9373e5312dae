"""GDELT: news articles of the whole world by query, and how many there are.

DOC 2.0 API, https://blog.gdeltproject.org/gdelt-doc-2-0-api-debuts/ (read 2026-11): a keyless
full-text search, `mode=artlist` for articles and `mode=timelinevolraw` for their number (`value`)
beside that of all articles (`norm`). One request every five seconds. With a start and an end it
searches back to 1 January 2017, so past intervals can be asked for.

* A list holds at most 250 articles: those of a query are a **sample**, the newest 250 of each
  `SLICE` of the interval; the volume says how many there were.
* GDELT adds articles every 15 minutes: an interval covers what was seen until `SETTLES` before its
  end, from `SETTLES` before its start, so that each moment belongs to one interval.
* What is wrong with a query is said as text with HTTP 200, and so is, at times, that too much is
  asked of the service, in the same words ("Your query was too short or too long."). So any answer
  that is not JSON is asked for again before the query is blamed.
* Titles can hold backslashes and control characters that JSON forbids; such answers are mended for
  reading, in bronze they are as they came.

An article is the same record whichever query finds it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ml.exceptions import ProviderError, RateLimitedError, RecordError, SourceUnavailableError
from ml.settings import Settings
from ml.sources import fields
from ml.sources.access import Access
from ml.sources.base import (
    Availability,
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

MOST_RECORDS = 250
SLICE = timedelta(hours=6)
SETTLES = timedelta(minutes=30)
_SHORTEST = timedelta(hours=1)  # a shorter window is refused
_ATTEMPTS = 3
_REST_S = 60.0  # after it has complained of too many requests
_TIME = "%Y%m%d%H%M%S"
_SEEN = "%Y%m%dT%H%M%SZ"
_BAD_ESCAPE = re.compile(rb'\\(?!["\\/bfnrt]|u[0-9a-fA-F]{4})')
# GDELT's names of the most frequent languages; others stay without a code.
_LANGUAGES = {
    "Arabic": "ar", "Bengali": "bn", "Chinese": "zh", "Czech": "cs", "Dutch": "nl",
    "English": "en", "French": "fr", "German": "de", "Greek": "el", "Hindi": "hi",
    "Hungarian": "hu", "Indonesian": "id", "Italian": "it", "Japanese": "ja", "Korean": "ko",
    "Persian": "fa", "Polish": "pl", "Portuguese": "pt", "Romanian": "ro", "Russian": "ru",
    "Spanish": "es", "Swedish": "sv", "Thai": "th", "Turkish": "tr", "Ukrainian": "uk",
    "Vietnamese": "vi",
}  # fmt: skip


class GdeltSource(Source):
    """Yields `article` records, and `volume` records a query and quarter of an hour."""

    spec = SourceSpec(
        id="gdelt",
        family="gdelt",
        title="GDELT news",
        docs=("https://blog.gdeltproject.org/gdelt-doc-2-0-api-debuts/ (2026-11)",),
        kinds=("article", "volume"),
        base_url="https://api.gdeltproject.org/api/v2/doc/doc",
        replayable=True,
        min_interval_s=5.0,
        params={"queries": "gdelt_queries"},
    )

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._queries = tuple(dict.fromkeys(settings.gdelt_queries))

    def availability(self) -> Availability:
        """Whether there is a query."""
        if not self._queries:
            return Availability(False, 'set GDELT_QUERIES, for example ["technology"]')
        return Availability(True)

    def fetch(
        self, interval: Interval, cursor: Mapping[str, Any] | None, access: Access
    ) -> Iterator[Page]:
        """Yield the volume of each query and the lists of its newest articles; no cursor."""
        start, end = interval.start - SETTLES, interval.end - SETTLES
        number = 0
        with access.client(self) as http:
            for query in self._queries:
                windows = [("volume", start, end)]
                windows += [("article", *window) for window in _slices(start, end)]
                for stream, first, last in windows:
                    fetched = _ask(http, stream, query, first, last)
                    yield new_page(stream, fetched, number=number)
                    number += 1

    def parse(self, page: Page) -> Iterator[Record | Rejected]:
        """Turn a page into rows of `raw.records`; what does not parse becomes `Rejected`."""
        find, row = (_articles, _article) if page.stream == "article" else (_points, _point)
        return fields.parse_items(page, page.stream, find, lambda item, _: [row(item, page)])


def _slices(start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The interval in equal parts of at most `SLICE`."""
    count = -(-(end - start) // SLICE)
    length = (end - start) / count
    for number in range(count):
        yield start + number * length, start + (number + 1) * length


def _ask(http: HttpClient, stream: str, query: str, start: datetime, end: datetime) -> Fetched:
    """Get one answer.

    Raises:
        RateLimitedError: if GDELT wants fewer requests.
        SourceUnavailableError: if it refuses the query.
        ProviderError: if its answer makes no sense.
    """
    # Both ends count, so the last second belongs to the next window.
    last = max(end, start + _SHORTEST) - timedelta(seconds=1)
    params: dict[str, str | int] = {
        "query": query,
        "mode": "artlist" if stream == "article" else "timelinevolraw",
        "format": "json",
        "startdatetime": f"{start.astimezone(UTC):{_TIME}}",
        "enddatetime": f"{last.astimezone(UTC):{_TIME}}",
    }
    if stream == "article":
        params |= {"maxrecords": MOST_RECORDS, "sort": "datedesc"}
    for _ in range(_ATTEMPTS):
        fetched = http.get("", params, expect="bytes")
        if _reads(fetched.body):
            return fetched
    if fetched.body.lstrip().startswith(b"{"):
        return fetched  # JSON beyond mending: a dead letter, not a reason to stop
    raise _refusal(fetched, query)


def _reads(body: bytes) -> bool:
    try:
        _document(body)
    except RecordError:
        return False
    return True


def _refusal(fetched: Fetched, query: str) -> Exception:
    text = " ".join(fetched.body.decode("utf-8", "replace").split())[:200]
    if not text or text.startswith("<"):
        return ProviderError(f"gdelt: no JSON ({text[:80]!r}) on {fetched.request}; retry later")
    if "limit requests" in text.lower() or "too many requests" in text.lower():
        return RateLimitedError(f"gdelt: {text!r}; retry later", retry_after_s=_REST_S)
    return SourceUnavailableError(
        f"gdelt: it refuses the query {query!r}: {text!r}; change it in GDELT_QUERIES"
    )


def _document(body: bytes) -> Any:
    """Decode an answer, mending what GDELT leaves unescaped in titles.

    Raises:
        RecordError: if it is no JSON even so.
    """
    try:
        return fields.document(body)
    except RecordError as error:
        try:
            return json.loads(_BAD_ESCAPE.sub(rb"\\\\", body).decode(), strict=False)
        except (ValueError, RecursionError):
            raise error from None


def _articles(body: bytes) -> list[Any]:
    """The articles of a list; an answer without any is `{}`."""
    articles = fields.mapping(_document(body), "page").get("articles", [])
    if not isinstance(articles, list):
        raise RecordError("articles is not a list")
    return articles


def _points(body: bytes) -> list[Any]:
    """The points of a timeline; an answer without any is `{}` or has no series."""
    series = fields.mapping(_document(body), "page").get("timeline", [])
    if not isinstance(series, list) or len(series) > 1:
        raise RecordError("the timeline is not one series")
    points = fields.mapping(series[0], "series").get("data") if series else []
    if not isinstance(points, list):
        raise RecordError("the series has no data")
    return points


def _article(item: Any, page: Page) -> Record:
    article = fields.mapping(item, "article")
    url = fields.required_text(article, "url")
    language = fields.text(article, "language")
    payload = {
        "title": fields.required_text(article, "title"),
        "url": url,
        "domain": fields.text(article, "domain"),
        "language": _LANGUAGES.get(language or ""),
        "language_name": language,
        "country": fields.text(article, "sourcecountry"),
    }
    # A URL can be longer than what an index holds.
    key = hashlib.sha256(url.encode()).hexdigest()[:32]
    return record(page, "article", key, _seen(article, "seendate"), payload)


def _point(item: Any, page: Page) -> Record:
    point = fields.mapping(item, "point")
    query = _query(page)
    payload = {
        "query": query,
        "value": fields.count(point, "value"),
        "norm": fields.count(point, "norm"),
    }
    if payload["value"] is None:
        raise RecordError("value is absent")
    return record(page, "volume", query, _seen(point, "date"), payload)


def _query(page: Page) -> str:
    """The query of a page, which is in its request."""
    try:
        found = parse_qs(urlsplit(page.request.rpartition(" ")[2]).query).get("query", [])
    except ValueError:
        found = []
    if len(found) != 1:
        raise RecordError("the request of the page has no query")
    return found[0]


def _seen(source: Mapping[str, Any], name: str) -> datetime:
    text = fields.required_text(source, name)
    try:
        return datetime.strptime(text, _SEEN).replace(tzinfo=UTC)
    except ValueError:
        raise RecordError(f"{name} is not a time: {ascii(text)[:60]}") from None
