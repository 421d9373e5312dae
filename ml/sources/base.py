"""What a source is: it fetches raw pages for an interval and parses them, nothing else.

A source never touches a database. Pages land in bronze unchanged before anything is parsed, so a
parser bug never loses data: the same `parse` runs on a page from the wire and on one from bronze.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

Table = Literal["raw.records", "raw.youtube_videos"]


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
    """

    stream: str
    region: str
    number: int
    body: bytes
    request: str
    fetched_at: datetime


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


class Source(Protocol):
    """A trend source.

    Attributes:
        id: unique name, the `source` column of its rows.
        family: what groups sources into one DAG, pool and quota, for example `youtube`.
        replayable: whether the provider still answers for an interval that is long past.
    """

    id: str
    family: str
    replayable: bool

    def availability(self) -> Availability:
        """Whether the source can be used as configured."""
        ...

    def fetch(self, interval: Interval, cursor: Mapping[str, Any] | None) -> Iterator[Page]:
        """Yield the raw pages of an interval, starting at `cursor`.

        Raises:
            ProviderError: when the provider keeps failing.
            SourceUnavailableError: when it refuses the credentials.
            QuotaExceededError: when the quota is used up.
        """
        ...

    def parse(self, page: Page) -> Iterator[Record | Rejected]:
        """Turn one page into rows. Never raises for bad content: it yields `Rejected`."""
        ...

    def next_cursor(
        self, interval: Interval, cursor: Mapping[str, Any] | None
    ) -> Mapping[str, Any]:
        """The cursor to store, in the same transaction as the rows, once an interval is loaded."""
        ...
