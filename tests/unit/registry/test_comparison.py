"""The paired test, against figures that can be had in other ways."""

from __future__ import annotations

import numpy as np
import pytest

from ml.registry.validation.comparison import compare, justified_shift

RANDOM = np.random.default_rng(1)
LABELS = RANDOM.integers(0, 2, 400)
GOOD = LABELS + RANDOM.normal(size=400)
POOR = LABELS + 3 * RANDOM.normal(size=400)


def area(labels, score):
    from sklearn.metrics import roc_auc_score

    return roc_auc_score(labels, score)


def test_areas_are_those_of_the_library_with_ties_too():
    rounded = GOOD.round(0)
    found = compare(LABELS, rounded, POOR, 0.95)
    assert found.own == pytest.approx(area(LABELS, rounded))
    assert found.rival == pytest.approx(area(LABELS, POOR))


def test_a_clear_difference_is_sure_and_none_is_not():
    better = compare(LABELS, GOOD, POOR, 0.95)
    assert better.low > 0
    assert better.p_value < 0.001
    same = compare(LABELS, GOOD, GOOD, 0.95)
    assert (same.gain, same.low, same.high, same.p_value) == (0, 0, 0, 1)


def test_the_interval_agrees_with_the_bootstrap():
    found = compare(LABELS, GOOD, POOR, 0.95)
    gains = []
    for _ in range(400):
        rows = RANDOM.integers(0, 400, 400)
        gains.append(area(LABELS[rows], GOOD[rows])
                     - area(LABELS[rows], POOR[rows]))  # fmt: skip
    low, high = np.quantile(gains, [0.025, 0.975])
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.02)


def test_calls_are_compared_by_where_only_one_is_right():
    right = LABELS.astype(bool)
    found = compare(LABELS, GOOD, POOR, 0.95, (right, ~right))
    assert found.accuracy_p_value < 1e-6


def test_a_shift_is_justified_by_outcomes_alone():
    random = np.random.default_rng(2)
    truth = random.uniform(size=2000)
    came = (random.uniform(size=2000) < truth).astype(int)
    after_a_drift = 0.1 * truth
    assert justified_shift(came, truth, after_a_drift, 0.95) > 0.5
    # The same distance the other way, which nothing speaks for.
    assert justified_shift(came, after_a_drift, truth, 0.95) == 0
    assert justified_shift(came, truth, truth, 0.95) == 0
