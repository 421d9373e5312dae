from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.exceptions import QuotaExceededError
from ml.sources.quota import Choice, Level, MemoryMeter, Quota, choose_level

ALL = Level("all regions", {"default": 40})
HALF = Level("half", {"default": 20})
KNOWN = Level("known ids", {"default": 1}, last_resort=True)
LEVELS = (ALL, HALF, KNOWN)
PACIFIC = Quota("youtube", per_day=100, zone="America/Los_Angeles")


@pytest.mark.parametrize(
    ("left", "intervals", "expected"),
    [
        (960, 24, Choice(ALL)),
        (959, 24, Choice(HALF)),
        (480, 24, Choice(HALF)),
        (479, 24, Choice(HALF, every=2)),
        (239, 24, Choice(HALF, every=4)),
        (60, 24, Choice(HALF, every=8)),
        (59, 24, Choice(KNOWN)),
        (24, 24, Choice(KNOWN)),
        (23, 24, None),
        (20, 1, Choice(HALF)),
        (19, 1, Choice(KNOWN)),
        (0, 1, None),
    ],
)
def test_regions_go_first_then_intervals_then_all_but_known_ids(left, intervals, expected):
    assert choose_level(LEVELS, {"default": left}, intervals) == expected


@given(st.integers(0, 2000), st.integers(1, 100))
def test_what_is_chosen_lasts_for_the_day(left, intervals):
    choice = choose_level(LEVELS, {"default": left}, intervals)
    if choice is not None:
        times = -(-intervals // choice.every)
        assert choice.level.costs["default"] * times <= left


def test_a_source_without_quota_is_always_fetched_whole():
    assert choose_level((Level("full"),), {}, 1000) == Choice(Level("full"))


@pytest.mark.parametrize(
    ("moment", "reset"),
    [
        ("2026-01-10T07:59:00+00:00", "2026-01-10T08:00:00+00:00"),
        ("2026-01-10T08:00:00+00:00", "2026-01-11T08:00:00+00:00"),
        # The clocks go forward on 8 March 2026: the day before is 23 hours long there.
        ("2026-03-08T09:00:00+00:00", "2026-03-09T07:00:00+00:00"),
        ("2026-11-01T08:00:00+00:00", "2026-11-02T08:00:00+00:00"),
    ],
)
def test_a_quota_starts_anew_at_midnight_where_it_is_counted(moment, reset):
    assert PACIFIC.resets_at(datetime.fromisoformat(moment)) == datetime.fromisoformat(reset)


def test_what_is_spent_is_gone_until_the_day_is_over():
    meter = MemoryMeter()
    noon = datetime(2026, 1, 10, 20, tzinfo=UTC)
    meter.spend(PACIFIC, 99, noon)
    with pytest.raises(QuotaExceededError, match="1 of 100 are left"):
        meter.spend(PACIFIC, 2, noon)
    assert meter.left(PACIFIC, noon) == 1
    assert meter.left(PACIFIC, noon + timedelta(hours=12)) == 100
