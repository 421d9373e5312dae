"""`import-archive`: getting data in that somebody else has collected."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ml.cli.console import JsonFlag, errors, output, print_json


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    app.command("import-archive")(import_archive)


def import_archive(
    paths: Annotated[list[Path], typer.Argument(help="Files or folders to import.")],
    archive_format: Annotated[
        str,
        typer.Option(
            "--format",
            help="youtube-trending, youtube-panel, hackernews-snapshots or github-trending.",
        ),
    ],
    region: Annotated[str | None, typer.Option(help="ISO country, if not in the file.")] = None,
    year: Annotated[int | None, typer.Option(help="Year of dates that lack one.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Load public archives into bronze and the raw tables. Importing twice changes nothing.

    Example: ytempire import-archive --format youtube-trending US_2017-09_10.csv.gz --year 2017
    """
    from ml.storage.landing import import_archive as run

    with Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        console=errors, disable=as_json,
    ) as bar:  # fmt: skip
        tasks = {}

        def progress(file: str, done: int, total: int | None) -> None:
            if file not in tasks:
                tasks[file] = bar.add_task(Path(file).name, total=total)
            bar.update(tasks[file], completed=done, total=total)

        results = run(archive_format, paths, region=region, year=year, progress=progress)
    if as_json:
        print_json({"imports": [vars(result) for result in results]})
        return
    table = Table()
    for heading in ("file", "read", "loaded", "rejected"):
        table.add_column(heading, overflow="fold")
    for result in results:
        table.add_row(
            result.file_name, str(result.rows_read), str(result.rows_loaded),
            str(result.rows_rejected),
        )  # fmt: skip
    output.print(table)
