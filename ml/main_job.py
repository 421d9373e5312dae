"""The main job: trigger the head of the chain in Airflow and follow it to the finished videos.

Nothing is called behind Airflow's back: each DAG starts because the assets it waits for were
updated, and a run belongs to this job when the events that started it come from runs that do.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

from ml.airflow_client import FINISHED, AirflowClient
from ml.exceptions import FatalError, RetriableError
from ml.settings import Settings, get_settings
from ml.sources.families import FAMILIES
from ml.storage.postgres import connect

T = TypeVar("T")

# The simulated world is asked for this much history: enough for labels 3 days after a first look.
_WORLD_DAYS = 14
_PRESENT_DAYS = 2  # of sources that show the present only
_POLL_S = 1.0
_STAGE_TIMEOUT_S = 3600.0
# Our own services may be restarted while a run goes on; the follower waits for them this long.
_AWAY_FOR_S = 180.0
_DONE = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})

DOWNSTREAM: tuple[tuple[str, str], ...] = (
    ("marts", "build_marts"),
    ("features", "build_features"),
    ("train", "train_trend_video"),
    ("score", "score_videos"),
    ("drift", "watch_drift"),
    ("audience", "train_audience_preference"),
    ("plan", "plan_videos"),
)
# Models that no video waits for.
BESIDE: tuple[tuple[str, str], ...] = (
    ("stories", "train_trend_story"),
    ("topics", "train_trend_topic"),
    ("engagement", "train_quality_engagement"),
)
# Labelled texts lie beside archives.
_OF_ARCHIVES = ("quality", "train_quality")


@dataclass
class StageProgress:
    """How far one DAG run is.

    Attributes:
        stage: name people know it by.
        seconds: since the run was started, final once it is finished.
    """

    stage: str
    dag_id: str
    run_id: str
    state: str = "queued"
    done: int = 0
    total: int = 0
    seconds: float = 0.0
    active: tuple[str, ...] = field(default_factory=tuple)


OnProgress = Callable[[StageProgress], None]


def run_main_job(on_progress: OnProgress, settings: Settings | None = None) -> list[StageProgress]:
    """Run the main job through Airflow's scheduler and wait for its videos.

    Returns:
        The final state of every run, in the order of the stages.

    Raises:
        FatalError: if a run fails; the message names the task and its error.
        ServiceUnavailableError: if Airflow stays away.
    """
    settings = settings or get_settings()
    follower = _Follower(AirflowClient(settings), on_progress)
    for dag_id, conf in _heads(settings):
        follower.await_dag(dag_id)
        follower.start("ingest", dag_id, conf)
    for stage, dag_id in DOWNSTREAM:
        follower.follow_asset_run(stage, dag_id)
    for video_id in _scheduled_videos(settings):
        follower.follow("generate", "generate_video", video_id)
    of_archives = (_OF_ARCHIVES,) if settings.data_dir is not None else ()
    for stage, dag_id in (*BESIDE, *of_archives):
        follower.follow_asset_run(stage, dag_id)
    return follower.finished


def _heads(settings: Settings) -> Iterator[tuple[str, dict[str, Any]]]:
    if settings.data_dir is not None:
        yield "import_archives", {"folder": str(settings.data_dir)}
        return
    from ml.world.parameters import WORLD_START

    end = WORLD_START + timedelta(days=_WORLD_DAYS)
    for family in FAMILIES:
        days = _PRESENT_DAYS if family.is_present_only else _WORLD_DAYS
        start = end - timedelta(days=days)
        span = {"start": start.isoformat(), "end": end.isoformat()}
        yield f"ingest_{family.name}", span


def _scheduled_videos(settings: Settings) -> list[str]:
    with connect(settings.require("database_url")) as conn:
        rows = conn.execute(
            "select video_id from content.video_schedule where as_of ="
            " (select max(as_of) from content.video_schedule) order by score desc, video_id"
        ).fetchall()
    return [row[0] for row in rows]


class _Follower:
    def __init__(self, client: AirflowClient, on_progress: OnProgress) -> None:
        self._client = client
        self._on_progress = on_progress
        self._ours: set[tuple[str, str]] = set()
        self._pending: list[StageProgress] = []
        self.finished: list[StageProgress] = []

    def await_dag(self, dag_id: str) -> None:
        """Wait until Airflow has parsed a DAG."""
        for _ in _ticks(f"Airflow did not find the DAG {dag_id}", timeout_s=120):
            if dag_id in _patiently(self._client.known_dags):
                return
            for file, trace in _patiently(lambda: list(self._client.import_errors())):
                raise FatalError(f"{file} does not parse: {trace.strip().splitlines()[-1]}")

    def start(self, stage: str, dag_id: str, conf: dict[str, Any]) -> None:
        """Trigger a head of the chain; it is awaited together with the first asset run."""
        run_id = _patiently(lambda: self._client.trigger(dag_id, conf))
        self._ours.add((dag_id, run_id))
        self._pending.append(StageProgress(stage, dag_id, run_id))

    def follow_asset_run(self, stage: str, dag_id: str) -> None:
        """Wait for the run of `dag_id` that our runs start, and for its end."""
        for progress in self._pending:
            self._await_end(progress)
        self._pending.clear()
        for _ in _ticks(f"{dag_id} was not started by its assets", timeout_s=120):
            runs = [
                run["dag_run_id"] for run in _patiently(lambda: self._client.latest_runs(dag_id))
            ]
            ours = [run_id for run_id in runs if self._started_by_us(dag_id, run_id)]
            if ours:
                # The first covers what the later ones, newest first, were started by.
                self.follow(stage, dag_id, ours[-1])
                return

    def follow(self, stage: str, dag_id: str, run_id: str) -> None:
        """Wait for the end of a run."""
        self._ours.add((dag_id, run_id))
        self._await_end(StageProgress(stage, dag_id, run_id))

    def _started_by_us(self, dag_id: str, run_id: str) -> bool:
        sources = _patiently(lambda: self._client.asset_sources(dag_id, run_id))
        return bool(sources & self._ours)

    def _await_end(self, progress: StageProgress) -> None:
        started = time.monotonic()
        for _ in _ticks(f"{progress.dag_id} did not end", timeout_s=_STAGE_TIMEOUT_S):
            run = _patiently(lambda: self._client.run(progress.dag_id, progress.run_id))
            if run is None:
                continue
            self._update(progress, run, time.monotonic() - started)
            if progress.state in FINISHED:
                break
        if progress.state == "failed":
            raise FatalError(self._explain(progress))
        self.finished.append(progress)

    def _update(self, progress: StageProgress, run: dict[str, Any], waited_s: float) -> None:
        tasks = _patiently(lambda: self._client.tasks(progress.dag_id, progress.run_id))
        progress.state = run["state"]
        progress.done = sum(task["state"] in _DONE for task in tasks)
        progress.total = len(tasks)
        progress.active = tuple(t["task_id"] for t in tasks if t["state"] == "running")
        progress.seconds = run["duration"] or waited_s
        self._on_progress(progress)

    def _explain(self, progress: StageProgress) -> str:
        failed = [
            task
            for task in self._client.tasks(progress.dag_id, progress.run_id)
            if task["state"] == "failed"
        ]
        if not failed:
            return f"{progress.dag_id} failed; see run {progress.run_id} in the Airflow UI"
        task = failed[0]
        reason = self._client.task_error(progress.dag_id, progress.run_id, task)
        return f"{progress.dag_id}, task {task['task_id']}: {reason or 'see its log in the UI'}"


def _ticks(problem: str, timeout_s: float) -> Iterator[None]:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        yield
        time.sleep(_POLL_S)
    raise FatalError(f"{problem} within {timeout_s:.0f} s; see `ytempire status` and the logs")


def _patiently(call: Callable[[], T]) -> T:
    """Call until it works: a killed service is restarted while we follow."""
    deadline = time.monotonic() + _AWAY_FOR_S
    while True:
        try:
            return call()
        except RetriableError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_POLL_S)
