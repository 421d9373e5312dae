"""Under KubernetesExecutor the stages of generation ask for a GPU; no cluster is needed to see it.

The DAG is parsed, stored and read as Airflow does it, and the executor's own generator builds each
task's pod.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.dags.conftest import ROOT, in_airflow

POD_FILE = ROOT / "plugins" / "gpu_pod.yaml"
# What every pod of the executor has, as the chart's template: image, variables, a small CPU share.
TEMPLATE = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "worker"},
    "spec": {
        "containers": [
            {
                "name": "base",
                "image": "ytempire/gpu-worker:0.1.0",
                "env": [{"name": "APP_ENV", "value": "production"}],
                "resources": {"requests": {"cpu": "1"}},
            }
        ],
        "restartPolicy": "Never",
    },
}
_BUILD = """
import json, sys
import ytempire_airflow.defaults
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization
bag = DagBag(sys.argv[1])
if bag.import_errors:
    sys.exit("ERROR " + " ".join(bag.import_errors.values()))
[dag] = bag.dags.values()
dag = DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag))))
pods = {}
for task in dag.tasks:
    override = (task.executor_config or {}).get("pod_override")
    pod = None
    if override is not None:
        from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator
        pod = PodGenerator.serialize_pod(PodGenerator.construct_pod(
            dag_id=dag.dag_id, task_id=task.task_id, pod_id="pod", try_number=1, kube_image="",
            date=None, args=["run"], pod_override_object=override, namespace="airflow",
            base_worker_pod=PodGenerator.deserialize_model_dict(json.loads(sys.argv[2])),
            scheduler_job_id="1"))
    pods[task.task_id] = {"queue": task.queue, "pod": pod}
print("RESULT" + json.dumps(pods))
"""


def pods(home: Path, **variables: str) -> dict[str, dict[str, Any]]:
    """Queue and pod of every task."""
    dag_file = ROOT / "dags" / "content" / "generate_video.py"
    found: dict[str, dict[str, Any]] = in_airflow(
        home, _BUILD, str(dag_file), json.dumps(TEMPLATE), **variables
    )
    return found


def test_stages_on_the_gpu_queue_get_its_pod_and_no_other_task(tmp_path):
    found = pods(tmp_path, YTEMPIRE_GPU_POD_FILE=str(POD_FILE))
    on_gpu = {name: each["pod"] for name, each in found.items() if each["queue"] == "gpu"}
    assert len(on_gpu) >= 5
    assert {name for name, each in found.items() if each["pod"]} == set(on_gpu)
    for pod in on_gpu.values():
        spec = pod["spec"]
        (container,) = spec["containers"]
        assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
        assert spec["nodeSelector"] == {"nvidia.com/gpu.present": "true"}
        assert [each["key"] for each in spec["tolerations"]] == ["nvidia.com/gpu"]
        # What the executor's template says of every pod stays.
        assert container["image"] == "ytempire/gpu-worker:0.1.0"
        assert {"name": "APP_ENV", "value": "production"} in container["env"]


def test_without_the_setting_no_pod_is_named(tmp_path):
    assert {each["pod"] for each in pods(tmp_path).values()} == {None}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "is no pod: "),
        ("spec: [", "is no pod: "),
        ("{}", "is no pod: "),
        (yaml.safe_dump({"spec": {"containers": [{"name": "main"}]}}), "must be named base"),
    ],
)
def test_a_file_that_describes_no_pod_is_named_with_its_variable(tmp_path, text, told):
    path = tmp_path / "pod.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(AssertionError, match=f"YTEMPIRE_GPU_POD_FILE {path}.*{told}"):
        pods(tmp_path, YTEMPIRE_GPU_POD_FILE=str(path))
