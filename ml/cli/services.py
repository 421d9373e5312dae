"""`up`, `down`, `status`, `doctor`, `airflow`: the platform itself."""

from __future__ import annotations

import os
import time
from typing import Annotated

import typer
from rich.table import Table

from ml.cli.console import JsonFlag, errors, output, print_json, ready
from ml.exceptions import ConfigurationError


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    app.command()(up)
    app.command()(down)
    app.command()(init)
    app.command()(status)
    app.command()(doctor)
    app.command()(serve)
    passthrough = {"allow_extra_args": True, "ignore_unknown_options": True}
    app.command(context_settings=passthrough)(airflow)


def up(
    only: Annotated[str, typer.Option(help="Start only these services, separated by commas.")] = "",
) -> None:
    """Start the embedded services, migrate databases and wait until all is healthy.

    Example: ytempire up --only postgres,valkey,objects
    """
    from ml.runtime import embedded

    started = time.monotonic()
    settings = embedded.up(ready, [name for name in only.split(",") if name])
    errors.print(f"up in {time.monotonic() - started:.1f} s", highlight=False)
    if not only:
        print_logins(settings.airflow_url, settings.mlflow_tracking_uri)


def print_logins(airflow_url: str | None, mlflow_url: str | None) -> None:
    """Print where the UIs are and how to log in."""
    from ml.runtime.state import State
    from ml.settings import get_settings

    settings = get_settings()
    table = Table(title="User interfaces")
    for heading in ("what", "URL", "user", "password"):
        table.add_column(heading, overflow="fold")
    table.add_row(
        "Airflow", airflow_url, settings.airflow_username, settings.require("airflow_password")
    )
    table.add_row(
        "MLflow", mlflow_url, settings.mlflow_username, settings.require("mlflow_password")
    )
    ports = State(settings.state_dir).ports
    if "api" in ports and settings.api_key is not None:
        docs, key = f"http://127.0.0.1:{ports['api']}/docs", settings.api_key.get_secret_value()
        table.add_row("HTTP API", docs, "X-API-Key", key)
    output.print(table)


def init() -> None:
    """Prepare external services: buckets and migrations. `up` does it for the embedded ones.

    Example: DATABASE_URL=postgresql://... ytempire init
    """
    from ml.runtime import bootstrap
    from ml.settings import get_settings

    settings = get_settings()
    bootstrap.migrate_application(settings)
    bootstrap.make_buckets(settings)


def down() -> None:
    """Stop the embedded services in order. Data stay.

    Example: ytempire down
    """
    from ml.runtime import embedded

    embedded.down(ready)


def status(as_json: JsonFlag = False) -> None:
    """Show every service; exit code 1 if one is not healthy.

    Example: ytempire status --json
    """
    from ml.runtime import embedded

    rows = embedded.status()
    if as_json:
        print_json({"services": [row.as_dict() for row in rows]})
    else:
        table = Table()
        for heading in ("service", "healthy", "pid", "up", "URL", "detail"):
            table.add_column(heading, overflow="fold")
        for row in rows:
            uptime = "" if row.uptime_s is None else f"{row.uptime_s:.0f} s"
            mark = {True: "[green]yes[/green]", False: "[red]no[/red]", None: ""}[row.healthy]
            table.add_row(row.name, mark, str(row.pid or ""), uptime, row.url, row.detail)
        output.print(table)
    if not rows:
        errors.print("nothing is set up here yet; run `ytempire up`")
    if not rows or any(row.healthy is False for row in rows):
        raise typer.Exit(1)


def doctor(as_json: JsonFlag = False) -> None:
    """Check services, credentials, buckets, migrations and providers, and say how to mend them.

    Example: ytempire doctor
    """
    from ml.runtime.doctor import examine

    findings = examine()
    if as_json:
        print_json({"checks": [finding.as_dict() for finding in findings]})
    else:
        table = Table()
        for heading in ("check", "", "detail", "what to do"):
            table.add_column(heading, overflow="fold")
        for finding in findings:
            mark = {"ok": "[green]ok[/green]", "off": "off"}.get(finding.verdict, "[red]bad[/red]")
            table.add_row(finding.name, mark, finding.detail, finding.fix)
        output.print(table)
    if any(finding.verdict == "bad" for finding in findings):
        raise typer.Exit(1)


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8000,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; WEB_CONCURRENCY or 2 by default.")
    ] = None,
) -> None:
    """Serve the HTTP API until stopped. Docs are at /docs, the key is YTEMPIRE_API_KEY.

    Example: ytempire serve --port 8000
    """
    from ml.serving.server import run

    run(host, port, workers)


def airflow(context: typer.Context) -> None:
    """Run Airflow's own command line against the embedded Airflow.

    Example: ytempire airflow -- dags list
    """
    import sys

    from ml.runtime.airflow import airflow_environment
    from ml.runtime.state import State
    from ml.settings import get_settings

    settings = get_settings()
    state = State(settings.state_dir)
    if not state.ports:
        raise ConfigurationError("the embedded Airflow is not set up; run `ytempire up`")
    environment = dict(os.environ) | airflow_environment(state, settings)
    command = [sys.executable, "-m", "airflow", *context.args]
    os.execve(sys.executable, command, environment)  # noqa: S606 - becomes airflow
