"""The panel of YouTube charts: one row per video and day over all countries, with its video."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from ml.exceptions import ArchiveError
from ml.sources.archives import youtube
from ml.sources.archives.base import (
    NO_REGION,
    YOUTUBE_SCHEMA,
    Archive,
    Chunk,
    Format,
    row_start,
)
from ml.sources.archives.columns import Columns, Rows, end_of_day
from ml.sources.archives.reading import CsvFile

SOURCE = "youtube-panel"

_ROW_STARTS = {"video_id": f"{youtube.VIDEO_ID}|{youtube.DESTROYED_ID}"}
_ATTRIBUTES = (
    "title", "channel_id", "channel_title", "category_id", "published_at", "tags", "language",
    "duration_s", "made_for_kids",
)  # fmt: skip
_VIDEO_SCHEMA = pa.schema(
    [YOUTUBE_SCHEMA.field(name) for name in ("video_id", *_ATTRIBUTES, "position")]
)


def _is_days(header: Sequence[str]) -> bool:
    return {"video_id", "snapshot_date", "views", "n_countries"} <= set(header)


def _is_videos(header: Sequence[str]) -> bool:
    return {"video_id", "title", "published_at"} <= set(header) and "views" not in header


def _matches(header: Sequence[str]) -> bool:
    return _is_days(header) or _is_videos(header)


def open_archives(
    files: Sequence[CsvFile],
    region: str | None,  # noqa: ARG001
    year: int | None,  # noqa: ARG001
) -> list[Archive]:
    """One archive per file of days, with every file of videos as its companion.

    Raises:
        ArchiveError: if there are only days or only videos.
    """
    days = [file for file in files if _is_days(file.header)]
    videos = tuple(file for file in files if not _is_days(file.header))
    if not days or not videos:
        lacking = "video_day.csv (video_id, snapshot_date, ...)" if videos else "videos.csv"
        raise ArchiveError(f"{files[0].path} is half of a panel; pass {lacking} as well")
    return [
        Archive(
            file=file,
            table="raw.youtube_videos",
            source=SOURCE,
            kind="video",
            chunks=partial(_chunks, file, videos),
            companions=videos,
            region=NO_REGION,
        )
        for file in days
    ]


def _chunks(days: CsvFile, videos: Sequence[CsvFile]) -> Iterator[Chunk]:
    loaded: list[pa.RecordBatch] = []
    for file in videos:
        for chunk in _video_chunks(file):
            loaded.append(chunk.rows.table)
            nothing = pa.RecordBatch.from_pylist([], YOUTUBE_SCHEMA)
            yield Chunk(file, Rows(nothing, chunk.rows.rejects), chunk.rows_read, chunk.rows_used)
    table = pa.Table.from_batches(loaded, _VIDEO_SCHEMA).combine_chunks()
    for batch in days.batches(row_start(days.header, _ROW_STARTS)):
        columns = Columns(batch)
        rows = columns.rows(_values(columns, table), YOUTUBE_SCHEMA)
        yield Chunk(days, rows, len(batch.rows) + len(batch.rejects), rows.table.num_rows)


def _video_chunks(file: CsvFile) -> Iterator[Chunk]:
    for batch in file.batches(row_start(file.header, _ROW_STARTS)):
        columns = Columns(batch)
        values = {"video_id": youtube.video_id(columns), **youtube.attributes(columns, ",")}
        rows = columns.rows(values, _VIDEO_SCHEMA)
        yield Chunk(file, rows, len(batch.rows) + len(batch.rejects), rows.table.num_rows)


def _values(columns: Columns, videos: pa.Table) -> dict[str, pa.Array]:
    ids = youtube.video_id(columns)
    # Of two rows of one video the first counts.
    at = pc.index_in(ids, value_set=videos["video_id"].combine_chunks())
    columns.reject(pc.is_null(at), "video_id is in none of the videos files")
    day = columns.time("snapshot_date", required=True)
    fetched = columns.time("fetched_at")
    return {
        "region": pa.array([NO_REGION] * len(columns), pa.string()),
        "video_id": ids,
        "observed_at": pc.coalesce(fetched, day),
        "available_at": pc.coalesce(fetched, end_of_day(day)),
        "chart_rank": youtube.rank(columns, "best_rank"),
        "regions_listed": youtube.rank(columns, "n_countries"),
        "views": columns.count("views", required=True),
        "likes": youtube.hide_zero(columns.count("likes")),
        "dislikes": pa.nulls(len(columns), pa.int64()),
        "comments": youtube.hide_zero(columns.count("comments")),
        **{name: videos[name].combine_chunks().take(at) for name in _ATTRIBUTES},
    }


FORMAT = Format(
    name=SOURCE,
    expected="video_id, snapshot_date, views, n_countries (and a file video_id, title, ...)",
    matches=_matches,
    open=open_archives,
    joins=True,
)
