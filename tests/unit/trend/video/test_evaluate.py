from __future__ import annotations

import numpy as np
import pytest

from ml.trend.video.dataset import load_params, split_in_time
from ml.trend.video.evaluate import (
    baselines,
    best_threshold,
    calibration_table,
    expected_calibration_error,
    measure,
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


def test_best_threshold_separates_what_can_be_separated():
    score, outcome = np.array([0.1, 0.2, 0.6, 0.9]), np.array([0, 0, 1, 1])
    assert best_threshold(score, outcome) == pytest.approx(0.6)
    assert best_threshold(score, np.zeros(4, dtype=int)) > 0.9


def test_baselines_are_measured_on_the_same_rows(labelled_rows):
    split = split_in_time(labelled_rows(500), load_params())
    columns = tuple(c for c in split.train if c not in {
        "video_id", "event_timestamp", "entity_day", "label_known_at", "growth_48h", "day_number",
    })  # fmt: skip
    figures = baselines(split, columns, seed=42)
    assert {f["rows"] for f in figures.values()} == {float(len(split.test))}
    assert figures["always_up"]["auc"] == 0.5
    assert figures["linear_extrapolation"]["auc"] > 0.6


def test_perfect_forecast_has_perfect_measures():
    outcome = np.array([0, 1, 0, 1])
    figures = measure(outcome, outcome.astype(float), outcome.astype(bool))
    assert (figures["accuracy"], figures["auc"], figures["brier"], figures["ece"]) == (1, 1, 0, 0)
