"""DAG files asked in a process of its own, as Airflow's DAG processor reads them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]


def in_airflow(home: Path, script: str, *arguments: str, **variables: str) -> Any:
    """What a script prints as JSON behind `RESULT`; it has neither a database nor services."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql+psycopg2://nobody@127.0.0.1:1/none",
        "YTEMPIRE_STATE_DIR": str(home),
        "PYTHONPATH": str(ROOT / "plugins"),
    }
    result = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env=environment | variables, capture_output=True, text=True, check=False, cwd=home,
    )  # fmt: skip
    lines = [line for line in result.stdout.splitlines() if line.startswith("RESULT")]
    assert lines, result.stderr[-3000:]
    return json.loads(lines[0].removeprefix("RESULT"))
