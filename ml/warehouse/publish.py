"""Write, audit, publish: readers see views that point at the last build that passed.

dbt writes tables into `marts_build`; the gates look at them there. Publishing moves them to
`marts_store` and points the views of `marts` at them, all in one transaction, so that a reader (or
a kill at any moment) finds either the old build or the new one, whole. The move is a rename: its
cost does not grow with the rows.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb
from sqlalchemy.engine import make_url

from ml.exceptions import FatalError, RetriableError
from ml.settings import Settings, get_settings
from ml.storage.postgres import connect
from ml.warehouse.transform import DBT_PROJECT_DIR

log = logging.getLogger(__name__)

MARTS_STORE = "marts_store"
_BUILD, _MARTS = "marts_build", "marts"
_KEPT_BUILDS = 2
# How long a publication waits for a reader's query before it steps back; readers that come
# meanwhile wait behind it.
_LOCK_TIMEOUT = "20s"
# A transaction lock of our own: two publications at once would interleave their views.
_LOCK_KEY = 7_404_220_117


@dataclass(frozen=True)
class Publication:
    """A published build.

    Attributes:
        build_id: the build that `marts` shows now.
        rows: number of rows by mart.
        already_published: whether an earlier call had published it and nothing was to be done.
    """

    build_id: str
    rows: Mapping[str, int]
    already_published: bool = False


def mart_names() -> list[str]:
    """The marts that a build must hold: the models in `dbt_project/models/marts`."""
    return sorted(path.stem for path in (DBT_PROJECT_DIR / "models" / "marts").glob("*.sql"))


def publish_marts(
    build_id: str, as_of: datetime, *, settings: Settings | None = None
) -> Publication:
    """Point `marts` at the tables that dbt built, and drop all but the last two builds.

    Running it again for a build that is published changes nothing. The gates whose run id is the
    build id must not have blocked.

    Args:
        build_id: name of the build, for example the Airflow run id.
        as_of: the moment that the build describes.
        settings: where the database is.

    Raises:
        FatalError: if a mart is missing, or a gate blocked this build.
        RetriableError: if a reader's query held a view for too long.
    """
    settings = settings or get_settings()
    url = settings.require("database_url")
    try:
        with connect(url) as conn:
            publication = _publish(conn, build_id, as_of, _reader_role(settings))
    except psycopg.errors.LockNotAvailable as error:
        raise RetriableError(
            "a query on marts ran too long to publish over it; try again", retry_after_s=60
        ) from error
    _drop_superseded(url)
    return publication


def _reader_role(settings: Settings) -> str:
    url = settings.analyst_database_url
    return (make_url(url).username if url else None) or "analyst"


def _publish(conn: psycopg.Connection, build_id: str, as_of: datetime, role: str) -> Publication:
    conn.execute("select pg_advisory_xact_lock(%s)", (_LOCK_KEY,))
    conn.execute(sql.SQL("set local lock_timeout = {}").format(sql.Literal(_LOCK_TIMEOUT)))
    _refuse_blocked(conn, build_id)
    marts = mart_names()
    built = _tables(conn, _BUILD)
    missing = [name for name in marts if name not in built]
    if missing:
        return _published_before(conn, build_id, missing)
    conn.execute(sql.SQL("create schema if not exists {}").format(sql.Identifier(MARTS_STORE)))
    models: dict[str, dict[str, Any]] = {}
    for name in marts:
        stored = f"{name}__{as_of.astimezone(UTC):%Y%m%d}_{uuid.uuid4().hex[:8]}"
        _move(conn, name, stored)
        _show(conn, name, stored)
        models[name] = {"table": stored, "rows": _count(conn, stored)}
    _grant(conn, marts, role)
    conn.execute(
        "insert into ops.builds (build_id, published_at, as_of, models)"
        " values (%s, clock_timestamp(), %s, %s) on conflict (build_id) do update set"
        " published_at = excluded.published_at, as_of = excluded.as_of, models = excluded.models",
        (build_id, as_of, Jsonb(models)),
    )
    rows = {name: int(model["rows"]) for name, model in models.items()}
    log.info("published build %s: %s", build_id, rows)
    return Publication(build_id, rows)


def _refuse_blocked(conn: psycopg.Connection, build_id: str) -> None:
    blocked = conn.execute(
        "select distinct gate from ops.gate_results"
        " where run_id = %s and severity = 'block' and not success order by gate",
        (build_id,),
    ).fetchall()
    if blocked:
        names = ", ".join(row[0] for row in blocked)
        raise FatalError(f"build {build_id} is not published: the gate {names} blocked it")


def _published_before(conn: psycopg.Connection, build_id: str, missing: list[str]) -> Publication:
    row = conn.execute(
        "select models from ops.builds where build_id = %s and published_at is not null",
        (build_id,),
    ).fetchone()
    # All marts are views: the tables of this very build were moved by an earlier call.
    if row is not None and len(missing) == len(mart_names()):
        rows = {name: int(model["rows"]) for name, model in row[0].items()}
        return Publication(build_id, rows, already_published=True)
    raise FatalError(
        f"cannot publish {build_id}: {', '.join(missing)} not built in {_BUILD};"
        " run dbt on path:models/marts first"
    )


def _tables(conn: psycopg.Connection, schema: str) -> set[str]:
    rows = conn.execute(
        "select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        " where n.nspname = %s and c.relkind = 'r'",
        (schema,),
    ).fetchall()
    return {row[0] for row in rows}


def _move(conn: psycopg.Connection, name: str, stored: str) -> None:
    build, target = sql.Identifier(_BUILD, name), sql.Identifier(stored)
    conn.execute(sql.SQL("alter table {} rename to {}").format(build, target))
    conn.execute(
        sql.SQL("alter table {} set schema {}").format(
            sql.Identifier(_BUILD, stored), sql.Identifier(MARTS_STORE)
        )
    )
    # Gates and dbt tests can still be run again on the build; dbt replaces the view next time.
    conn.execute(
        sql.SQL("create view {} as select * from {}").format(
            build, sql.Identifier(MARTS_STORE, stored)
        )
    )


def _show(conn: psycopg.Connection, name: str, stored: str) -> None:
    view = sql.Identifier(_MARTS, name)
    statement = sql.SQL("view {} as select * from {}").format(
        view, sql.Identifier(MARTS_STORE, stored)
    )
    try:
        with conn.transaction():
            conn.execute(sql.SQL("create or replace {}").format(statement))
    except psycopg.errors.InvalidTableDefinition:
        # The columns changed; a replaced view could only gain some at its end.
        conn.execute(sql.SQL("drop view {}").format(view))
        conn.execute(sql.SQL("create {}").format(statement))
    _copy_comments(conn, name, stored)


def _copy_comments(conn: psycopg.Connection, name: str, stored: str) -> None:
    rows = conn.execute(
        "select a.attname, d.description from pg_description d"
        " join pg_class c on c.oid = d.objoid join pg_namespace n on n.oid = c.relnamespace"
        " left join pg_attribute a on a.attrelid = c.oid and a.attnum = d.objsubid and a.attnum > 0"
        " where d.classoid = 'pg_class'::regclass and n.nspname = %s and c.relname = %s",
        (MARTS_STORE, stored),
    ).fetchall()
    for column, text in rows:
        if column is None:
            target = sql.SQL("view {}").format(sql.Identifier(_MARTS, name))
        else:
            target = sql.SQL("column {}").format(sql.Identifier(_MARTS, name, column))
        conn.execute(sql.SQL("comment on {} is {}").format(target, sql.Literal(text)))


def _count(conn: psycopg.Connection, stored: str) -> int:
    statement = sql.SQL("select count(*) from {}").format(sql.Identifier(MARTS_STORE, stored))
    row = conn.execute(statement).fetchone()
    return int(row[0]) if row else 0


def _grant(conn: psycopg.Connection, marts: list[str], role: str) -> None:
    if conn.execute("select 1 from pg_roles where rolname = %s", (role,)).fetchone() is None:
        log.info("no role %s in the database: nothing granted", role)
        return
    reader = sql.Identifier(role)
    conn.execute(sql.SQL("grant usage on schema {} to {}").format(sql.Identifier(_MARTS), reader))
    for name in marts:
        conn.execute(
            sql.SQL("grant select on {} to {}").format(sql.Identifier(_MARTS, name), reader)
        )


def _drop_superseded(url: str) -> None:
    """Drop the stored tables that none of the last builds uses.

    Apart from the publication, because a reader may still be busy with an old table: that one is
    left for the next time.
    """
    with connect(url, autocommit=True) as conn:
        conn.execute("set lock_timeout = '2s'")
        kept = conn.execute(
            "select models from ops.builds where published_at is not null"
            " order by published_at desc limit %s",
            (_KEPT_BUILDS,),
        ).fetchall()
        used = {model["table"] for (models,) in kept for model in models.values()}
        for name in sorted(_tables(conn, MARTS_STORE) - used):
            try:
                conn.execute(
                    sql.SQL("drop table if exists {}").format(sql.Identifier(MARTS_STORE, name))
                )
            except (psycopg.errors.LockNotAvailable, psycopg.errors.DependentObjectsStillExist):
                log.info("%s.%s is still in use; it stays for now", MARTS_STORE, name)
