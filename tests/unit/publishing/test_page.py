"""The page of videos escapes what models wrote, and gives players the ranges they ask for."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from fastapi import HTTPException
from ytempire_airflow import videos

ROW = {
    "video_id": "v-1", "channel_id": "c", "topic": "<b>t</b>", "status": "held",
    "status_reason": None, "as_of": datetime(2026, 1, 1, tzinfo=UTC),
    "publish_at": datetime(2026, 1, 1, tzinfo=UTC), "rank": 1, "forecast": 5.0,
    "interest_at_publish": 4.0, "audience_score": None, "expected_cost_usd": None,
    "title": "<script>alert(1)</script>", "verdict": "held", "scores": {"overall": 0.7},
    "duration_s": 30.0, "files": {"thumbnail.jpg": {}, "video.mp4": {}}, "finished_at": None,
    "url": None, "destination": None, "published_at": None, "cost_usd": 0, "last_stage": "gate",
    "views": None, "costs": [],
}  # fmt: skip


def test_nothing_that_a_model_wrote_is_markup():
    page = videos._cards("Held", [ROW]) + videos._table("Planned", [ROW]) + videos._details(ROW)
    assert "<script>" not in page
    assert "<b>t" not in page
    assert "&lt;script&gt;alert(1)" in page
    for manifest in ('{"x": "<script>"}', "<script> that is no JSON"):
        assert "<script>" not in videos._proof("<script>", manifest)


def test_pages_load_and_run_nothing_from_elsewhere():
    policy = videos._HEADERS["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "http" not in videos._PAGE


@pytest.mark.parametrize(
    ("wanted", "bounds"),
    [
        ("bytes=0-", (0, 99)), ("bytes=10-19", (10, 19)),
        ("bytes=90-500", (90, 99)),
        ("bytes=-10", (90, 99)), ("bytes=-500", (0, 99)),
    ],
)  # fmt: skip
def test_ranges(wanted, bounds):
    assert videos._bounds(wanted, 100) == bounds


@pytest.mark.parametrize("wanted", [None, "lines=1-2", "bytes=1-2,5-6"])
def test_a_range_that_is_not_known_is_ignored(wanted):
    assert videos._bounds(wanted, 100) is None


@pytest.mark.parametrize("wanted", ["bytes=100-", "bytes=5-4", "bytes=-0", "bytes=-"])
def test_a_range_that_is_none_is_refused(wanted):
    with pytest.raises(HTTPException) as caught:
        videos._bounds(wanted, 100)
    assert caught.value.status_code == 416
