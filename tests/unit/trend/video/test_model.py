from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest

from ml.exceptions import MissingFeatureError
from ml.measures import expected_calibration_error
from ml.trend.calibration import Calibrator, fit_calibrator, log_odds
from ml.trend.video import evaluate
from ml.trend.video.candidate import held_out
from ml.trend.video.dataset import load_params, split_in_time
from ml.trend.video.matrix import model_input
from ml.trend.video.model import TrendModel
from ml.trend.video.train import fit, with_baselines

PARAMS = {**load_params(), "max_rounds": 200, "early_stopping_rounds": 20}


@pytest.fixture(scope="module")
def rows(labelled_rows):
    return labelled_rows(900)


@pytest.fixture(scope="module")
def split(rows):
    return split_in_time(rows, PARAMS)


@pytest.fixture(scope="module")
def model(split, required):
    return fit(split, PARAMS, required)


def test_trees_beat_every_baseline_where_growth_depends_on_the_category(rows, model, split):
    model = with_baselines(model, rows, split, PARAMS)
    figures = evaluate.measure(model, held_out(rows, split))["rising"]
    assert figures.pop("model")["auc"] > max(rival["auc"] for rival in figures.values())


def test_groups_are_those_with_enough_rows_and_a_video_counts_in_each_country(model, split):
    import pandas as pd

    videos = split.train["video_id"].unique()
    shown = pd.DataFrame(
        [(video, country) for country in ("DE", "US") for video in videos] + [(videos[0], "FR")],
        columns=["video_id", "country"],
    )
    rows = pd.concat([split.train, split.test])
    found = evaluate.by_group(model, rows, shown)
    assert set(found["category"]) == {"10", "20"}
    assert sum(f["rows"] for f in found["category"].values()) == len(rows)
    assert "new" in found["channel"]
    assert found["language"]["en"]["rows"] > found["language"]["es"]["rows"]
    assert found["country"]["DE"] == found["country"]["US"]
    assert "FR" not in found["country"]
    assert "country" not in evaluate.by_group(model, rows)


def test_saved_model_predicts_the_same(model, split, tmp_path):
    model.save(tmp_path / "model")
    again = TrendModel.load(tmp_path / "model")
    assert np.array_equal(again.predict_proba(split.test), model.predict_proba(split.test))
    assert again.specification == model.specification


def test_same_seed_gives_the_same_model(model, split, required):
    again = fit(split, PARAMS, required)
    assert np.allclose(again.predict_proba(split.test), model.predict_proba(split.test), atol=1e-9)


def test_prediction_of_a_row_does_not_depend_on_the_others(model, split):
    alone = model.predict_proba(split.test.head(1))
    assert alone[0] == pytest.approx(model.predict_proba(split.test)[0], abs=1e-9)


def test_more_growth_so_far_means_a_higher_probability(model, split):
    rows = split.test.head(50)
    grown = rows.assign(log_growth_1d=2.0, like_growth_1d=2.0, comment_growth_1d=2.0)
    flat = rows.assign(log_growth_1d=0.0, like_growth_1d=0.0, comment_growth_1d=0.0)
    assert (model.predict_proba(grown) > model.predict_proba(flat)).all()


def test_missing_required_feature_raises(model, split):
    with pytest.raises(MissingFeatureError, match="views"):
        model.predict_proba(split.test.assign(views=np.nan))


def test_absent_column_raises(model, split):
    with pytest.raises(MissingFeatureError, match="title_chars"):
        model.predict_proba(split.test.drop(columns="title_chars"))


def test_undeclared_language_is_und_and_numbers_stay_missing(split):
    typed = model_input(split.test, ("language", "channel_median_log_views_before"))
    assert typed["language"].notna().all()
    assert "und" in set(typed["language"])
    assert typed["channel_median_log_views_before"].isna().any()


def test_calibration_mends_an_overconfident_forecast():
    random = np.random.default_rng(5)
    true = random.uniform(0.05, 0.95, size=4000)
    outcome = (random.uniform(size=4000) < true).astype(int)
    overconfident = 1 / (1 + np.exp(-3 * log_odds(true)))
    calibrator = fit_calibrator(overconfident, outcome, seed=1)
    before = expected_calibration_error(outcome, overconfident)
    after = expected_calibration_error(outcome, calibrator(overconfident))
    assert calibrator.kind in {"platt", "isotonic"}
    assert after < before / 3


def test_what_other_forecasts_know_beside_a_probability_is_used():
    random = np.random.default_rng(6)
    known, beside = random.normal(size=4000), random.normal(size=(4000, 1))
    true = 1 / (1 + np.exp(-known - beside[:, 0]))
    outcome = (random.uniform(size=4000) < true).astype(int)
    said = 1 / (1 + np.exp(-known))
    stacked = fit_calibrator(said, outcome, 1, beside)
    assert stacked.kind == "stacked"
    assert np.abs(stacked(said, beside) - true).mean() < 0.02
    with pytest.raises(ValueError, match="beside"):
        stacked(said)
    assert Calibrator.from_dict(asdict(stacked)) == stacked
    # What is only noise is left out.
    noise = random.normal(size=(4000, 1))
    plain = fit_calibrator(true, outcome, 1, noise)
    assert plain.kind in {"identity", "platt", "isotonic"}


@pytest.mark.parametrize(
    "calibrator",
    [
        Calibrator("identity"),
        Calibrator("platt", (1.5, 0.2)),
        Calibrator("isotonic", (0, 1), (0.1, 0.8)),
    ],
)
def test_calibration_keeps_order_and_range(calibrator):
    raw = np.linspace(0, 1, 101)
    calibrated = calibrator(raw)
    assert (np.diff(calibrated) >= 0).all()
    assert calibrated.min() >= 0
    assert calibrated.max() <= 1
