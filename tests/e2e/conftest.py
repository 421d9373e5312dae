"""One main job for all end-to-end tests."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ml.main_job import run_main_job
from ml.storage.postgres import connect


@pytest.fixture(scope="session")
def finished(platform):
    """Every run of the main job, from ingest to videos, in its final state."""
    return run_main_job(lambda progress: None, platform)


@pytest.fixture(scope="session")
def finished_again(finished, platform):
    """A second main job, and the content of the platform before and after it.

    Its build of the marts is the first that sees models, costs and videos.
    """
    before = _content(platform)
    runs = run_main_job(lambda progress: None, platform)
    return SimpleNamespace(runs=runs, content_before=before, content_after=_content(platform))


def _content(settings):
    """Counts and digests that a second run must not change."""
    tables = {
        "raw.youtube_videos": "source, region, video_id, observed_at, views",
        "raw.records": "source, kind, record_id, event_at, payload",
        "features.video_momentum": "video_id, event_at, views",
        "features.video_profile": "video_id, event_at",
        "content.video_schedule": "video_id, topic, status",
        "content.videos": "video_id, verdict, files",
        "ml.ml_models": "model_name, version",
        "ml.drift_reports": "drift_report_id, verdict",
        "ops.dead_letters": "dead_letter_id",
    }
    with connect(settings.require("database_url")) as conn:
        return {
            table: conn.execute(
                f"select count(*), md5(string_agg(t::text, '|' order by t::text))"
                f" from (select {columns} from {table}) as t"
            ).fetchone()
            for table, columns in tables.items()
        }
