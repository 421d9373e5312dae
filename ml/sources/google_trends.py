"""Google Trends: what is searched for much more than usual, by country.

The feed behind "Export > RSS feed" of https://trends.google.com/trending (`trending/rss?geo=US`).
Google documents the page and not the feed; its shape is that of public recordings of it (read
2026-11): up to about twenty items, each with a title (what is searched for), the time since when
(`pubDate`), and in the namespace `ht` a number of searches, a picture and some news about it. The
feed knows the present only.

`approx_traffic` is a lower bound in steps ("200+", "20K+", "1M+"), kept as the number that it
promises at least: `traffic_at_least`.

Two kinds: `trend` at the time since when it trends, with its news and where it stood when last
seen, and `snapshot` at each observation. How interest in a keyword goes over time is another
source: see `google_trends_interest`.

Left out on purpose: snippets, pictures and sources of the single news.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from xml.etree import ElementTree as ET  # feedparser keeps only the last of several `news_item`

from ml.exceptions import RecordError
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

_TRAFFIC = re.compile(r"(\d{1,3}(?:,\d{3})+|\d+(?:\.\d+)?)\s*([KMB]?)\+?")
_TIMES = {"": 1, "K": 1_000, "M": 1_000_000, "B": 1_000_000_000}
_TITLE_LIMIT = 500  # bytes: a longer key does not fit into the index


class GoogleTrendsSource(Source):
    """Yields a `trend` and a `snapshot` record per region and listed trend."""

    spec = SourceSpec(
        id="google_trends",
        family="google_trends",
        title="Google Trends: trending now",
        docs=("https://trends.google.com/trending/rss?geo=US (2026-11)",),
        kinds=("trend", "snapshot"),
        base_url="https://trends.google.com",
        min_interval_s=1.0,
        params={"regions": "google_trends_regions"},
    )

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._regions = settings.google_trends_regions

    def availability(self) -> Availability:
        """Whether there is a region."""
        if not self._regions:
            return Availability(False, 'set GOOGLE_TRENDS_REGIONS, for example ["US"]')
        return super().availability()

    def fetch(
        self, interval: Interval, cursor: Mapping[str, Any] | None, access: Access
    ) -> Iterator[Page]:
        """Yield the feed of each region."""
        with access.client(self) as http:
            for number, region in enumerate(self._regions):
                found = http.get("trending/rss", {"geo": region}, expect="xml")
                yield new_page("trending", found, region=region, number=number)

    def parse(self, page: Page) -> Iterator[Record | Rejected]:
        """Turn a feed into records; what does not parse becomes `Rejected`."""
        return fields.parse_items(
            page,
            "trend",
            _items,
            lambda item, position: _records(item, page, position + 1),
            shown=lambda item: ET.tostring(item, "unicode"),
        )


def _items(body: bytes) -> list[ET.Element]:
    """The items of a feed.

    Raises:
        RecordError: if it is none.
    """
    try:
        root = ET.fromstring(body)  # noqa: S314 - expat bounds what entities expand to
    except (ET.ParseError, LookupError, ValueError) as error:
        raise RecordError(f"not a feed: {ascii(str(error))[:100]}") from None
    channel = root.find("channel")
    if root.tag != "rss" or channel is None:
        raise RecordError("not a feed: it has no channel")
    return channel.findall("item")


def _records(item: ET.Element, page: Page, rank: int) -> Iterator[Record]:
    """The trend and the snapshot of an item.

    Raises:
        RecordError: naming the field that does not fit.
    """
    said = {_name(child): (child.text or "").strip() for child in item}
    title = fields.required_text(said, "title")
    if len(title.encode()) > _TITLE_LIMIT:
        raise RecordError(f"title is longer than {_TITLE_LIMIT} bytes")
    started = _moment(said, "pubDate")
    if started > page.fetched_at:
        raise RecordError(f"pubDate is in the future: {started.isoformat()}")
    measured = {"rank": rank, "traffic_at_least": at_least(said, "approx_traffic")}
    news = [child for child in item if _name(child) == "news_item"]
    described = {
        "title": title,
        "news_titles": _news(news, "news_item_title"),
        "news_urls": _news(news, "news_item_url"),
        "picture": said.get("picture") or None,
    }
    yield record(page, "trend", title, started, described | measured)
    yield record(page, "snapshot", title, page.fetched_at, measured)


def _name(element: ET.Element) -> str:
    """The name without its namespace, which has changed once already."""
    return str(element.tag).rpartition("}")[2]


def _news(items: list[ET.Element], name: str) -> list[str]:
    """One text for each news item, empty where it says nothing."""
    return [
        next((child.text or "" for child in item if _name(child) == name), "").strip()
        for item in items
    ]


def at_least(source: Mapping[str, str], name: str) -> int | None:
    """A lower bound such as "20K+" as a number; None where it is absent.

    Raises:
        RecordError: if it is anything else.
    """
    text = source.get(name)
    if not text:
        return None
    found = _TRAFFIC.fullmatch(text)
    if found is None or len(text) > 20:
        raise RecordError(f"{name} is not a number of searches: {ascii(text)[:60]}")
    return round(float(found[1].replace(",", "")) * _TIMES[found[2]])


def _moment(source: Mapping[str, str], name: str) -> datetime:
    """A date of RFC 822 with its zone, in UTC.

    Raises:
        RecordError: if it is absent or none.
    """
    text = source.get(name, "")
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:
            raise ValueError
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise RecordError(f"{name} is not a time with a zone: {ascii(text)[:60]}") from None
