"""Postgres by COPY and set-based SQL: no per-row round trips."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import psycopg
from psycopg import sql
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


def create_staging(conn: psycopg.Connection, table: str) -> str:
    """Create an empty temporary table shaped like `table`; it vanishes with the transaction."""
    staging = "load_" + table.replace(".", "_")
    conn.execute(
        sql.SQL("create temporary table {} (like {} including defaults) on commit drop").format(
            sql.Identifier(staging), _name(table)
        )
    )
    return staging


def merge(
    conn: psycopg.Connection,
    staging: str,
    table: str,
    columns: Sequence[str],
    key: Sequence[str],
    newer_by: str | None = None,
) -> int:
    """Upsert the rows of `staging` into `table`; a re-run changes nothing.

    Rows of one key are collapsed to one first. On a conflict the row stays as it is, or, with
    `newer_by`, is replaced only by a row whose `newer_by` column is later: a late, older
    observation never overwrites a newer one.

    Returns:
        How many rows were inserted or replaced.
    """
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    keys = sql.SQL(", ").join(map(sql.Identifier, key))
    order = sql.SQL(", {} desc").format(sql.Identifier(newer_by)) if newer_by else sql.SQL("")
    action = sql.SQL("nothing")
    if newer_by:
        changes = sql.SQL(", ").join(
            sql.SQL("{0} = excluded.{0}").format(sql.Identifier(column))
            for column in columns
            if column not in key
        )
        action = sql.SQL("update set {} where excluded.{} > t.{}").format(
            changes, sql.Identifier(newer_by), sql.Identifier(newer_by)
        )
    statement = sql.SQL(
        "insert into {} as t ({}) select distinct on ({}) {} from {} order by {}{}"
        " on conflict ({}) do {}"
    ).format(
        _name(table), names, keys, names, sql.Identifier(staging), keys, order, keys, action
    )
    return conn.execute(statement).rowcount


def _name(table: str) -> sql.Identifier:
    return sql.Identifier(*table.split("."))
