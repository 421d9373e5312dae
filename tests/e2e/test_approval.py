"""A major version waits in Airflow for a person, who answers over its API."""

from __future__ import annotations

import json
import time

import pytest

from ml.airflow_client import AirflowClient
from ml.registry import artifacts, audit, recording, releases, rollouts
from ml.registry.audit import Cause
from ml.registry.releases import Candidate
from ml.runtime.state import State
from ml.trend.video.train import NAME

DAG = "roll_out_model"


@pytest.fixture
def major(platform, finished, request):
    """The champion once more, as a version that calls itself another architecture."""
    champion = releases.champion(NAME, platform)
    [folder] = (artifacts.cached(champion, platform) / "data").iterdir()
    model = releases.load(champion, platform)
    example = model.input_example
    return recording.record(
        Candidate(
            name=NAME, model_type=champion.tags["model_type"], fingerprint=request.node.name,
            folder=folder, loader_module=champion.tags["loader_module"],
            gate_metric=champion.tags["gate_metric"],
            metrics=json.loads(champion.tags["metrics"]), params={},
            tags={**champion.tags, "change": "major"}, card="", dataset=example,
            dataset_source="test", target=example.columns[0], example=example,
            prediction=model.predict(example), pip_requirements=[],
        ),
        platform,
    )  # fmt: skip


@pytest.mark.parametrize("answer", ["Reject", "Approve"])
def test_what_a_person_answers_decides_on_a_major_version(platform, major, answer):
    client, serves = AirflowClient(platform), releases.champion(NAME, platform)
    conf = {"model": NAME, "version": major.version, "strategy": "shadow"}
    run_id = client.trigger(DAG, conf)
    until(lambda: state_of(client, run_id, "approve") == "awaiting_input")
    # Nobody answers within the second that the worker needs to end. Airflow 3.3 would take its
    # late "success" for that of the resumed task, fail it and ask again (apache/airflow#72716).
    until(lambda: has_ended(platform, run_id, "approve"))
    where = f"/api/v2/dags/{DAG}/dagRuns/{run_id}/taskInstances/approve/-1/hitlDetails"
    asked = client._get(where)
    assert major.version in asked["subject"]
    assert f"compared with {serves.version}" in asked["body"]
    said = {"chosen_options": [answer], "params_input": {}}
    client._raise_for(client._request("PATCH", where, json=said))
    if answer == "Reject":
        until(lambda: client.run(DAG, run_id)["state"] in ("success", "failed"))
        assert state_of(client, run_id, "clear") == "skipped"
        assert state_of(client, run_id, "roll_out") == "skipped"
        decided = releases.find(NAME, major.version, platform)
        assert (decided.decision, rollouts.running(NAME, platform)) == ("refused", None)
    else:
        until(lambda: rollouts.running(NAME, platform) is not None)
        under_way = rollouts.running(NAME, platform)
        assert (under_way.version, under_way.strategy) == (major.version, "shadow")
        until(lambda: state_of(client, run_id, "roll_out") == "deferred")
        assert rollouts.undo(NAME, Cause("test", "seen enough"), platform).status == "rolled_back"
    told = {
        row["action"]: row["actor"]
        for row in audit.show(platform, NAME)
        if row["version"] == major.version
    }
    assert told[{"Reject": "rejected", "Approve": "approved"}[answer]] == "admin"
    assert releases.champion(NAME, platform).version == serves.version


def state_of(client, run_id, task):
    return {row["task_id"]: row["state"] for row in client.tasks(DAG, run_id)}.get(task)


def has_ended(platform, run_id, task):
    """Whether the scheduler has seen the end of a task's worker."""
    logs = State(platform.state_dir).logs.glob("airflow-scheduler.log*")
    told = f"TaskInstance Finished: dag_id={DAG}, task_id={task}, run_id={run_id},"
    return any(told in log.read_text(errors="replace") for log in logs)


def until(holds):
    deadline = time.monotonic() + 300
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.5)
