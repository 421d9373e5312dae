"""Alembic environment: migrates the database of the settings, in one transaction."""

from __future__ import annotations

from alembic import context
from sqlalchemy import create_engine, pool, text
from sqlalchemy.engine import make_url

from ml.settings import get_settings

# Two `up` at once must not both migrate; the lock lives as long as the transaction.
_LOCK_ID = 4_729_001


def _migrate() -> None:
    url = make_url(get_settings().require("database_url")).set(drivername="postgresql+psycopg")
    engine = create_engine(url, poolclass=pool.NullPool)
    with engine.begin() as connection:
        connection.execute(text("select pg_advisory_xact_lock(:id)"), {"id": _LOCK_ID})
        connection.execute(text("create schema if not exists ops"))
        context.configure(connection=connection, version_table_schema="ops")
        context.run_migrations()


_migrate()
