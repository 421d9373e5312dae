"""Hacker News front pages: snapshots of the ranking, and the stories in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from ml.sources.archives.base import NO_REGION, RECORD_SCHEMA, Archive, Chunk, Format, row_start
from ml.sources.archives.columns import Columns, json_objects
from ml.sources.archives.reading import CsvFile

SOURCE = "hackernews"

_ROW_STARTS = {"observed_at_utc": r"\d{4}-\d\d-\d\d[T ][\d:.]+Z?", "id": r"\d+"}


def _is_snapshots(header: Sequence[str]) -> bool:
    return {"observed_at_utc", "id", "rank"} <= set(header)


def _matches(header: Sequence[str]) -> bool:
    return _is_snapshots(header) or {"id", "first_seen_utc", "title"} <= set(header)


def open_archives(
    files: Sequence[CsvFile],
    region: str | None,  # noqa: ARG001
    year: int | None,  # noqa: ARG001
) -> list[Archive]:
    """One archive a file; stories and snapshots do not need each other."""
    return [
        Archive(
            file=file,
            table="raw.records",
            source=SOURCE,
            kind=_kind(file),
            chunks=partial(_chunks, file),
            region=NO_REGION,
        )
        for file in files
    ]


def _kind(file: CsvFile) -> str:
    return "snapshot" if _is_snapshots(file.header) else "item"


def _chunks(file: CsvFile) -> Iterator[Chunk]:
    kind = _kind(file)
    for batch in file.batches(row_start(file.header, _ROW_STARTS)):
        columns = Columns(batch)
        ids = columns.word("id", pattern=r"^\d{1,12}$", what="is not a number")
        name = "observed_at_utc" if kind == "snapshot" else "first_seen_utc"
        seen = columns.time(name, required=True)
        values = {
            "kind": pa.array([kind] * len(columns), pa.string()),
            "record_id": ids,
            "region": pa.array([NO_REGION] * len(columns), pa.string()),
            "event_at": seen,
            "available_at": seen,
            "payload": json_objects(_snapshot(columns) if kind == "snapshot" else _item(columns)),
        }
        rows = columns.rows(values, RECORD_SCHEMA)
        yield Chunk(file, rows, len(batch.rows) + len(batch.rejects), rows.table.num_rows)


def _snapshot(columns: Columns) -> dict[str, pa.Array]:
    return {
        "rank": columns.count("rank", required=True),
        "upvotes": columns.count("upvotes"),
        "comments": columns.count("comments"),
    }


def _item(columns: Columns) -> dict[str, pa.Array]:
    title = columns.text("title")
    columns.reject(pc.is_null(title), "title is empty")
    return {"title": title, "url": columns.text("url"), "author": columns.text("author")}


FORMAT = Format(
    name="hackernews-snapshots",
    expected="observed_at_utc, rank, id (snapshots) or id, first_seen_utc, title (items)",
    matches=_matches,
    open=open_archives,
)
