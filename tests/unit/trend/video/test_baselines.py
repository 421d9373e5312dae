from __future__ import annotations

import numpy as np
import pytest

from ml.trend.video.baselines import Baselines, Logistic, best_threshold
from ml.trend.video.dataset import load_params, split_in_time
from ml.trend.video.heads import HeadFacts

COLUMNS = (
    "views", "log_views", "log_growth_1d", "like_growth_1d", "comment_growth_1d",
    "hours_since_previous", "age_hours", "lifetime_views_per_hour",
    "channel_median_log_views_before", "category_id", "language", "title_chars",
)  # fmt: skip


@pytest.fixture(scope="module")
def rows(labelled_rows):
    frame = labelled_rows(600)
    growing = frame["log_growth_1d"] > frame["log_growth_1d"].median()
    return frame.assign(growth_7d=2 * frame["growth_48h"], listed=growing.astype(float))


@pytest.fixture(scope="module")
def split(rows):
    return split_in_time(rows, load_params())


@pytest.fixture(scope="module")
def fitted(rows, split):
    heads = {"breakout": HeadFacts(threshold=0.8), "listed": HeadFacts(threshold=0.5)}
    return Baselines.fit(split, rows, heads, COLUMNS, seed=42)


def test_best_threshold_separates_what_can_be_separated():
    score, outcome = np.array([0.1, 0.2, 0.6, 0.9]), np.array([0, 0, 1, 1])
    assert best_threshold(score, outcome) == pytest.approx(0.6)
    assert best_threshold(score, np.zeros(4, dtype=int)) > 0.9


def test_every_method_is_measured_on_the_same_rows(fitted, split):
    outcome = split.rising(split.test)
    figures = fitted.measure_rising(split.test, outcome, split.growth_threshold)
    assert {f["rows"] for f in figures.values()} == {float(len(split.test))}
    assert figures["always_up"]["auc"] == 0.5
    assert figures["linear_extrapolation"]["auc"] > 0.6


def test_forecasts_beat_persistence_where_views_grow(fitted, split):
    for name, actual in (("growth_48h", 1.0), ("growth_7d", 2.0)):
        grown = actual * split.test["growth_48h"].to_numpy()
        figures = fitted.measure_growth(split.test, grown, name)
        error = {name: each["median_abs_log_error"] for name, each in figures.items()}
        assert error["log_linear"] < error["persistence"]
        assert figures["szabo_huberman"]["spearman"] == 0.0


def test_events_are_ordered_by_what_causes_them(fitted, split):
    outcome = split.test["listed"].to_numpy().astype(int)
    figures = fitted.measure_event(split.test, outcome, "listed")
    assert figures["linear_extrapolation"]["auc"] > 0.99
    assert figures["logistic_regression"]["auc"] > 0.9


def test_saved_methods_say_the_same(fitted, split, tmp_path):
    fitted.save(tmp_path)
    again = Baselines.load(tmp_path)
    assert again == fitted
    assert Baselines.load(tmp_path / "elsewhere") is None


def test_logistic_regression_in_plain_numbers_is_that_of_the_library():
    import pandas as pd
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    random = np.random.default_rng(0)
    matrix = pd.DataFrame(random.normal(size=(300, 3)), columns=list("abc"))
    matrix = matrix.mask(random.uniform(size=matrix.shape) < 0.2).assign(d=np.nan)
    outcome = (matrix["a"].fillna(0) > 0).to_numpy().astype(int)
    library = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
        StandardScaler(),
        LogisticRegression(max_iter=500, random_state=0),
    ).fit(matrix.to_numpy(), outcome)
    ours = Logistic.fit(matrix, outcome, seed=0)
    assert ours(matrix) == pytest.approx(library.predict_proba(matrix.to_numpy())[:, 1])
