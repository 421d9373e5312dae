"""Loading into the raw tables: one transaction of COPY and set-based SQL."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, LiteralString

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from psycopg import sql
from psycopg.types.json import Jsonb

from ml.sources.base import Table
from ml.storage import postgres

_DEAD = "load_dead_letters"
_WRITE_DEAD = """
    insert into ops.dead_letters
        (dead_letter_id, source, kind, reason, payload, bronze_key, position)
    select
        encode(sha256(convert_to(
            concat_ws('|', %(source)s::text, kind, bronze_key, position), 'UTF8')), 'hex'),
        %(source)s, kind, reason, payload, bronze_key, position
    from load_dead_letters
    order by 1
    on conflict (dead_letter_id) do update
        set status = 'open', reason = excluded.reason, payload = excluded.payload
        where ops.dead_letters.status = 'replayed'
"""
# Enough to sort a country's year of charts in memory, and little beside the server's own share.
_WORK_MEM = "128MB"
_ANALYZE_ROWS = 10_000


@dataclass(frozen=True)
class RawTable:
    """A raw table as loads see it.

    Attributes:
        columns: those that vary from row to row, without what every row of a load shares.
        merge: how one load's rows go in.
        archive_same: of rows of one archive that agree in these, one is kept: a list that names a
            video twice a day has observed it once.
    """

    columns: tuple[str, ...]
    merge: postgres.Merge
    archive_same: tuple[LiteralString, ...]


# "C" compares bytes, several times faster than a language's order, and only sameness matters.
_YOUTUBE = RawTable(
    columns=(
        "region", "video_id", "observed_at", "available_at", "chart_rank", "title", "channel_id",
        "channel_title", "category_id", "published_at", "tags", "language", "duration_s", "views",
        "likes", "dislikes", "comments", "regions_listed", "made_for_kids",
    ),
    merge=postgres.Merge(
        table="raw.youtube_videos",
        key=("source", "region", "video_id", "observed_at"),
        same=('region collate "C"', 'video_id collate "C"', "observed_at"),
        # Views only grow, so of two rows of one time that with more of them is the later.
        prefer=(
            "observed_at desc", "available_at desc", "views desc nulls last",
            "likes desc nulls last", "comments desc nulls last", "chart_rank nulls last",
            "position",
        ),
        newer_by=("available_at", "views"),
    ),
    archive_same=(
        'region collate "C"', 'video_id collate "C"', "date_trunc('day', observed_at, 'UTC')",
    ),
)  # fmt: skip
_RECORDS = RawTable(
    columns=("kind", "record_id", "region", "event_at", "available_at", "payload"),
    merge=postgres.Merge(
        table="raw.records",
        key=("source", "kind", "record_id", "region", "event_at"),
        same=("kind", 'record_id collate "C"', "region", "event_at"),
        prefer=("available_at desc", "position"),
        newer_by=("available_at",),
        first="first_available_at",
    ),
    archive_same=("kind", 'record_id collate "C"', "region", "event_at"),
)
TABLES: dict[Table, RawTable] = {"raw.youtube_videos": _YOUTUBE, "raw.records": _RECORDS}


@dataclass(frozen=True)
class DeadLetter:
    """A record that could not be used."""

    kind: str
    reason: str
    payload: str
    bronze_key: str
    position: int


@dataclass(frozen=True)
class Loaded:
    """What a load did.

    Attributes:
        rows: different rows in it.
        new: how many of them were inserted or replaced an earlier observation.
    """

    rows: int
    new: int


class Load:
    """Rows of one raw table, copied to a temporary table and merged at the end.

    Args:
        conn: in the transaction that everything belongs to.
        table: where the rows go.
        shared: columns that all rows have the same value in.
        by_row: columns beside the table's own that vary by row.
        archive: whether the rows are those of one archive file.
    """

    def __init__(
        self,
        conn: psycopg.Connection,
        table: Table,
        shared: Mapping[str, Any],
        by_row: Sequence[str] = (),
        *,
        archive: bool = False,
    ) -> None:
        raw = TABLES[table]
        self._conn = conn
        self._shared = shared
        self._columns = (*raw.columns, *by_row)
        self._rule = replace(raw.merge, same=raw.archive_same) if archive else raw.merge
        self._staged = 0
        self._staging = postgres.create_staging(conn, table, self._columns, "position bigint")

    def add_batch(self, batch: pa.RecordBatch) -> None:
        """COPY Arrow rows whose columns are the table's own and `position`."""
        if batch.num_rows:
            names = batch.schema.names
            postgres.copy_csv(self._conn, self._staging, names, [csv_bytes(batch)])
            self._staged += batch.num_rows

    def add_rows(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """COPY rows given as mappings; a column that one lacks is null."""
        names = [*self._columns, "position"]
        values = (
            [*(_adapted(row.get(name)) for name in self._columns), number]
            for number, row in enumerate(rows, self._staged)
        )
        self._staged += postgres.copy_rows(self._conn, self._staging, names, values)

    def finish(self) -> Loaded:
        """Merge what was added."""
        self._conn.execute(sql.SQL("set local work_mem = {}").format(sql.Literal(_WORK_MEM)))
        new = postgres.merge(self._conn, self._staging, self._rule, self._columns, self._shared)
        same = new == self._staged
        rows = new if same else postgres.count_distinct(self._conn, self._staging, self._rule)
        return Loaded(rows, new)


def _adapted(value: Any) -> Any:
    return Jsonb(value) if isinstance(value, dict) else value


def csv_bytes(batch: pa.RecordBatch) -> bytes:
    """A batch as CSV for COPY: null is empty, an empty text is quoted, a list is an array."""
    columns = [
        _array_literals(column) if pa.types.is_list(column.type) else column
        for column in batch.columns
    ]
    sink = io.BytesIO()
    pyarrow.csv.write_csv(
        pa.RecordBatch.from_arrays(columns, names=batch.schema.names),
        sink,
        pyarrow.csv.WriteOptions(include_header=False),
    )
    return sink.getvalue()


def _array_literals(lists: pa.Array) -> pa.Array:
    items = pc.replace_substring(pc.replace_substring(lists.flatten(), "\\", "\\\\"), '"', '\\"')
    # `flatten` leaves out what nulls hide, so the offsets are counted anew.
    lengths = pc.fill_null(pc.list_value_length(lists), 0).cast(pa.int64())
    offsets = pa.concat_arrays([pa.array([0]), pc.cumulative_sum(lengths)]).cast(pa.int32())
    joined = pc.binary_join(pa.ListArray.from_arrays(offsets, items), '","')
    literals = pc.binary_join_element_wise('{"', joined, '"}', "")
    return pc.case_when(
        pc.make_struct(pc.is_null(lists), pc.equal(lengths, 0)),
        pa.scalar(None, pa.string()),
        pa.scalar("{}"),
        literals,
    )


class DeadLetters:
    """Rejects of one load; their ids are hashes of where they come from, so a re-run adds none."""

    def __init__(self, conn: psycopg.Connection, source: str) -> None:
        self._conn = conn
        self._source = source
        conn.execute(
            f"create temporary table {_DEAD} (kind text, reason text, payload text,"
            " bronze_key text, position bigint) on commit drop"
        )

    def add(self, letters: Iterable[DeadLetter]) -> int:
        """COPY rejects and return how many there were."""
        values = (
            (item.kind, item.reason, item.payload.replace("\0", "\ufffd"), item.bronze_key,
             item.position)
            for item in letters
        )  # fmt: skip
        columns = ("kind", "reason", "payload", "bronze_key", "position")
        return postgres.copy_rows(self._conn, _DEAD, columns, values)

    def finish(self) -> None:
        """Write what was added."""
        self._conn.execute(_WRITE_DEAD, {"source": self._source})


def lock(conn: psycopg.Connection, name: str) -> None:
    """Let one transaction at a time do what `name` stands for."""
    conn.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", (name,))


def analyze(conn: psycopg.Connection, table: Table, rows: int) -> None:
    """Refresh the planner's statistics once many rows have changed."""
    if rows >= _ANALYZE_ROWS:
        conn.execute(sql.SQL("analyze {}").format(sql.Identifier(*table.split("."))))
