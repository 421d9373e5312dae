from __future__ import annotations

import numpy as np
import pytest

from ml.measures import (
    binary_measures,
    calibration_table,
    draw_calibration,
    expected_calibration_error,
    growth_measures,
)


def test_calibration_error_of_a_known_case():
    outcome = np.array([1, 0, 0, 0, 1, 1, 1, 1])
    probability = np.array([0.05] * 4 + [0.95] * 4)
    # first bin: |0.25 - 0.05|, last: |1 - 0.95|, half of the rows each
    assert expected_calibration_error(outcome, probability) == pytest.approx(0.125)


def test_calibrated_forecasts_have_no_error():
    random = np.random.default_rng(0)
    probability = random.uniform(size=200_000)
    outcome = (random.uniform(size=200_000) < probability).astype(int)
    assert expected_calibration_error(outcome, probability) < 0.01
    assert expected_calibration_error(outcome, 1 - probability) > 0.4


def test_table_counts_every_row():
    table = calibration_table(np.array([0, 1, 1]), np.array([0.0, 0.55, 1.0]))
    assert [rows for _, _, rows in table] == [1, 1, 1]


def test_perfect_forecast_has_perfect_measures():
    outcome = np.array([0, 1, 0, 1])
    figures = binary_measures(outcome, outcome.astype(float), outcome.astype(bool))
    assert (figures["accuracy"], figures["auc"], figures["brier"], figures["ece"]) == (1, 1, 0, 0)


def test_growth_is_measured_as_ratios_and_ranks():
    actual = np.log([1.0, 2.0, 4.0])
    assert growth_measures(actual, actual) == {
        "mrse": 0.0, "median_abs_log_error": 0.0, "spearman": pytest.approx(1.0)
    }  # fmt: skip
    constant = growth_measures(np.zeros(3), actual)
    # (1/1 - 1)^2, (1/2 - 1)^2, (1/4 - 1)^2
    assert constant["mrse"] == pytest.approx((0 + 0.25 + 0.5625) / 3)
    assert constant["spearman"] == 0.0


def test_calibration_is_drawn_into_a_file(tmp_path):
    picture = tmp_path / "calibration.png"
    draw_calibration({"rising": [(0.1, 0.2, 50), (0.9, 0.8, 150)]}, picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="not supported"):
        draw_calibration({"rising": [(0.1, 0.2, 50)]}, tmp_path / "calibration.exe")
