"""Every DAG file parses without connections, quickly, and says who owns it and what it does."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from ml.sources.families import FAMILIES
from tests.unit.dags.conftest import ROOT, in_airflow

DAG_FILES = sorted((ROOT / "dags").rglob("*.py"))
# Files of several DAGs that differ in a name.
GROUPS = {
    "ingest_sources": {f"ingest_{each.name}" for each in FAMILIES},
    "answer_requests": {
        "generate_script", "synthesize_voice", "generate_thumbnail", "assess_quality",
    },
}  # fmt: skip
# Parsed in a process of its own, the way the DAG processor does it: no database, no services.
_PARSE = """
import json, sys, time
from airflow.sdk import DAG
import ytempire_airflow.ingest
from airflow.dag_processing.dagbag import DagBag
rows = []
for path in sys.argv[1:]:
    started = time.process_time()  # a busy machine is no fault of the file
    bag = DagBag(path)
    seconds = time.process_time() - started
    rows.append({
        "path": path, "seconds": seconds, "errors": list(bag.import_errors.values()),
        "dags": [{
            "dag_id": dag.dag_id, "owner": dag.owner, "tags": sorted(dag.tags), "doc": dag.doc_md,
            "tasks": {task.task_id: {"pool": task.pool, "queue": task.queue,
                "retries": task.retries, "doc": task.doc_md} for task in dag.tasks},
            "schedule": str(dag.timetable),
        } for dag in bag.dags.values()],
    })
print("RESULT" + json.dumps(rows))
"""


@pytest.fixture(scope="module")
def parsed(tmp_path_factory):
    rows = in_airflow(tmp_path_factory.mktemp("airflow"), _PARSE, *map(str, DAG_FILES))
    return {Path(row["path"]).name: row for row in rows}


def test_there_are_dag_files():
    assert len(DAG_FILES) >= 8


@pytest.mark.parametrize("path", DAG_FILES, ids=lambda path: path.name)
def test_parses_without_connections_within_a_second(parsed, path):
    row = parsed[path.name]
    assert row["errors"] == []
    assert row["dags"]
    assert row["seconds"] < 1.0


@pytest.mark.parametrize("path", DAG_FILES, ids=lambda path: path.name)
def test_has_docs_owner_and_tags_and_is_named_after_its_file(parsed, path):
    dags = parsed[path.name]["dags"]
    if path.stem in GROUPS:
        assert {dag["dag_id"] for dag in dags} == GROUPS[path.stem]
    else:
        assert [dag["dag_id"] for dag in dags] == [path.stem]
    for dag in dags:
        assert dag["owner"] == "ytempire"
        assert dag["tags"]
        assert len(dag["doc"]) > 100


@pytest.mark.parametrize("path", DAG_FILES, ids=lambda path: path.name)
def test_file_is_wiring_only(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 90
    assert not path.name.startswith("dbt_")
    top = [node for node in ast.parse(text).body if isinstance(node, ast.Import | ast.ImportFrom)]
    modules = {node.module or "" for node in top if isinstance(node, ast.ImportFrom)}
    assert not {
        module for module in modules if module.split(".")[0] in {"torch", "feast", "mlflow"}
    }


def test_generation_stages_run_on_the_gpu_queue_and_pool(parsed):
    (dag,) = parsed["generate_video.py"]["dags"]
    stages = {"script", "voice", "thumbnail", "video", "gate", "publish"}
    assert set(dag["tasks"]) >= stages | {"admit", "release"}
    assert {dag["tasks"][name]["queue"] for name in stages} == {"gpu"}
    assert {dag["tasks"][name]["pool"] for name in stages} == {"gpu"}
    assert {dag["tasks"][name]["pool"] for name in ("admit", "release")} == {"default_pool"}


def test_tasks_of_dbt_link_to_the_page_of_each_model(parsed):
    models = ROOT / "dbt_project" / "models"
    for file, task, folders in (
        ("build_marts.py", "staging", ["staging"]),
        ("build_marts.py", "models", ["intermediate", "marts"]),
        ("build_features.py", "tables", ["features"]),
    ):
        (dag,) = parsed[file]["dags"]
        names = {path.stem for folder in folders for path in (models / folder).glob("*.sql")}
        for name in names:
            page = f"[{name}](/reports/dbt/index.html#!/model/model.ytempire.{name}"
            assert page in dag["tasks"][task]["doc"]


def test_every_pool_that_a_task_names_is_created(parsed):
    pools = set(json.loads((ROOT / "plugins" / "pools.json").read_text())) | {"default_pool"}
    named = {
        task["pool"]
        for row in parsed.values()
        for dag in row["dags"]
        for task in dag["tasks"].values()
    }
    assert named <= pools
