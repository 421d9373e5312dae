"""What an archive format is, and the columns that every format delivers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from ml.sources.archives.columns import TIMESTAMP, Rows
from ml.sources.archives.reading import CsvFile
from ml.sources.base import Table

# Columns of `raw.youtube_videos` that an archive gives, and the first line of the row in its file.
YOUTUBE_SCHEMA = pa.schema(
    {
        "region": pa.string(),
        "video_id": pa.string(),
        "observed_at": TIMESTAMP,
        "available_at": TIMESTAMP,
        "chart_rank": pa.int32(),
        "title": pa.string(),
        "channel_id": pa.string(),
        "channel_title": pa.string(),
        "category_id": pa.int32(),
        "published_at": TIMESTAMP,
        "tags": pa.list_(pa.string()),
        "language": pa.string(),
        "duration_s": pa.float64(),
        "views": pa.int64(),
        "likes": pa.int64(),
        "dislikes": pa.int64(),
        "comments": pa.int64(),
        "regions_listed": pa.int32(),
        "made_for_kids": pa.bool_(),
        "position": pa.int64(),
    }
)
# The same for `raw.records`; `payload` is JSON text.
RECORD_SCHEMA = pa.schema(
    {
        "kind": pa.string(),
        "record_id": pa.string(),
        "region": pa.string(),
        "event_at": TIMESTAMP,
        "available_at": TIMESTAMP,
        "payload": pa.string(),
        "position": pa.int64(),
    }
)
NO_REGION = "ZZ"


@dataclass(frozen=True)
class Chunk:
    """Some rows of one file.

    Attributes:
        file: the file they are of.
        rows: what is ready for the table, and the rejects; no row of a companion file, which is
            only joined.
        rows_read: rows of the file that this chunk accounts for.
        rows_used: how many of them are usable.
    """

    file: CsvFile
    rows: Rows
    rows_read: int
    rows_used: int


@dataclass(frozen=True)
class Archive:
    """One file that is imported in one transaction.

    Attributes:
        file: the file whose rows become rows of `table`.
        table: where the rows go.
        source: the `source` of the rows.
        kind: what one row is; the `kind` of its dead letter.
        chunks: reads the files; may be called again.
        companions: files that are joined to it.
        region: of rows that name none.
        year: of dates that have none.
    """

    file: CsvFile
    table: Table
    source: str
    kind: str
    chunks: Callable[[], Iterator[Chunk]]
    companions: tuple[CsvFile, ...] = ()
    region: str | None = None
    year: int | None = None


@dataclass(frozen=True)
class Format:
    """A kind of public archive.

    Attributes:
        name: as given to `import-archive --format`.
        expected: the columns it needs, for the message to a person whose file lacks them.
        matches: whether a header is of this format.
        open: turns inspected files into archives.
        joins: whether its files need each other.
    """

    name: str
    expected: str
    matches: Callable[[Sequence[str]], bool]
    open: Callable[[Sequence[CsvFile], str | None, int | None], list[Archive]]
    joins: bool = False


def row_start(header: Sequence[str], patterns: dict[str, str]) -> re.Pattern[str] | None:
    """What the first line of a row looks like, by the name of the first column."""
    pattern = patterns.get(header[0]) if header else None
    return re.compile(rf'"?(?:{pattern})"?(?:,|$)') if pattern else None
