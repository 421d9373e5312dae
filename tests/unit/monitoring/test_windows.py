from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from ml.monitoring.page import render
from ml.monitoring.shift import ColumnShift
from ml.monitoring.windows import VIDEO_TABLES, Windows

NOW = datetime(2026, 5, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def test_the_tables_are_those_of_the_feature_service():
    from feature_repo.services import trend_video_v2

    views = {each.name for each in trend_video_v2.feature_view_projections}
    assert views == set(VIDEO_TABLES)


def test_blocks_are_weeks_of_a_long_reference_and_days_of_a_short_one():
    long = Windows(NOW - 90 * DAY, NOW - 3 * DAY, NOW - 7 * DAY, NOW)
    short = Windows(NOW - 20 * DAY, NOW - 3 * DAY, NOW - 7 * DAY, NOW)
    assert (long.block, short.block) == (7 * DAY, DAY)
    assert long.block_starts([-1, 0, 2]) == {0: long.start, 2: long.start + 14 * DAY}
    other = replace(long, start=long.start + DAY, first_block=100)
    assert other.block_starts([-1, 100, 102]) == {100: other.start, 102: other.start + 14 * DAY}


def test_the_page_says_what_was_called_and_draws_a_sample_of_it():
    import numpy as np
    import pandas as pd

    random = np.random.default_rng(2)
    frames = [pd.DataFrame({"log_views": random.normal(m, 1, 300)}) for m in (0, 1)]
    shift = ColumnShift(
        "log_views", 1e-9, 1e-8, 1.0, "location", {}, 0.9, 300, 300, 0.0, 0.0, 1.0, 0.0, True
    )
    html = render("a <week>", [shift], {"log_views": "drift"}, *frames).decode()
    assert "a &lt;week&gt;" in html
    assert "<td>drift</td>" in html
    assert "from a sample of 300 and 300 rows" in html
    assert html.count("log_views") > 2
    assert html.lower().count("<body") == 1
