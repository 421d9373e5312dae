"""dbt's parsed project as a file, from which Airflow draws the model graph without running dbt."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from ml.exceptions import FatalError
from ml.warehouse.transform import DBT_PROJECT_DIR

# Parsing connects to nothing; the profile only wants the variables to exist.
_NO_DATABASE = {
    "YTEMPIRE_DBT_HOST": "127.0.0.1",
    "YTEMPIRE_DBT_PORT": "1",
    "YTEMPIRE_DBT_USER": "nobody",
    "YTEMPIRE_DBT_DATABASE": "none",
    "DBT_ENV_SECRET_YTEMPIRE_PASSWORD": "",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    "DO_NOT_TRACK": "1",
}


def write_manifest(path: Path) -> bool:
    """Parse the dbt project into `path` unless it is newer than every file of the project.

    Returns:
        Whether the project was parsed.

    Raises:
        FatalError: if it does not parse; the message is dbt's.
    """
    files = [file for file in DBT_PROJECT_DIR.rglob("*") if file.is_file()]
    newest = max(file.stat().st_mtime for file in files)
    if path.exists() and path.stat().st_mtime > newest:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as target:
        result = subprocess.run(
            [
                sys.executable, "-m", "dbt.cli.main", "parse",
                "--project-dir", str(DBT_PROJECT_DIR), "--profiles-dir", str(DBT_PROJECT_DIR),
                "--target-path", target, "--log-path", target,
            ],
            env={"PATH": "/usr/bin:/bin", "HOME": target, "LANG": "C.UTF-8", **_NO_DATABASE},
            cwd=DBT_PROJECT_DIR, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if result.returncode != 0:
            lines = (result.stdout or result.stderr).strip().splitlines()
            raise FatalError(f"the dbt project does not parse: {' '.join(lines[-4:])}")
        (Path(target) / "manifest.json").replace(path)
    return True
