"""CeleryExecutor as the compose file runs it, without Docker: two workers, two queues."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
import yaml

from ml.airflow_client import FINISHED, AirflowClient
from ml.exceptions import YtempireError
from ml.generation.pipeline import STAGES
from ml.runtime import bootstrap, embedded
from ml.runtime.airflow import airflow_environment
from ml.runtime.state import State
from ml.settings import PROJECT_ROOT, Settings, get_settings

_COMPOSE = PROJECT_ROOT / "docker" / "compose.yaml"
_DAGS = Path(__file__).parent / "celery_dags"
# A quiet machine needs a third of these.
_STARTED_WITHIN_S = 90
_FINISHED_WITHIN_S = 90
_STOPPED_WITHIN_S = 5
# The health check of the workers' images.
_PING = ("--app", "airflow.providers.celery.executors.celery_executor.app", "inspect", "ping")
_OF_CELERY = ("AIRFLOW__CELERY_", "AIRFLOW__CORE__EXECUTOR", "AIRFLOW__OPERATORS__")


class Processes:
    """Airflow's programs, each in a process group of its own."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._folder = folder
        self._environment = environment
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *arguments: str) -> None:
        """Start one program; its output goes to a file of its name."""
        with (self._folder / f"{name}.log").open("wb") as log:
            self._running[name] = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=PROJECT_ROOT,
                start_new_session=True,
            )

    def run(self, name: str, *arguments: str) -> None:
        """Run one program to its end."""
        self.start(name, *arguments)
        code = self._running.pop(name).wait(60)
        assert code == 0, self.tail(name)

    def wait_for(self, what: str, ready: Callable[[], bool], within_s: float) -> None:
        """Wait until `ready` answers true; a program that ends meanwhile is an error."""
        deadline = time.monotonic() + within_s
        while not ready():
            for name, process in self._running.items():
                assert process.poll() is None, f"{name} ended: {self.tail(name)}"
            assert time.monotonic() < deadline, f"{what}: not within {within_s} s"
            time.sleep(0.25)

    def listeners(self) -> set[str]:
        """Addresses at which these programs and their children listen."""
        family = [psutil.Process(process.pid) for process in self._running.values()]
        family += [child for parent in family for child in parent.children(recursive=True)]
        pids = {process.pid for process in family}
        return {
            connection.laddr.ip
            for connection in psutil.net_connections("inet")
            if connection.pid in pids and connection.status == psutil.CONN_LISTEN
        }

    def tail(self, name: str) -> str:
        """The last lines of a program's output."""
        return (self._folder / f"{name}.log").read_text(errors="replace")[-3000:]

    def stop(self) -> None:
        """End every program with its children, workers first."""
        for process in reversed(self._running.values()):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + _STOPPED_WITHIN_S
        for process in self._running.values():
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """The services of the compose file."""
    return yaml.safe_load(_COMPOSE.read_text())["services"]


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """A Postgres and a Valkey of their own: nothing here needs the rest of the platform."""
    state_dir = tempfile.mkdtemp(prefix="ytempire-celery-")
    monkeypatch.setenv("YTEMPIRE_STATE_DIR", state_dir)
    get_settings.cache_clear()
    try:
        yield embedded.up(_quiet, ["postgres", "valkey"])
    finally:
        embedded.down(_quiet)
        get_settings.cache_clear()
        shutil.rmtree(state_dir, ignore_errors=True)


def _quiet(name: str, seconds: float, detail: str) -> None:
    """Report nothing."""


@pytest.fixture
def airflow(
    storage: Settings, services: dict[str, Any], tmp_path: Path
) -> Iterator[tuple[Processes, Settings]]:
    """A running Airflow with CeleryExecutor and the workers of the compose file."""
    state = State(storage.state_dir)
    dags = tmp_path / "dags"
    shutil.copytree(_DAGS, dags, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT_ROOT / "dags" / "content" / "generate_video.py", dags)
    environment = _environment(state, storage, services["worker"]["environment"], dags)
    with bootstrap.migrating_airflow(state, storage):
        pass
    processes = Processes(tmp_path, environment)
    try:
        port = str(state.ports["airflow"])
        processes.start("api-server", "airflow", "api-server", "--host", "127.0.0.1", "-p", port)
        processes.start("dag-processor", "airflow", "dag-processor")
        processes.start("scheduler", "airflow", "scheduler", "--skip-serve-logs")
        for name in ("worker", "gpu-worker"):
            command = services[name]["command"]
            # Two workers on one machine need names of their own, as two containers have them.
            processes.start(name, *command, "--celery-hostname", f"{name}@here")
        pools = services["airflow-init"]["command"][-1].split("&&")[-1].split()
        processes.run("pools", *pools)
        yield processes, storage
    finally:
        processes.stop()


def _environment(
    state: State, settings: Settings, of_compose: dict[str, str], dags: Path
) -> dict[str, str]:
    database = airflow_environment(state, settings)["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(dags.parent),
        "LANG": "C.UTF-8",
        **airflow_environment(state, settings),
        **{name: of_compose[name] for name in of_compose if name.startswith(_OF_CELERY)},
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CELERY__BROKER_URL": settings.require("redis_url").removesuffix("0") + "1",
        "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{database}",
        # Celery then records which worker ran a task and from which queue it came.
        "AIRFLOW__CELERY__EXTRA_CELERY_CONFIG": json.dumps({"result_extended": True}),
    }


def test_generation_runs_on_the_gpu_worker_only(airflow: tuple[Processes, Settings]) -> None:
    processes, settings = airflow
    client = AirflowClient(settings)
    wanted = {"route_stages", "generate_video"}
    processes.wait_for("DAGs", lambda: wanted <= _known(client), _STARTED_WITHIN_S)

    run_id = client.trigger("route_stages", {})
    processes.run("ping", "celery", *_PING, "--destination", "gpu-worker@here")
    processes.wait_for("run", lambda: _state(client, run_id) in FINISHED, _FINISHED_WITHIN_S)

    assert _state(client, run_id) == "success", [
        (task["task_id"], task["state"]) for task in client.tasks("route_stages", run_id)
    ]
    stages = {stage.name for stage in STAGES}
    assert _workers(settings, run_id) == {
        **{name: ("gpu", "gpu-worker@here") for name in stages},
        "before": ("default", "worker@here"),
        "after": ("default", "worker@here"),
    }
    # The real DAG has the same stages, and asks for the same queue and pool.
    tasks = client._get("/api/v2/dags/generate_video/tasks")["tasks"]
    assert {task["task_id"] for task in tasks} == stages | {"admit", "release"}
    made = [task for task in tasks if task["task_id"] in stages]
    assert {(task["queue"], task["pool"]) for task in made} == {("gpu", "gpu")}
    assert processes.listeners() == {"127.0.0.1"}


def _known(client: AirflowClient) -> set[str]:
    try:
        return client.known_dags()
    except YtempireError:
        return set()


def _state(client: AirflowClient, run_id: str) -> str:
    run = client.run("route_stages", run_id)
    return str(run["state"]) if run else ""


def _workers(settings: Settings, run_id: str) -> dict[str, tuple[str, str]]:
    """Queue of each task as Airflow knows it, and the worker that Celery says ran it."""
    query = """
        select task.task_id, task.queue, result.worker
        from task_instance task
        left join celery_taskmeta result on result.task_id = task.external_executor_id
        where task.run_id = %s
    """
    with psycopg.connect(settings.database("airflow")) as connection:
        rows = connection.execute(query, [run_id]).fetchall()
    return {task: (queue, worker) for task, queue, worker in rows}
