"""The follower finds the runs that belong to the job and explains a failure."""

from __future__ import annotations

import pytest

from ml.cli.run import _Board
from ml.exceptions import FatalError, ServiceUnavailableError
from ml.main_job import StageProgress, _Follower


class RecordedAirflow:
    """Answers as Airflow's REST API does, from a script of run states."""

    def __init__(self, states, sources=None, tasks=(), error=None):
        self._states = iter(states)
        self._sources = sources or {}
        self._tasks, self._error = list(tasks), error

    def run(self, dag_id, run_id):
        state = next(self._states)
        if isinstance(state, Exception):
            raise state
        return {"state": state, "duration": 1.0}

    def tasks(self, dag_id, run_id):
        return self._tasks

    def latest_runs(self, dag_id):
        return [{"dag_run_id": run_id} for run_id in self._sources]

    def asset_sources(self, dag_id, run_id):
        return self._sources[run_id]

    def task_error(self, dag_id, run_id, task):
        return self._error


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr("ml.main_job._POLL_S", 0.0)


def follower(airflow):
    seen = []
    return _Follower(airflow, lambda progress: seen.append(progress.state)), seen


def test_follows_only_the_run_that_our_runs_started():
    airflow = RecordedAirflow(
        ["running", "success"],
        sources={"theirs": {("ingest", "other")}, "ours": {("ingest", "mine")}},
    )
    subject, seen = follower(airflow)
    subject._ours.add(("ingest", "mine"))
    subject.follow_asset_run("marts", "build_marts")
    assert [(p.run_id, p.state) for p in subject.finished] == [("ours", "success")]
    assert seen == ["running", "success"]


def test_goes_on_when_airflow_was_away():
    airflow = RecordedAirflow([ServiceUnavailableError("away"), "success"])
    subject, _ = follower(airflow)
    subject._await_end(StageProgress("x", "dag", "run"))
    assert subject.finished[0].state == "success"


def test_a_failed_run_names_task_and_error():
    airflow = RecordedAirflow(
        ["failed"],
        tasks=[{"task_id": "check", "state": "failed", "try_number": 1}],
        error="GateError: views: 3 rows below 0",
    )
    subject, _ = follower(airflow)
    with pytest.raises(FatalError, match="task check: GateError: views: 3 rows below 0"):
        subject._await_end(StageProgress("x", "dag", "run"))


def test_the_time_to_the_videos_ends_with_the_last_of_them():
    board = _Board(silent=True)
    board.update(StageProgress("marts", "build_marts", "run", "success"))
    board.update(StageProgress("generate", "generate_video", "first", "running"))
    assert board.videos_at is None
    board.update(StageProgress("generate", "generate_video", "first", "success"))
    first = board.videos_at
    board.update(StageProgress("generate", "generate_video", "second", "success"))
    last = board.videos_at
    assert first < last
    board.update(StageProgress("quality", "train_quality", "run", "success"))
    assert board.videos_at == last
