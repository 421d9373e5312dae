"""`run`: the main job, with its progress and a table of what it produced."""

from __future__ import annotations

import time
from typing import Any

import typer
from rich.live import Live
from rich.table import Table

from ml.cli.console import JsonFlag, errors, output, print_json
from ml.cli.services import print_logins
from ml.main_job import StageProgress


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    app.command()(run)


def run(as_json: JsonFlag = False) -> None:
    """Run the main job in Airflow: from ingest to finished videos. Needs `ytempire up` before.

    With YTEMPIRE_DATA_DIR set the public archives below it are used, else the simulated world.

    Example: YTEMPIRE_DATA_DIR=~/archives ytempire run
    """
    from ml.main_job import run_main_job
    from ml.runtime.memory import PeakMemory
    from ml.runtime.state import State
    from ml.settings import get_settings
    from ml.summary import summarise

    settings = get_settings()
    started = time.monotonic()
    with PeakMemory(State(settings.state_dir)) as memory, _Board(silent=as_json) as board:
        runs = run_main_job(board.update, settings)
    seconds = time.monotonic() - started
    videos_s = board.videos_at - started if board.videos_at is not None else None
    summary = summarise(settings)
    if as_json:
        stages = [vars(progress) for progress in runs]
        measured = {
            "seconds": seconds, "videos_seconds": videos_s, "peak_bytes": memory.peak_bytes,
        }  # fmt: skip
        print_json(summary | {"stages": stages} | measured)
        return
    for title, rows in summary.items():
        output.print(_table(title, rows))
    videos = f", its videos after {videos_s:.0f} s" if videos_s is not None else ""
    output.print(
        f"main job {seconds:.0f} s{videos}, peak memory of the whole platform "
        f"{memory.peak_bytes / 2**30:.1f} GiB",
        highlight=False,
    )
    print_logins(settings.airflow_url, settings.mlflow_tracking_uri)


class _Board:
    """One line a run: live on a terminal, printed as it ends elsewhere.

    Attributes:
        videos_at: when the last video was finished, by the monotonic clock; None without any.
    """

    def __init__(self, *, silent: bool) -> None:
        self.videos_at: float | None = None
        self._runs: dict[tuple[str, str], StageProgress] = {}
        self._printed: set[tuple[str, str]] = set()
        self._silent = silent
        self._live = Live(console=errors, refresh_per_second=2) if errors.is_terminal else None

    def __enter__(self) -> _Board:
        if self._live and not self._silent:
            self._live.start()
        return self

    def __exit__(self, *details: object) -> None:
        if self._live and not self._silent:
            self._live.stop()

    def update(self, progress: StageProgress) -> None:
        """Show how far a run is."""
        key = (progress.dag_id, progress.run_id)
        self._runs[key] = progress
        if progress.stage == "generate" and progress.state == "success":
            self.videos_at = time.monotonic()
        if self._silent:
            return
        if self._live:
            self._live.update(self._render())
        elif progress.state in ("success", "failed") and key not in self._printed:
            self._printed.add(key)
            errors.print(
                f"  {progress.stage:<11}{progress.dag_id:<26}{progress.state:<9}"
                f"{progress.done}/{progress.total} tasks {progress.seconds:6.1f} s",
                highlight=False,
            )

    def _render(self) -> Table:
        table = Table(box=None, pad_edge=False)
        for heading in ("stage", "DAG", "state", "tasks", "seconds", "now"):
            table.add_column(heading)
        for progress in self._runs.values():
            table.add_row(
                progress.stage,
                progress.dag_id,
                progress.state,
                f"{progress.done}/{progress.total}",
                f"{progress.seconds:.0f}",
                ", ".join(progress.active)[:60],
            )
        return table


def _table(title: str, rows: list[dict[str, Any]]) -> Table:
    table = Table(title=title, title_justify="left")
    for heading in rows[0] if rows else ("nothing",):
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    return table
