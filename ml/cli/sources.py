"""`sources`, `sources check`, `replay`: trend sources, what came from them, and what failed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ml.cli.console import JsonFlag, errors, output, print_json

if TYPE_CHECKING:
    from ml.sources.base import Source
    from ml.storage.replay import Replayed

SourceOption = Annotated[str, typer.Option("--source", help="Id of a source; see `sources`.")]
_DATES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    sources = typer.Typer(help="Trend sources: what there is, and whether it answers.")
    sources.callback(invoke_without_command=True)(list_all)
    sources.command("check")(check)
    app.add_typer(sources, name="sources")
    replay = typer.Typer(help="Do again what failed or was lost.", no_args_is_help=True)
    replay.command("bronze")(replay_bronze)
    replay.command("missing")(replay_missing)
    replay.command("dead-letters")(replay_dead_letters)
    replay.command("video")(replay_video)
    app.add_typer(replay, name="replay")


def list_all(context: typer.Context, as_json: JsonFlag = False) -> None:
    """List the trend sources and whether each can be used as configured.

    Example: ytempire sources --json
    """
    if context.invoked_subcommand is not None:
        return
    from ml.sources.catalog import list_sources

    rows = list_sources()
    if as_json:
        print_json({"sources": rows})
        return
    table = Table()
    for heading in ("id", "family", "available", "reason", "quota"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        mark = "yes" if row["available"] else "no"
        quotas = ", ".join(
            f"{quota['per_interval']} of {quota['per_day']} {quota['unit']} ({quota['pool']})"
            for quota in row["quota"]
        )
        table.add_row(row["id"], row["family"], mark, row["reason"], quotas)
    output.print(table)


def check(
    ids: Annotated[list[str] | None, typer.Argument(help="Sources to ask; all by default.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Ask sources for a few pages online and remember which still speak as expected.

    Example: ytempire sources check hackernews feed_bbc_news
    """
    from ml.sources.catalog import all_sources, get_source
    from ml.storage.source_checks import SourceCheck, check_sources

    wanted = [get_source(source_id) for source_id in ids] if ids else all_sources()
    with _bar(as_json) as bar:
        task = bar.add_task("checking", total=len(wanted))

        def done(found: SourceCheck) -> None:
            bar.update(task, advance=1, description=found.source)

        checks = check_sources(wanted, done)
    if as_json:
        print_json({"checks": [vars(found) for found in checks]})
    else:
        table = Table()
        for heading in ("source", "status", "detail"):
            table.add_column(heading, overflow="fold")
        for found in checks:
            table.add_row(found.source, found.status, found.detail)
        output.print(table)
    if any(found.status == "failed" for found in checks):
        raise typer.Exit(1)


def replay_bronze(
    source: SourceOption,
    start: Annotated[datetime, typer.Option("--from", formats=_DATES, help="UTC, included.")],
    end: Annotated[datetime, typer.Option("--to", formats=_DATES, help="UTC, excluded.")],
    as_json: JsonFlag = False,
) -> None:
    """Build raw rows anew from bronze alone; the provider is not asked.

    Example: ytempire replay bronze --source youtube --from 2026-01-01 --to 2026-01-08
    """
    from ml.sources.catalog import get_source
    from ml.storage.replay import replay_bronze as run

    found = get_source(source)
    with _bar(as_json) as bar:
        task = bar.add_task(f"{source}: intervals", total=None)
        result = run(
            found, start.replace(tzinfo=UTC), end.replace(tzinfo=UTC),
            lambda done, total: bar.update(task, completed=done, total=total),
        )  # fmt: skip
    _report(result, as_json)


def replay_missing(
    source: Annotated[
        str | None, typer.Option("--source", help="Id of a source; all by default.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Load what bronze holds and no landing is recorded of: after the database was restored.

    Example: ytempire replay missing
    """
    from ml.sources.catalog import all_sources, get_source
    from ml.storage.replay import Replayed

    total = Replayed()
    with _bar(as_json) as bar:
        for each in [get_source(source)] if source else all_sources():
            total += _land_missing(each, bar)
    _report(total, as_json)


def _land_missing(source: Source, bar: Progress) -> Replayed:
    from ml.storage.landing import land_missing
    from ml.storage.replay import Replayed

    task = bar.add_task(f"{source.id}: intervals", total=None, visible=False)
    landed = land_missing(
        source,
        lambda done, count: bar.update(task, completed=done, total=count, visible=True),
    )
    return sum((Replayed(each.pages, each.rows, each.rejected) for each in landed), Replayed())


def replay_dead_letters(source: SourceOption, as_json: JsonFlag = False) -> None:
    """Parse the pages of open dead letters again; what parses now becomes rows.

    Example: ytempire replay dead-letters --source hackernews
    """
    from ml.sources.catalog import get_source
    from ml.storage.replay import replay_dead_letters as run

    found = get_source(source)
    with _bar(as_json) as bar:
        task = bar.add_task(f"{source}: pages", total=None)
        result = run(found, lambda done, total: bar.update(task, completed=done, total=total))
    _report(result, as_json)


def replay_video(
    video_id: Annotated[str, typer.Argument(help="Id of a failed video, as in ops.dead_letters.")],
    local: Annotated[
        bool, typer.Option("--local", help="In this process instead of through Airflow.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Make a failed video again; stages that were finished are not redone.

    Example: ytempire replay video v-0123456789abcdef
    """
    from ml.generation.failures import take_back

    letter = take_back(video_id)
    status = _replay_here(video_id) if local else _replay_in_airflow(video_id)
    if as_json:
        print_json({**vars(letter), "status": status})
    else:
        output.print(
            f"{video_id}: {status}; it had stopped at {letter.stage or 'no stage'}",
            highlight=False, markup=False,
        )  # fmt: skip


def _replay_here(video_id: str) -> str:
    from ml.generation.failures import record_failure
    from ml.generation.pipeline import STAGES
    from ml.generation.records import run_scheduled_stage
    from ml.publishing.release import conclude

    stage = ""
    try:
        for each in STAGES:
            stage = each.name
            run_scheduled_stage(video_id, stage)
        stage = "release"
        return conclude(video_id).status
    except Exception as error:
        record_failure(video_id, stage, f"{type(error).__name__}: {error}")
        raise


def _replay_in_airflow(video_id: str) -> str:
    from ml.airflow_client import AirflowClient

    airflow = AirflowClient()
    if not airflow.clear("generate_video", video_id):
        airflow.trigger("generate_video", {"video_id": video_id}, run_id=video_id)
    return "submitted to Airflow"


def _bar(as_json: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        console=errors, disable=as_json,
    )  # fmt: skip


def _report(result: Any, as_json: bool) -> None:
    if as_json:
        print_json(vars(result))
        return
    output.print(
        f"{result.pages} pages, {result.rows} rows, {result.rejected} rejected,"
        f" {result.mended} dead letters mended"
    )
