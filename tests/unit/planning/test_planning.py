"""What a plan weighs: growth, likeness, death of a trend."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from ml.planning.allowance import Allowance
from ml.planning.forecast import growth, interest_at
from ml.planning.likeness import Likeness
from ml.planning.planner import choose
from ml.planning.upkeep import death


@pytest.mark.parametrize(
    ("last_day", "day_before", "expected"),
    [(200, 100, 2.0), (150, 100, 1.5), (900, 100, 2.0), (1, 100, 0.5), (5, None, None),
     (0, 9, None)],
)  # fmt: skip
def test_growth_is_held_within_bounds_and_unknown_without_both_days(last_day, day_before, expected):
    assert growth(last_day, day_before) == expected


def test_interest_is_carried_on_to_the_time_of_publishing():
    assert interest_at(100, 2.0, timedelta(hours=12)) == pytest.approx(141.42, abs=0.01)
    assert interest_at(100, 0.5, timedelta(days=1)) == 50
    assert interest_at(100, None, timedelta(days=3)) == 100


def unit(*rows: tuple[float, float]) -> np.ndarray:
    vectors = np.array(rows, dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_what_is_covered_or_off_the_niche_is_passed_over():
    ranked = [{"topic_id": name} for name in ("covered", "off", "first", "its-twin", "second")]
    alike = Likeness(
        topics=unit((1, 0.05), (-1, 0.2), (0.7, 1), (0.75, 1.05), (-0.2588, 0.9659)),
        niche=unit((0.7, 1))[0],
        past=unit((1, 0)),
    )
    chosen = choose(ranked, alike, 0.3, 5)
    assert [row["topic_id"] for row in chosen] == ["first", "second"]
    assert chosen[0]["past"] == pytest.approx(0.573, abs=1e-3)
    assert chosen[1]["past"] == pytest.approx(0.643, abs=1e-3)  # to the first, not to the past
    assert choose(ranked, alike, 0.3, 1) == chosen[:1]


def test_without_a_niche_or_a_past_nothing_is_ruled_out():
    alike = Likeness(topics=unit((1, 0)), niche=None, past=np.zeros((0, 2), dtype=np.float32))
    (row,) = choose([{"topic_id": "t"}], alike, 0.9, 3)
    assert (row["niche"], row["past"]) == (None, None)


def test_a_trend_is_dead_below_a_quarter_of_its_forecast():
    assert death(100, 25) is None
    assert "24 views a day" in death(100, 24)
    assert "no video" in death(100, None)


def test_publications_keep_their_distance():
    at = datetime(2026, 1, 1, tzinfo=UTC)
    room = Allowance(2, "the cadence", None, at, timedelta(hours=4))
    assert [room.publish_at(n) for n in (0, 1)] == [at, at + timedelta(hours=4)]
