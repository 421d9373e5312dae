"""The first task of every DAG that needs to know what "now" is."""

from __future__ import annotations

from airflow.sdk import task


@task
def resolve_as_of() -> str:
    """Return `as_of` in ISO format; every later task of the run uses this one value."""
    from ml.clock import as_of
    from ml.storage.postgres import connect

    with connect() as connection:
        return as_of(connection).isoformat()
