"""Runs dbt as a separate program.

A subprocess and not dbt's Python entry: dbt keeps global state, and a build that is killed must
not take its caller with it. Nothing of the caller's environment reaches it but what it needs.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import shutil
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy.engine import make_url

from ml.exceptions import ConfigurationError, FatalError, ServiceUnavailableError
from ml.settings import PROJECT_ROOT, Settings, get_settings

log = logging.getLogger(__name__)

DBT_PROJECT_DIR = PROJECT_ROOT / "dbt_project"

_FAILED = ("error", "fail", "runtime error")
_SHOWN_FAILURES = 3
_RESULTS = "run_results.json"
_PROJECT = "ytempire"
_VERSION = re.compile(r"^    latest_version: (\d+)$", re.MULTILINE)
_PARSE = "partial_parse.msgpack"
# What a server says that is down, or was restarted under a running build.
_UNAVAILABLE = re.compile(
    r"connection refused|could not connect|server closed the connection|terminating connection"
    r"|the database system is (starting up|shutting down|in recovery)|connection timed out"
    r"|connection .*(failed|already closed)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class DbtSummary:
    """What a dbt run did.

    Attributes:
        statuses: number of nodes by status, for example `{"success": 15, "pass": 105}`.
        seconds: wall time of the whole run, parsing included.
        models: seconds of each model that was built, the slowest first.
        target_path: folder with `manifest.json` and `run_results.json`.
    """

    statuses: Mapping[str, int]
    seconds: float
    models: Mapping[str, float]
    target_path: Path


def model_ids(select: Sequence[str]) -> dict[str, str]:
    """Dbt's ids of the models in folders, by name, as its documentation addresses them.

    Args:
        select: selectors of folders, `path:models/marts` for example; others name no model.
    """
    found = {}
    for selector in select:
        for path in sorted((DBT_PROJECT_DIR / selector.removeprefix("path:")).glob("*.sql")):
            version = _VERSION.search(path.with_suffix(".yml").read_text())
            suffix = f".v{version[1]}" if version else ""
            found[path.stem] = f"model.{_PROJECT}.{path.stem}{suffix}"
    return found


def dbt_env(settings: Settings | None = None) -> dict[str, str]:
    """The environment variables that `dbt_project/profiles.yml` reads.

    The password's name starts with DBT_ENV_SECRET_, which makes dbt keep it out of its logs.

    Raises:
        ConfigurationError: if DATABASE_URL is missing or has no login.
    """
    settings = settings or get_settings()
    url = make_url(settings.require("database_url"))
    if not (url.host and url.username and url.database):
        raise ConfigurationError(
            "DATABASE_URL needs host, login and database: postgresql://user:password@host/name"
        )
    return {
        "YTEMPIRE_DBT_HOST": url.host,
        "YTEMPIRE_DBT_PORT": str(url.port or 5432),
        "YTEMPIRE_DBT_USER": url.username,
        "YTEMPIRE_DBT_DATABASE": url.database,
        "DBT_ENV_SECRET_YTEMPIRE_PASSWORD": str(url.password or ""),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DO_NOT_TRACK": "1",
    }


def dbt_arguments(args: Sequence[str], *, target_path: Path) -> list[str]:
    """The dbt command line for `args`, for example `["build", "--select", "tag:marts"]`."""
    return [
        *args,
        "--project-dir",
        str(DBT_PROJECT_DIR),
        "--profiles-dir",
        str(DBT_PROJECT_DIR),
        "--target-path",
        str(target_path),
        "--log-path",
        str(target_path / "logs"),
    ]


def run_dbt(args: list[str], *, as_of: datetime, settings: Settings | None = None) -> DbtSummary:
    """Run dbt and wait for it. Its lines go to the log as they come.

    Args:
        args: command and selection, for example `["build", "--select", "path:models/staging"]`.
        as_of: "now" for every model.
        settings: where the database and the state directory are.

    Raises:
        FatalError: if a node failed; the message has the names and the first reasons.
        ServiceUnavailableError: if Postgres does not answer; the same call may succeed later.
    """
    settings = settings or get_settings()
    target = _target(args, settings)
    (target / _RESULTS).unlink(missing_ok=True)
    return _run(args, as_of, target, settings)


def build_models(
    select: Sequence[str], *, as_of: datetime, run_id: str, settings: Settings | None = None
) -> DbtSummary:
    """Build models, each with its tests right after it, model by model.

    Called again for the same run after a failure, it builds what failed and what that held up, and
    not what was good. Where nothing is known of an earlier call (it was killed, or ran on another
    machine), it builds all.

    Args:
        select: dbt selectors, for example `["path:models/staging"]`.
        as_of: "now" for every model.
        run_id: of the run that the call belongs to.
        settings: where the database and the state directory are.

    Raises:
        FatalError: as `run_dbt`.
        ServiceUnavailableError: as `run_dbt`.
    """
    settings = settings or get_settings()
    args = ["build", "--select", *select]
    target = _target(args, settings)
    owner = target / "run_id"
    ours = owner.exists() and owner.read_text() == run_id
    if ours and any(node["status"] != "success" for node in _read_results(target / _RESULTS)):
        log.info("an earlier call of this run has failed: only what it left is built")
        return _run(["retry"], as_of, target, settings)
    (target / _RESULTS).unlink(missing_ok=True)
    owner.write_text(run_id)
    return _run(args, as_of, target, settings)


def _target(args: Sequence[str], settings: Settings) -> Path:
    # One folder a command: two tasks that run at once must not read each other's results.
    slug = hashlib.sha256("\0".join(args).encode()).hexdigest()[:10]
    target = settings.state_dir / "dbt" / slug
    target.mkdir(parents=True, exist_ok=True)
    _forget_parses_of_other_descriptions(target.parent)
    _take_newest_parse(target)
    return target


def _forget_parses_of_other_descriptions(folder: Path) -> None:
    """Let dbt parse all where a description has changed since the last time, as in a new release.

    From a saved parse dbt 1.11 takes over columns that the description of a versioned model has no
    more, and then finds that they are missing in its contract.
    """
    paths = sorted((DBT_PROJECT_DIR / "models").rglob("*.yml"))
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in paths)).hexdigest()
    known = folder / "descriptions.sha256"
    if known.is_file() and known.read_text() == digest:
        return
    for path in folder.glob(f"*/{_PARSE}"):
        path.unlink(missing_ok=True)
    known.write_text(digest)


def _take_newest_parse(target: Path) -> None:
    """Let dbt begin with the newest parse of any command, so that it parses only what has changed.

    dbt checks it, and a file that another command was just writing only makes it parse all.
    """
    found = [(path.stat().st_mtime_ns, path) for path in target.parent.glob(f"*/{_PARSE}")]
    newest = max(found, default=(0, target / _PARSE))[1]
    if newest.parent != target:
        taken = target / f"{_PARSE}.taken"
        shutil.copy2(newest, taken)
        taken.replace(target / _PARSE)


def _run(args: list[str], as_of: datetime, target: Path, settings: Settings) -> DbtSummary:
    started = time.monotonic()
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "dbt.cli.main",
        *dbt_arguments(args, target_path=target),
    ]
    code, tail = _stream(command, _process_env(as_of, settings, target))
    nodes = _read_results(target / _RESULTS)
    if code != 0:
        raise _failure(args, nodes, tail)
    return DbtSummary(
        statuses=dict(Counter(str(node["status"]) for node in nodes)),
        seconds=time.monotonic() - started,
        models=_model_seconds(nodes),
        target_path=target,
    )


def _model_seconds(nodes: list[dict[str, Any]]) -> dict[str, float]:
    built = {
        _node_name(node): round(float(node["execution_time"]), 2)
        for node in nodes
        if str(node["unique_id"]).startswith(("model.", "snapshot."))
    }
    return dict(sorted(built.items(), key=lambda item: (-item[1], item[0])))


def _process_env(as_of: datetime, settings: Settings, target: Path) -> dict[str, str]:
    if as_of.tzinfo is None:
        raise ValueError("as_of needs a time zone")
    return {
        **dbt_env(settings),
        # Not one of `--vars`: with other vars than last time dbt parses the whole project again.
        "YTEMPIRE_DBT_AS_OF": as_of.astimezone(UTC).isoformat(),
        "HOME": str(target),
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "PYTHONUTF8": "1",
        "NO_COLOR": "1",
    }


def _stream(command: list[str], env: dict[str, str]) -> tuple[int, list[str]]:
    tail: deque[str] = deque(maxlen=60)
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        env=env,
        cwd=DBT_PROJECT_DIR,
    ) as process:
        try:
            for line in process.stdout or ():
                text = line.rstrip()
                if text:
                    log.info("%s", text)
                    tail.append(text)
        except BaseException:
            # The caller is being stopped; do not leave a build running behind it.
            process.terminate()
            raise
    return process.returncode, list(tail)


def _read_results(path: Path) -> list[dict[str, Any]]:
    try:
        results: list[dict[str, Any]] = json.loads(path.read_text())["results"]
    except FileNotFoundError:
        return []
    return results


def _failure(
    args: list[str], nodes: list[dict[str, Any]], tail: list[str]
) -> FatalError | ServiceUnavailableError:
    failed = [node for node in nodes if node["status"] in _FAILED]
    if failed:
        reasons = [
            f"{_node_name(node)}: {_one_line(node.get('message') or node['status'])}"
            for node in failed
        ]
    else:
        reasons = [_one_line(" ".join(tail[-12:])) or "no output"]
    shown = "; ".join(reasons[:_SHOWN_FAILURES])
    more = len(reasons) - _SHOWN_FAILURES
    message = f"dbt {' '.join(args)} failed: {shown}" + (f"; and {more} more" if more > 0 else "")
    if _UNAVAILABLE.search(message):
        return ServiceUnavailableError(message)
    return FatalError(message)


def _node_name(node: Mapping[str, Any]) -> str:
    # unique_id is "model.ytempire.int_videos" or "test.ytempire.not_null_....<hash>".
    return str(node["unique_id"]).split(".")[2]


def _one_line(text: str) -> str:
    return " ".join(str(text).split())[:400]
