"""What a source is: it fetches raw pages for an interval and parses them, nothing else.

A source never touches a database. Pages land in bronze unchanged before anything is parsed, so a
parser bug never loses data: the same `parse` runs on a page from the wire and on one from bronze.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from ml.settings import Settings, variable
from ml.sources.access import Access
from ml.sources.http import Fetched
from ml.sources.quota import FULL, Level, Quota

Table = Literal["raw.records", "raw.youtube_videos"]
# Region of what has none.
NOWHERE = "ZZ"


@dataclass(frozen=True)
class Interval:
    """A data interval, `start` inclusive and `end` exclusive, both in UTC."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError("interval times need a time zone")
        if self.end <= self.start:
            raise ValueError(f"interval ends ({self.end}) before it starts ({self.start})")


@dataclass(frozen=True)
class Page:
    """One raw response, exactly as the provider sent it.

    Attributes:
        stream: what was asked for, for example `chart` or `item`; selects the parser.
        region: ISO country of the request, `ZZ` where the source has none.
        number: position of the page within its fetch, from 0.
        body: the response body, unchanged.
        request: the request with its secrets removed.
        fetched_at: when it arrived; becomes `available_at` of the records in it.
        validators: headers that ask for this page again only if it has changed.
    """

    stream: str
    region: str
    number: int
    body: bytes
    request: str
    fetched_at: datetime
    validators: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Record:
    """A parsed row of `table`.

    `values` are its columns, without `source`, `bronze_key`, `ingested_at` and `is_synthetic`,
    which the landing fills in.
    """

    table: Table
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Rejected:
    """An item that does not parse: it becomes a dead letter."""

    kind: str
    reason: str
    payload: str
    position: int


@dataclass(frozen=True)
class Availability:
    """Whether a source can be used as configured; `reason` names the variable to set if not."""

    available: bool
    reason: str = ""


@dataclass(frozen=True)
class SourceSpec:
    """What a source says about itself.

    Attributes:
        id: unique name, the `source` column of its rows.
        family: what groups sources into one DAG, pool and asset, for example `youtube`.
        title: for people.
        docs: pages that describe the wire format, each with the date on which it was read.
        kinds: the `kind` of its records; empty for a source with a table of its own.
        base_url: the provider's address, without a trailing slash.
        credentials: settings that must have a value, none for a keyless source.
        quotas: the daily allowances that its calls spend.
        replayable: whether the provider still answers for an interval that is long past.
        min_interval_s: seconds between the starts of two requests, as the provider asks.
        parallel: requests that may be open at once.
        params: settings that a run may override, by the name that its form shows.
    """

    id: str
    family: str
    title: str
    docs: tuple[str, ...]
    kinds: tuple[str, ...]
    base_url: str
    credentials: tuple[str, ...] = ()
    quotas: tuple[Quota, ...] = ()
    replayable: bool = False
    min_interval_s: float = 0.0
    parallel: int = 1
    params: Mapping[str, str] = field(default_factory=dict)


class Source(ABC):
    """A trend source: `spec` says what it is, `fetch` asks the provider, `parse` reads pages."""

    spec: SourceSpec

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @property
    def id(self) -> str:
        """The `source` column of its rows."""
        return self.spec.id

    @property
    def replayable(self) -> bool:
        """Whether an interval that is long past can be asked for; the world knows any moment."""
        return self.spec.replayable or self.settings.uses_world

    def availability(self) -> Availability:
        """Whether the source can be used as configured."""
        missing = [name for name in self.spec.credentials if not self.settings.credential(name)]
        if missing:
            return Availability(False, f"set {' and '.join(variable(name) for name in missing)}")
        return Availability(True)

    def levels(self) -> tuple[Level, ...]:
        """How an interval can be fetched, the most complete way first, with what each costs."""
        return (FULL,)

    @abstractmethod
    def fetch(
        self, interval: Interval, cursor: Mapping[str, Any] | None, access: Access
    ) -> Iterator[Page]:
        """Yield the raw pages of an interval, starting at `cursor`.

        Args:
            interval: what is asked for.
            cursor: what `next_cursor` gave after an earlier interval.
            access: makes the clients of the provider; names the level to fetch at.

        Raises:
            ProviderError: when the provider keeps failing.
            SourceUnavailableError: when it refuses the credentials.
            QuotaExceededError: when the quota is used up.
        """

    @abstractmethod
    def parse(self, page: Page) -> Iterator[Record | Rejected]:
        """Turn one page into rows. Never raises for bad content: it yields `Rejected`."""

    def next_cursor(
        self,
        interval: Interval,
        cursor: Mapping[str, Any] | None,
        pages: Sequence[Page],
    ) -> Mapping[str, Any]:
        """The cursor to store, in the same transaction as the rows, once an interval is loaded.

        By default the end of the latest interval; a backfill does not move it back.
        """
        return latest_end(interval, cursor)


_END = "interval_end"


def latest_end(interval: Interval, cursor: Mapping[str, Any] | None) -> dict[str, Any]:
    """The end of the latest interval loaded so far."""
    ends = [interval.end]
    if cursor and _END in cursor:
        ends.append(datetime.fromisoformat(cursor[_END]))
    return {_END: max(ends).astimezone(UTC).isoformat()}


def is_latest(interval: Interval, cursor: Mapping[str, Any] | None) -> bool:
    """Whether no later interval has been loaded; only then may what a page says move the cursor."""
    return bool(latest_end(interval, cursor) == latest_end(interval, None))


def new_page(
    stream: str, fetched: Fetched, *, region: str = NOWHERE, number: int = 0, note: str = ""
) -> Page:
    """The page of an answer.

    Args:
        stream: selects the parser.
        fetched: the answer.
        region: of the request.
        number: position of the page within its fetch.
        note: what a parser has to know and the body does not say, for example `rank=51`; kept as
            the fragment of the request, which is never sent.
    """
    request = f"{fetched.request}#{note}" if note else fetched.request
    return Page(stream, region, number, fetched.body, request, fetched.fetched_at)


def note(page: Page, name: str) -> str | None:
    """A value of the page's note, None if the note does not have it."""
    return parse_qs(page.request.partition("#")[2]).get(name, [None])[0]


def first_rank(page: Page) -> int:
    """The rank of the page's first item, as its note says it; else 1."""
    value = note(page, "rank") or ""
    return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else 1


def parameter(page: Page, name: str) -> str | None:
    """A parameter of the page's request, None if the request does not have it."""
    query = urlsplit(page.request.partition(" ")[2]).query
    return parse_qs(query).get(name, [None])[0]


def record(
    page: Page,
    kind: str,
    record_id: str,
    event_at: datetime,
    payload: Mapping[str, Any],
    *,
    region: str | None = None,
) -> Record:
    """A row of `raw.records`, available since its page arrived.

    Args:
        page: where it was found.
        kind: one of the spec's kinds.
        record_id: the provider's own id.
        event_at: when it happened; for a measurement, when it was taken.
        payload: what is known of it; None stands for what the provider does not say.
        region: ISO country, if not the page's.
    """
    values = {
        "kind": kind,
        "record_id": record_id,
        "region": region or page.region,
        "event_at": event_at,
        "available_at": max(page.fetched_at, event_at),
        "payload": dict(payload),
    }
    return Record("raw.records", values)
