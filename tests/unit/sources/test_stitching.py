from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.sources.stitching import Series, scale, stitch, stitch_all

LENGTH = 60


def series(values: list[float], start: int = 0) -> Series:
    return Series(np.arange(start, start + len(values)), np.array(values, dtype=np.float64))


def windows(truth: np.ndarray, size: int, step: int, *, whole: bool = False) -> list[Series]:
    """The truth as a provider gives it: each window scaled to 100, rounded if `whole`."""
    found = []
    for start in range(0, len(truth) - size + 1, step):
        part = truth[start : start + size]
        scaled = 100.0 * part / part.max()
        values = np.round(scaled) if whole else scaled
        found.append(Series(np.arange(start, start + size), values))
    return found


TRUTHS = st.lists(st.floats(1.0, 1e4), min_size=LENGTH, max_size=LENGTH).map(np.array)


@given(TRUTHS, st.integers(2, 20))
def test_windows_give_the_series_back_up_to_one_factor(truth: np.ndarray, step: int) -> None:
    size = 2 * step
    found = stitch_all(windows(truth, size, step))
    factors = found.values / truth[: len(found.times)]
    assert np.allclose(factors, factors[0], rtol=1e-9)
    assert list(found.times) == list(range(len(found.times)))


@given(
    st.lists(st.floats(20.0, 100.0), min_size=LENGTH, max_size=LENGTH).map(np.array),
    st.integers(8, 20),
)
def test_rounding_to_whole_numbers_costs_little(truth: np.ndarray, step: int) -> None:
    found = stitch_all(windows(truth, 2 * step, step, whole=True))
    factors = found.values / truth[: len(found.times)]
    # Half a unit of at least 20, once in each value and once for each of the joints.
    joints = len(found.times) / step
    assert np.all(np.abs(factors / factors[0] - 1.0) < 0.025 * (2 + joints))


@given(TRUTHS, st.sets(st.integers(0, LENGTH - 1), max_size=LENGTH // 3))
def test_points_without_interest_stay_at_zero_and_disturb_nothing(
    truth: np.ndarray, empty: set[int]
) -> None:
    truth = truth.copy()
    truth[list(empty)] = 0.0
    parts = windows(truth, 40, 20)
    shared = truth[20:40]
    if not shared.any():
        with pytest.raises(ValueError, match="share no point"):
            stitch_all(parts)
        return
    found = stitch_all(parts)
    assert np.all((found.values == 0.0) == (truth == 0.0))
    positive = truth > 0.0
    factors = found.values[positive] / truth[positive]
    assert np.allclose(factors, factors[0], rtol=1e-9)


@given(st.floats(0.01, 100.0), st.integers(0, 9), st.floats(0.1, 10.0))
def test_one_point_that_has_changed_decides_nothing(
    factor: float, spot: int, change: float
) -> None:
    previous, following = np.full(10, 50.0), np.full(10, 50.0 / factor)
    following[spot] *= change
    assert scale(series(list(previous)), series(list(following))) == pytest.approx(factor)


def test_shared_points_keep_the_first_scale_and_value() -> None:
    found = stitch(series([10, 20, 40]), series([50, 100, 25], start=1))
    assert list(found.times) == [0, 1, 2, 3]
    assert list(found.values) == [10, 20, 40, 10]


def test_gap_before_the_first_window_is_filled_too() -> None:
    found = stitch(series([20, 40], start=2), series([5, 10, 20], start=1))
    assert list(found.times) == [1, 2, 3]
    assert list(found.values) == [10, 20, 40]


@pytest.mark.parametrize("following", [series([1, 2], start=9), series([0, 0], start=1)])
def test_windows_without_a_common_measurement_are_refused(following: Series) -> None:
    with pytest.raises(ValueError, match="share no point"):
        stitch(series([1, 2, 3]), following)


def test_series_must_have_rising_times_and_a_value_for_each() -> None:
    with pytest.raises(ValueError, match="rise"):
        Series(np.array([2, 2]), np.array([1.0, 1.0]))
    with pytest.raises(ValueError, match="as many values"):
        Series(np.array([1, 2]), np.array([1.0]))
