"""Postgres by COPY and set-based SQL: no per-row round trips."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from sqlalchemy.engine import make_url

from ml.exceptions import ServiceUnavailableError
from ml.settings import get_settings


def libpq_url(url: str) -> str:
    """Turn a SQLAlchemy URL (`postgresql+psycopg://`) into one that libpq takes."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def connect(url: str | None = None, *, autocommit: bool = False) -> psycopg.Connection:
    """Connect to the ytempire database, or to `url`.

    Used as a context manager the connection commits on success, rolls back on an error and closes.

    Raises:
        ServiceUnavailableError: if the server does not answer or refuses the login.
    """
    target = libpq_url(url or get_settings().require("database_url"))
    try:
        return psycopg.connect(target, autocommit=autocommit, connect_timeout=10)
    except psycopg.OperationalError as error:
        where = make_url(target)
        reason = str(error).strip().splitlines()[-1]
        raise ServiceUnavailableError(
            f"Postgres at {where.host}:{where.port}/{where.database}: {reason}"
        ) from error


def query(
    conn: psycopg.Connection, text: str, values: Sequence[Any] | Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """Rows of a query as dictionaries.

    Args:
        conn: of the database.
        text: SQL of ours; whatever comes from elsewhere is a value.
        values: its parameters, by place or by name; without any, a percent sign stands for itself.
    """
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(text.encode(), values).fetchall()


@contextmanager
def transaction(url: str | None = None) -> Iterator[psycopg.Connection]:
    """Connect and run one transaction: it commits on success and leaves nothing on an error.

    Raises:
        ServiceUnavailableError: if the server does not answer, goes away, or runs out of space,
            connections or memory: the same call may succeed later.
    """
    try:
        with connect(url) as conn:
            yield conn
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise ServiceUnavailableError(f"Postgres: {reason[0]}") from error


def copy_rows(
    conn: psycopg.Connection, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> int:
    """COPY `rows` into `table` (`schema.name`) and return how many there were."""
    statement = sql.SQL("copy {} ({}) from stdin").format(
        _name(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    count = 0
    with conn.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)
            count += 1
    return count


def copy_csv(
    conn: psycopg.Connection, table: str, columns: Sequence[str], chunks: Iterable[bytes]
) -> None:
    """COPY CSV bytes (no header, unquoted empty means null) into `table`."""
    statement = sql.SQL("copy {} ({}) from stdin (format csv)").format(
        _name(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with conn.cursor() as cursor, cursor.copy(statement) as copy:
        for chunk in chunks:
            copy.write(chunk)


def create_staging(
    conn: psycopg.Connection, table: str, columns: Sequence[str], extra: LiteralString = ""
) -> str:
    """Create an empty temporary table with columns of `table`; it goes with the transaction.

    Args:
        conn: in a transaction.
        table: `schema.name`.
        columns: which of its columns; their constraints and defaults stay behind.
        extra: more columns, as SQL (`position bigint`).
    """
    staging = "load_" + table.replace(".", "_")
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    conn.execute(
        sql.SQL(
            "create temporary table {} on commit drop as select {} from {} with no data"
        ).format(sql.Identifier(staging), names, _name(table))
    )
    if extra:
        conn.execute(
            sql.SQL("alter table {} add column {}").format(
                sql.Identifier(staging),
                sql.SQL(extra),
            )
        )
    return staging


@dataclass(frozen=True)
class Merge:
    """How the rows of a staging table go into their table.

    Attributes:
        table: `schema.name` of the target.
        key: its primary key.
        same: SQL expressions over the staging table; of rows that agree in all of them one is
            kept. They must tell apart at least what `key` does.
        prefer: SQL order that decides which one.
        newer_by: columns that say which of two rows of one key is the later observation: a row
            that is there is replaced only by one that is greater in them. Without them it stays.
        first: a column that keeps the least `available_at` of all rows of a key; null while there
            has been one only. Needs `newer_by`.
    """

    table: str
    key: tuple[str, ...]
    same: tuple[LiteralString, ...]
    prefer: tuple[LiteralString, ...] = ()
    newer_by: tuple[str, ...] = ()
    first: str | None = None


def merge(
    conn: psycopg.Connection,
    staging: str,
    rule: Merge,
    columns: Sequence[str],
    constants: Mapping[str, Any] | None = None,
) -> int:
    """Upsert the rows of `staging`; a re-run, in any order of files, ends at the same rows.

    Rows are inserted in the order of `rule.same`, so two loads at once wait for each other
    instead of blocking each other.

    Args:
        conn: in a transaction.
        staging: from `create_staging`.
        rule: where and how.
        columns: of the staging table.
        constants: columns that have the same value in every row.

    Returns:
        How many rows were inserted or replaced.
    """
    constants = constants or {}
    names = [*columns, *constants]
    same = sql.SQL(", ").join(map(sql.SQL, rule.same))
    values = [*map(sql.Identifier, columns), *map(sql.Literal, constants.values())]
    statement = sql.SQL(
        "insert into {table} as t ({names}) select distinct on ({same}) {values} from {staging}"
        " order by {order} on conflict ({key}) do {action}"
    ).format(
        table=_name(rule.table),
        names=_list(names),
        same=same,
        values=sql.SQL(", ").join(values),
        staging=sql.Identifier(staging),
        order=sql.SQL(", ").join(map(sql.SQL, (*rule.same, *rule.prefer))),
        key=_list(rule.key),
        action=_action(rule, names),
    )
    return conn.execute(statement).rowcount


def _action(rule: Merge, names: Sequence[str]) -> sql.Composable:
    if not rule.newer_by:
        return sql.SQL("nothing")
    newer = sql.SQL("({}) > ({})").format(
        sql.SQL(", ").join(sql.Identifier("excluded", name) for name in rule.newer_by),
        sql.SQL(", ").join(sql.Identifier("t", name) for name in rule.newer_by),
    )
    changed = [name for name in names if name not in rule.key]
    replaced = sql.SQL("{0} = excluded.{0}")
    if rule.first is None:
        return sql.SQL("update set {}, ingested_at = now() where {}").format(
            sql.SQL(", ").join(replaced.format(sql.Identifier(name)) for name in changed), newer
        )
    # An earlier sight that comes late changes nothing but since when the row is known.
    chosen = sql.SQL("{0} = case when {1} then excluded.{0} else t.{0} end")
    return sql.SQL(
        "update set {changes}, ingested_at = now(),"
        " {first} = least(t.{first}, t.available_at, excluded.available_at)"
        " where {newer} or excluded.available_at < least(t.{first}, t.available_at)"
    ).format(
        changes=sql.SQL(", ").join(chosen.format(sql.Identifier(name), newer) for name in changed),
        first=sql.Identifier(rule.first),
        newer=newer,
    )


def count_distinct(conn: psycopg.Connection, staging: str, rule: Merge) -> int:
    """How many rows of `staging` are left once the same ones are collapsed."""
    row = conn.execute(
        sql.SQL("select count(*) from (select distinct {} from {}) d").format(
            sql.SQL(", ").join(map(sql.SQL, rule.same)), sql.Identifier(staging)
        )
    ).fetchone()
    return int(row[0]) if row else 0


def _list(names: Sequence[str]) -> sql.Composable:
    return sql.SQL(", ").join(map(sql.Identifier, names))


def _name(table: str) -> sql.Identifier:
    return sql.Identifier(*table.split("."))
