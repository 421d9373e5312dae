"""A figure of a horizon is one that was taken in time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ml.publishing.metrics import due_rows

OUT = datetime(2026, 1, 1, tzinfo=UTC)
ITEM = {"statistics": {"viewCount": "90", "likeCount": "7"}}  # comments are hidden


def taken(hours: float, item=ITEM, known=()) -> dict[str, tuple]:
    video = {"video_id": "v", "published_at": OUT, "known": list(known)}
    rows = due_rows(video, item, OUT + timedelta(hours=hours))
    return {row["horizon"]: (row["status"], row["views"], row["comments"]) for row in rows}


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        (0.9, {}),
        (1, {"1h": ("observed", 90, None)}),
        (2.1, {"1h": ("missed", None, None)}),
        (25, {"1h": ("missed", None, None), "24h": ("observed", 90, None)}),
        (24 * 9 + 1, {name: ("missed", None, None) for name in ("1h", "24h", "7d")}),
    ],
)
def test_what_is_due_and_in_time_is_taken(hours, expected):
    assert taken(hours) == expected


def test_what_is_known_is_not_taken_again():
    assert set(taken(25, known=("1h",))) == {"24h"}


def test_a_video_that_youtube_knows_no_more_is_gone():
    assert taken(1.5, item=None) == {"1h": ("gone", None, None)}
