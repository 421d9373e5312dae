"""Brings the ytempire database to the newest schema."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, pool
from sqlalchemy.engine import make_url

from ml.settings import get_settings

_MIGRATIONS = Path(__file__).parent / "migrations"


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    return config


def upgrade() -> None:
    """Apply every migration that is not applied yet."""
    command.upgrade(_config(), "head")


def pending() -> bool:
    """Whether the database is behind the newest migration."""
    url = make_url(get_settings().require("database_url")).set(drivername="postgresql+psycopg")
    engine = create_engine(url, poolclass=pool.NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table_schema": "ops"})
        current = context.get_current_revision()
    return current != ScriptDirectory.from_config(_config()).get_current_head()
