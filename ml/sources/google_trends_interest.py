"""Google Trends: interest in keywords over time, through a provider that can be replaced.

Google has no open API for it. `InterestOverTime` is what a provider has to offer; the one here is
SerpApi, https://serpapi.com/google-trends-api (engine `google_trends`, `data_type=TIMESERIES`; read
2026-11 as https://serpapi.com/blog/how-to-scrape-google-trends/ and SerpApi's answers in
https://github.com/serpapi/public-roadmap describe it: #437 `timestamp`, #1999 `partial_data`,
#2918 hours for up to 8 days and 23 hours). Terms that are separated by commas share a scale, five
at most.

Values are relative, 0 to 100 within one request. They are kept as they came, a row of kind
`interest` for each point of each window: the window is part of the id, because the same hour has
another value in another window. Every request reaches back over the one before it, so windows
overlap, and `ml.sources.stitching` joins them; that is left to whoever reads the rows, because a
page is parsed by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from urllib.parse import urlencode

from ml.exceptions import RecordError
from ml.settings import Settings, variable
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
    note,
    record,
)
from ml.sources.http import Credentials, Fetched, HttpClient
from ml.sources.quota import Level, Quota, shares

# Of the free plan: 250 searches a month.
SEARCHES = Quota("serpapi", per_day=8, unit="searches")
_HOUR = timedelta(hours=1)
_REACH = timedelta(days=7)
_NO_RESULTS = "hasn't returned any results"
_ID_LIMIT = 500  # bytes: a longer key does not fit into the index


@dataclass(frozen=True)
class Point:
    """Interest in a keyword at a time: 0 to 100, and whether that time is not over yet."""

    keyword: str
    at: datetime
    value: int
    partial: bool


class InterestOverTime(Protocol):
    """A provider of interest over time.

    Attributes:
        base_url: its address, without a trailing slash.
        docs: the page that describes it, with the date on which it was read.
        credential: the setting that it needs.
    """

    base_url: str
    docs: str
    credential: str

    def present(self, secret: str) -> Mapping[str, str]:
        """The parameters that carry the credential."""
        ...

    def ask(
        self, http: HttpClient, keyword: str, region: str, start: datetime, end: datetime
    ) -> Fetched:
        """The raw answer for `[start, end)`, both whole hours in UTC; books what it costs."""
        ...

    def points(self, body: bytes) -> Iterator[Point | Rejected]:
        """The points of an answer; none where there is too little interest to show.

        Raises:
            RecordError: if it is no such answer.
        """
        ...


class SerpApi:
    """Interest over time by SerpApi."""

    base_url = "https://serpapi.com"
    docs = "https://serpapi.com/google-trends-api (2026-11)"
    credential = "serpapi_key"

    def present(self, secret: str) -> Mapping[str, str]:
        """The key travels in the query; SerpApi knows no header for it."""
        return {"api_key": secret}

    def ask(
        self, http: HttpClient, keyword: str, region: str, start: datetime, end: datetime
    ) -> Fetched:
        """Values by hour up to a week, else by day; both ends of `date` are inclusive."""
        if end - start <= _REACH:
            date = f"{start:%Y-%m-%dT%H} {end - _HOUR:%Y-%m-%dT%H}"
        else:
            date = f"{start:%Y-%m-%d} {end - _HOUR:%Y-%m-%d}"
        params: dict[str, str | int] = {
            "engine": "google_trends", "data_type": "TIMESERIES", "q": keyword, "geo": region,
            "date": date, "tz": 0,
        }  # fmt: skip
        return http.get("search", params, cost=(SEARCHES, 1))

    def points(self, body: bytes) -> Iterator[Point | Rejected]:
        """The values of `interest_over_time.timeline_data`."""
        answer = fields.mapping(fields.document(body), "answer")
        problem = fields.text(answer, "error")
        if problem is not None and _NO_RESULTS in problem:
            return
        if problem is not None:
            raise RecordError(f"error: {problem[:100]}")
        found = fields.mapping(answer.get("interest_over_time"), "interest_over_time")
        timeline = found.get("timeline_data")
        if not isinstance(timeline, list):
            raise RecordError("interest_over_time has no timeline_data")
        yield from fields.parse_each("interest", timeline, lambda entry, _: _points(entry))


def _points(entry: Any) -> Iterator[Point]:
    """The values of one time.

    Raises:
        RecordError: naming the field that does not fit.
    """
    time = fields.mapping(entry, "timeline entry")
    at = fields.unix_moment(time, "timestamp")
    partial = fields.flag(time, "partial_data") or False
    values = time.get("values")
    if not isinstance(values, list) or not values:
        raise RecordError("the timeline entry has no values")
    for value in values:
        said = fields.mapping(value, "value")
        number = fields.count(said, "extracted_value")
        if number is None or number > 100:
            raise RecordError(f"extracted_value is not from 0 to 100: {number}")
        yield Point(fields.required_text(said, "query"), at, number, partial)


class GoogleTrendsInterestSource(Source):
    """Yields an `interest` record per keyword, region, window and time."""

    def __init__(self, settings: Settings, provider: InterestOverTime | None = None) -> None:
        super().__init__(settings)
        self._provider = provider or SerpApi()
        self._regions = settings.google_trends_regions
        self._keywords = settings.google_trends_keywords
        self.spec = SourceSpec(
            id="google_trends_interest",
            family="google_trends",
            title="Google Trends: interest over time",
            docs=(self._provider.docs,),
            kinds=("interest",),
            base_url=self._provider.base_url,
            credentials=(self._provider.credential,),
            quotas=(SEARCHES,),
            replayable=True,
            params={"regions": "google_trends_regions", "keywords": "google_trends_keywords"},
        )

    def availability(self) -> Availability:
        """Whether there is a key, a keyword and a region."""
        if not self._keywords or not self._regions:
            return Availability(
                False,
                'set GOOGLE_TRENDS_KEYWORDS and GOOGLE_TRENDS_REGIONS, for example ["chess"] and'
                ' ["US"]',
            )
        return super().availability()

    def levels(self) -> tuple[Level, ...]:
        """All regions, or the first half of them, or the first alone."""
        return tuple(
            Level(name, {SEARCHES.pool: len(self._keywords) * count})
            for name, count in shares("regions", len(self._regions)).items()
        )

    def fetch(
        self, interval: Interval, cursor: Mapping[str, Any] | None, access: Access
    ) -> Iterator[Page]:
        """Yield a window of each keyword and region that ends with the interval.

        The fragment of its request says what was asked for: `#start=...&end=...`.
        """
        secret = self.settings.require_credential(self._provider.credential)
        credentials = Credentials(
            query=self._provider.present(secret), variable=variable(self._provider.credential)
        )
        start, end = window(interval)
        asked = urlencode({"start": start.isoformat(), "end": end.isoformat()})
        total = len(self._regions)
        count = shares("regions", total).get(access.level.name, total)
        pairs = [
            (region, keyword) for region in self._regions[:count] for keyword in self._keywords
        ]
        with access.client(self, credentials=credentials) as http:
            for number, (region, keyword) in enumerate(pairs):
                found = self._provider.ask(http, keyword, region, start, end)
                yield new_page("interest", found, region=region, number=number, note=asked)

    def parse(self, page: Page) -> Iterator[Record | Rejected]:
        """Turn a window into records; what does not parse becomes `Rejected`."""
        try:
            for position, point in enumerate(self._provider.points(page.body)):
                yield point if isinstance(point, Rejected) else _record(point, page, position)
        except RecordError as error:
            yield fields.rejected_body("interest", error, page.body)


def window(interval: Interval) -> tuple[datetime, datetime]:
    """What is asked for: whole hours up to the interval's end.

    A week, or twice the interval where that is more, so that the windows of two neighbours share
    at least as much as an interval.
    """
    whole = interval.end.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    end = whole if whole == interval.end else whole + _HOUR
    hours = -(-2 * (interval.end - interval.start) // _HOUR)
    return end - max(_REACH, hours * _HOUR), end


def _record(point: Point, page: Page, position: int) -> Record | Rejected:
    """The row of a point; a dead letter if its keyword does not fit into a key."""
    start, end = (note(page, name) or "" for name in ("start", "end"))
    found = f"{point.keyword}|{start}/{end}"
    if len(found.encode()) > _ID_LIMIT:
        return fields.rejected(
            "interest", RecordError("query is too long for an id"), point.keyword, position
        )
    payload = {
        "keyword": point.keyword,
        "value": point.value,
        "partial": point.partial,
        "window_start": start or None,
        "window_end": end or None,
    }
    return record(page, "interest", found, point.at, payload)
