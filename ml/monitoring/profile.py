"""What tests of drift need of a table: counts, means, histograms by column and block.

One row of `block` numbers says which part of time a row belongs to: `CURRENT` for the window that
is watched, numbers from 0 on for equal parts of the reference. Postgres counts in one scan for a
hundred or so columns; a frame is counted the same way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import psycopg
from psycopg import sql

if TYPE_CHECKING:
    import pandas as pd

Array = npt.NDArray[np.float64]

CURRENT = -1
BINS = 10
MOST_CATEGORIES = 15
# Edges of bins are a choice, not an estimate: counts are taken of all rows.
_SAMPLE_ROWS = 20_000
_SMALL_TABLE = 50_000
# Postgres takes 1,664 columns of a result; a numeric column needs 11.
_CHUNK = 100
_SEED = 42


@dataclass(frozen=True)
class Relation:
    """A table to be profiled.

    Attributes:
        name: `schema.table`, or the name of a temporary table. Its column `block` (integer) is not
            null.
        numeric: columns with an order.
        categorical: columns without; texts.
    """

    name: str
    numeric: tuple[str, ...]
    categorical: tuple[str, ...] = ()


@dataclass(frozen=True)
class ColumnProfile:
    """One column, block by block.

    Attributes:
        levels: lower edges of the bins after the first, or the categories with a bin of their own.
        blocks: their numbers, `CURRENT` among them if there are such rows.
        rows: how many each has.
        counts: blocks x bins, missing values left out; of categories the last bin holds all others.
        mean: of each block; not a number for categories, and where all is missing.
    """

    name: str
    is_numeric: bool
    levels: tuple[Any, ...]
    blocks: npt.NDArray[np.int64]
    rows: Array
    counts: Array
    mean: Array

    @property
    def missing(self) -> Array:
        """Missing values by block."""
        missing: Array = self.rows - self.counts.sum(axis=1)
        return missing

    def only(self, kept: npt.NDArray[np.bool_]) -> ColumnProfile:
        """The profile of some of its blocks."""
        return ColumnProfile(
            self.name,
            self.is_numeric,
            self.levels,
            self.blocks[kept],
            self.rows[kept],
            self.counts[kept],
            self.mean[kept],
        )


def profile_relation(conn: psycopg.Connection, relation: Relation) -> list[ColumnProfile]:
    """Profile every column of a table; bins are the deciles of the reference.

    Args:
        conn: to the database; a temporary table is visible to its own connection only.
        relation: what to profile.
    """
    profiles: list[ColumnProfile] = []
    for chunk in _chunks(relation.numeric, _CHUNK):
        levels = _edges(conn, relation.name, chunk)
        profiles += _numeric_profiles(conn, relation.name, levels)
    for chunk in _chunks(relation.categorical, _CHUNK):
        found = _categories(conn, relation.name, chunk)
        profiles += _categorical_profiles(conn, relation.name, found)
    return profiles


def profile_frame(
    frame: pd.DataFrame,
    blocks: npt.NDArray[np.int64],
    numeric: Sequence[str],
    categorical: Sequence[str] = (),
) -> list[ColumnProfile]:
    """Profile the columns of a frame as `profile_relation` does those of a table.

    Args:
        frame: the rows.
        blocks: the block of each.
        numeric: columns with an order.
        categorical: columns without.
    """
    order = np.unique(blocks)
    at = np.searchsorted(order, blocks)
    rows = np.bincount(at, minlength=len(order)).astype(float)
    reference = frame[blocks != CURRENT]
    profiles = []
    for name in numeric:
        values = frame[name].to_numpy(dtype=float)
        edges = _frame_edges(reference[name].to_numpy(dtype=float))
        there = ~np.isnan(values)
        bins = np.searchsorted(np.array(edges), values[there], side="right")
        counts = _count(at[there], bins, len(order), len(edges) + 1)
        mean = _frame_means(values[there], at[there], len(order))
        profiles.append(ColumnProfile(name, True, edges, order, rows, counts, mean))
    nothing = np.full(len(order), np.nan)
    for name in categorical:
        values = frame[name].astype("string")
        kinds = tuple(reference[name].astype("string").value_counts().head(MOST_CATEGORIES).index)
        there = values.notna().to_numpy()
        number = {kind: index for index, kind in enumerate(kinds)}
        bins = values[there].map(number).fillna(len(kinds)).to_numpy(dtype=np.int64)
        counts = _count(at[there], bins, len(order), len(kinds) + 1)
        profiles.append(ColumnProfile(name, False, kinds, order, rows, counts, nothing))
    return profiles


def _count(at: Any, bins: Any, blocks: int, width: int) -> Array:
    flat = np.bincount(at * width + bins, minlength=blocks * width)
    return flat.reshape(blocks, width).astype(float)


def _frame_edges(values: Array) -> tuple[float, ...]:
    values = values[~np.isnan(values)]
    if not len(values):
        return ()
    chosen = np.quantile(values, np.arange(1, BINS) / BINS, method="inverted_cdf")
    return _distinct(chosen, float(values.min()))


def _distinct(edges: Any, least: float) -> tuple[float, ...]:
    """Edges that each part something off: a bin below the least value would be empty."""
    return tuple(float(edge) for edge in np.unique(edges) if edge > least)


def _frame_means(values: Array, at: Any, blocks: int) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        means: Array = np.bincount(at, values, blocks) / np.bincount(at, minlength=blocks)
    return means


def _edges(
    conn: psycopg.Connection, table: str, columns: Sequence[str]
) -> dict[str, tuple[float, ...]]:
    """Deciles of a sample of the reference rows; of a column with no value there is none."""
    shares = sql.Literal([step / BINS for step in range(1, BINS)])
    asked = [
        sql.SQL(
            "percentile_disc({shares}::float8[]) within group (order by {name}::float8),"
            " min({name}::float8)"
        ).format(shares=shares, name=sql.Identifier(name))
        for name in columns
    ]
    row = conn.execute(
        sql.SQL("select {asked} from {sample} where block <> {current}").format(
            asked=sql.SQL(", ").join(asked),
            sample=_sample(conn, table),
            current=sql.Literal(CURRENT),
        )
    ).fetchone()
    found = iter(row or ())
    pairs = zip(columns, zip(found, found, strict=True), strict=True)
    return {
        name: _distinct(edges, least) if edges is not None else () for name, (edges, least) in pairs
    }


def _sample(conn: psycopg.Connection, table: str) -> sql.Composable:
    """Some pages of the table, always the same ones, as far as they are not all needed."""
    row = conn.execute(
        "select reltuples from pg_class where oid = %s::regclass", (_name(table).as_string(),)
    ).fetchone()
    expected = row[0] if row else -1
    name = _name(table)
    if expected <= _SMALL_TABLE:
        return name
    return sql.SQL("{} tablesample system ({}) repeatable ({})").format(
        name, sql.Literal(round(100 * _SAMPLE_ROWS / expected, 6)), sql.Literal(_SEED)
    )


def _numeric_profiles(
    conn: psycopg.Connection, table: str, levels: Mapping[str, tuple[float, ...]]
) -> Iterator[ColumnProfile]:
    asked: list[sql.Composable] = []
    for name, edges in levels.items():
        column = sql.Identifier(name)
        asked.append(sql.SQL("count({0}), avg({0}::float8)").format(column))
        asked += [
            sql.SQL("count(*) filter (where {} >= {}::float8)").format(column, sql.Literal(edge))
            for edge in edges
        ]
    blocks, rows, values = _by_block(conn, table, asked)
    at = 0
    for name, edges in levels.items():
        part = values[:, at : at + 2 + len(edges)]
        at += 2 + len(edges)
        # Cumulated from above: what is in a bin is what is above its lower edge, not its upper one.
        above = np.column_stack([part[:, 0], part[:, 2:], np.zeros(len(blocks))])
        counts = above[:, :-1] - above[:, 1:]
        yield ColumnProfile(name, True, edges, blocks, rows, counts, part[:, 1])


def _categories(
    conn: psycopg.Connection, table: str, columns: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """The most frequent values of a sample of the reference, of all columns in one scan."""
    pairs = sql.SQL(", ").join(
        sql.SQL("({}, {}::text)").format(sql.Literal(name), sql.Identifier(name))
        for name in columns
    )
    found = conn.execute(
        sql.SQL(
            "select name, value from (select name, value, row_number() over (partition by name"
            " order by count(*) desc, value) as place from {sample} cross join lateral (values"
            " {pairs}) as v (name, value) where block <> {current} and value is not null"
            " group by name, value) as ranked where place <= {most} order by name, place"
        ).format(
            sample=_sample(conn, table),
            pairs=pairs,
            current=sql.Literal(CURRENT),
            most=sql.Literal(MOST_CATEGORIES),
        )
    ).fetchall()
    return {name: tuple(value for each, value in found if each == name) for name in columns}


def _categorical_profiles(
    conn: psycopg.Connection, table: str, levels: Mapping[str, tuple[str, ...]]
) -> Iterator[ColumnProfile]:
    asked: list[sql.Composable] = []
    for name, kinds in levels.items():
        column = sql.Identifier(name)
        asked.append(sql.SQL("count({})").format(column))
        asked += [
            sql.SQL("count(*) filter (where {}::text = {})").format(column, sql.Literal(kind))
            for kind in kinds
        ]
    blocks, rows, values = _by_block(conn, table, asked)
    nothing, at = np.full(len(blocks), np.nan), 0
    for name, kinds in levels.items():
        part = values[:, at : at + 1 + len(kinds)]
        at += 1 + len(kinds)
        others = part[:, 0] - part[:, 1:].sum(axis=1)
        counts = np.column_stack([part[:, 1:], others])
        yield ColumnProfile(name, False, kinds, blocks, rows, counts, nothing)


def _by_block(
    conn: psycopg.Connection, table: str, asked: Sequence[sql.Composable]
) -> tuple[npt.NDArray[np.int64], Array, Array]:
    query = sql.SQL("select block, count(*), {} from {} group by block order by block").format(
        sql.SQL(", ").join(asked), _name(table)
    )
    rows = conn.execute(query).fetchall()
    values = np.array([row[2:] for row in rows], dtype=float).reshape(len(rows), -1)
    return (
        np.array([row[0] for row in rows], dtype=np.int64),
        np.array([row[1] for row in rows], dtype=float),
        values,
    )


def _chunks(names: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), size):
        yield names[start : start + size]


def _name(table: str) -> sql.Identifier:
    return sql.Identifier(*table.split("."))
