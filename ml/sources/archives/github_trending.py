"""GitHub's daily list of trending repositories."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import pyarrow as pa

from ml.sources.archives.base import NO_REGION, RECORD_SCHEMA, Archive, Chunk, Format, row_start
from ml.sources.archives.columns import Columns, end_of_day, json_objects
from ml.sources.archives.reading import CsvFile

SOURCE = "github-trending"
KIND = "listing"

_ROW_STARTS = {"date": r"\d{4}-\d\d-\d\d"}


def _matches(header: Sequence[str]) -> bool:
    return {"date", "position", "repo"} <= set(header)


def open_archives(
    files: Sequence[CsvFile],
    region: str | None,  # noqa: ARG001
    year: int | None,  # noqa: ARG001
) -> list[Archive]:
    """One archive a file."""
    return [
        Archive(
            file=file,
            table="raw.records",
            source=SOURCE,
            kind=KIND,
            chunks=partial(_chunks, file),
            region=NO_REGION,
        )
        for file in files
    ]


def _chunks(file: CsvFile) -> Iterator[Chunk]:
    for batch in file.batches(row_start(file.header, _ROW_STARTS)):
        columns = Columns(batch)
        repos = columns.word("repo", pattern=r"^[^/\s]+/[^/\s]+$", what="is not owner/name")
        day = columns.time("date", required=True)
        payload = {
            "position": columns.count("position", required=True),
            "lang": columns.text("lang"),
            "desc": columns.text("desc"),
        }
        values = {
            "kind": pa.array([KIND] * len(columns), pa.string()),
            "record_id": repos,
            "region": pa.array([NO_REGION] * len(columns), pa.string()),
            "event_at": day,
            "available_at": end_of_day(day),
            "payload": json_objects(payload),
        }
        rows = columns.rows(values, RECORD_SCHEMA)
        yield Chunk(file, rows, len(batch.rows) + len(batch.rejects), rows.table.num_rows)


FORMAT = Format(name=SOURCE, expected="date, position, repo", matches=_matches, open=open_archives)
