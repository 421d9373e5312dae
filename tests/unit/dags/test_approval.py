"""The task that asks a person, in its own process: what Airflow makes of it and its answers."""

from __future__ import annotations

from pathlib import Path

from tests.unit.dags.conftest import ROOT, in_airflow

_CODE = """
import json, sys
from datetime import UTC, datetime
from airflow.dag_processing.dagbag import DagBag
import ml.generation.gate_approval as gate
from ytempire_airflow.approval import HeldVideoOperator
bag = DagBag(sys.argv[1])
dag = bag.dags["generate_video"]
found = {"tasks": list(dag.task_dict), "errors": list(bag.import_errors.values())}
if "approval" in dag.task_dict:
    task = dag.get_task("approval")
    found |= {"upstream": sorted(task.upstream_task_ids), "options": task.options,
              "downstream": sorted(task.downstream_task_ids), "defaults": task.defaults,
              "seconds": task.response_timeout.total_seconds(), "pool": task.pool}
    asked = []
    gate.request = lambda video_id: asked.append(video_id)
    gate.decide = lambda *answer: answer
    context = {"params": {"video_id": "v1"}}
    found["not held"] = HeldVideoOperator.execute.__wrapped__(task, context)
    event = {"chosen_options": ["Approve"], "params_input": {}, "responded_by_user":
             {"id": "1", "name": "ada"}, "responded_at": datetime(2026, 5, 1, tzinfo=UTC)}
    found["approved"] = task.execute_complete(context, event)
    late = event | {"chosen_options": ["Hold"], "responded_by_user": None}
    found["late"] = task.execute_complete(context, late)
    found["asked"] = asked
print("RESULT" + json.dumps(found))
"""


def parse(home: Path, hours: str) -> dict:
    dag_file = ROOT / "dags" / "content" / "generate_video.py"
    return in_airflow(home, _CODE, str(dag_file), YTEMPIRE_APPROVAL_HOURS=hours)


def test_nobody_is_asked_unless_hours_are_set(tmp_path):
    found = parse(tmp_path, "0")
    assert found["errors"] == []
    assert "approval" not in found["tasks"]


def test_between_gate_and_publishing_a_person_is_asked_and_silence_holds(tmp_path):
    found = parse(tmp_path, "2")
    assert found["upstream"] == ["gate"]
    assert found["downstream"] == ["publish"]
    assert found["options"] == ["Approve", "Reject", "Hold"]
    assert found["defaults"] == ["Hold"]
    assert found["seconds"] == 7200
    assert found["pool"] != "gpu"
    assert found["asked"] == ["v1"]
    assert found["not held"].startswith("nobody is asked")
    assert found["approved"] == ["v1", "approve", "ada"]
    assert found["late"] == ["v1", "hold", "nobody in time"]
