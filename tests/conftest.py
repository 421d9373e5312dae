"""Fixtures for all tests: the folder decides the marker, services are real."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import hypothesis
import pytest

from ml.settings import Settings, get_settings

_FOLDERS = ("unit", "integration", "e2e", "fault", "soak")
# What a developer's shell may carry must not decide what a test sees.
_INTERFERING = (
    "DATABASE_URL", "REDIS_URL", "MLFLOW_TRACKING_URI", "YTEMPIRE_AS_OF", "YTEMPIRE_CLOCK",
    "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD",
    "YTEMPIRE_PORTS", "YTEMPIRE_STATE_DIR", "YTEMPIRE_WORLD_URL", "YOUTUBE_API_KEY",
    "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "SCRIPT_MODEL_PROVIDER", "SCRIPT_MODEL_NAME",
    "YTEMPIRE_SCRIPT_FALLBACKS",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by its folder; one outside the known folders is an error."""
    root = Path(__file__).parent
    for item in items:
        folder = item.path.relative_to(root).parts[0]
        if folder not in _FOLDERS:
            raise pytest.UsageError(f"{item.path} is in none of tests/{{{','.join(_FOLDERS)}}}")
        item.add_marker(folder)


def pytest_configure() -> None:
    """Forget settings of the caller's shell before anything reads them.

    Property tests have no deadline, because a busy machine is no fault of the code, and draw the
    same examples in every run of continuous integration; elsewhere they look for new ones.
    """
    hypothesis.settings.register_profile(
        "ytempire", deadline=None, derandomize=bool(os.environ.get("CI"))
    )
    hypothesis.settings.load_profile("ytempire")
    _forget_interfering()
    # No test may find the state of a platform that runs in the checkout.
    os.environ["YTEMPIRE_STATE_DIR"] = str(Path(tempfile.gettempdir()) / "ytempire-not-set-up")


def _forget_interfering() -> None:
    for name in _INTERFERING:
        os.environ.pop(name, None)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of the public archives; the test is skipped where there is none."""
    folder = os.environ.get("YTEMPIRE_DATA_DIR")
    if not folder:
        pytest.skip("YTEMPIRE_DATA_DIR is not set: no public archives here")
    return Path(folder)


@pytest.fixture(scope="session")
def stack() -> Iterator[Settings]:
    """Settings of freshly started, migrated Postgres, Valkey, S3, world server and MLflow."""
    with _running(["postgres", "valkey", "objects", "world", "mlflow"]) as settings:
        yield settings


@pytest.fixture(scope="session")
def platform() -> Iterator[Settings]:
    """Settings of the whole platform with Airflow, freshly started on the simulated world."""
    data_dir = os.environ.pop("YTEMPIRE_DATA_DIR", None)
    # One attempt at a script: the videos are to be whole here, not to be better.
    os.environ["YTEMPIRE_GATE_RETRIES"] = "0"
    try:
        with _running([]) as settings:
            yield settings
    finally:
        del os.environ["YTEMPIRE_GATE_RETRIES"]
        if data_dir:
            os.environ["YTEMPIRE_DATA_DIR"] = data_dir


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    """Variables of `own_platform`; modules that want some have a fixture of this name."""
    return {}


@pytest.fixture(scope="module")
def own_platform(environment: dict[str, str]) -> Iterator[Settings]:
    """Settings of a whole platform of the module's own, on the simulated world."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("YTEMPIRE_DATA_DIR", raising=False)
        for name, value in environment.items():
            patch.setenv(name, value)
        with _running([]) as settings:
            yield settings


@contextmanager
def _running(only: list[str]) -> Iterator[Settings]:
    from ml.runtime import embedded

    before = os.environ["YTEMPIRE_STATE_DIR"]
    # MLflow's client leaves the address of the server it last used in the environment.
    _forget_interfering()
    state_dir = tempfile.mkdtemp(prefix="ytempire-test-")
    os.environ["YTEMPIRE_STATE_DIR"] = state_dir
    os.environ["YTEMPIRE_OUTBOX_DIR"] = str(Path(state_dir) / "outbox")
    get_settings.cache_clear()
    try:
        yield embedded.up(_quiet, only)
    finally:
        embedded.down(_quiet)
        os.environ["YTEMPIRE_STATE_DIR"] = before
        get_settings.cache_clear()
        if not os.environ.get("YTEMPIRE_KEEP_TEST_STATE"):
            shutil.rmtree(state_dir, ignore_errors=True)


def _quiet(name: str, seconds: float, detail: str) -> None:
    """Report nothing."""
