"""One main job for all end-to-end tests."""

from __future__ import annotations

import pytest

from ml.main_job import run_main_job


@pytest.fixture(scope="session")
def finished(platform):
    """Every run of the main job, from ingest to videos, in its final state."""
    return run_main_job(lambda progress: None, platform)
