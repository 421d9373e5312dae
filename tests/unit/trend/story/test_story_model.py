from __future__ import annotations

import numpy as np
import pytest

from ml.exceptions import MissingFeatureError
from ml.trend.story.dataset import has_reached, has_stayed, split_in_time
from ml.trend.story.evaluate import measure
from ml.trend.story.matrix import model_input
from ml.trend.story.model import StoryModel, fit, raw_probability
from tests.unit.trend.story.conftest import COLUMNS, PARAMS, REQUIRED


@pytest.fixture(scope="module")
def split(stories):
    return split_in_time(stories, PARAMS)


@pytest.fixture(scope="module")
def model(split):
    return fit(split, COLUMNS, PARAMS, REQUIRED)


def test_it_beats_the_plain_methods_and_is_calibrated(model, split):
    figures = measure(model, split.test)
    assert set(figures) == {
        "model", "base_rate", "upvotes_alone", "linear_extrapolation", "logistic_of_first_hour",
        "logistic_regression",
    }  # fmt: skip
    own = figures.pop("model")
    assert own["auc"] > max(each["auc"] for each in figures.values())
    assert own["ece"] < 0.1
    assert own["rows"] == has_stayed(split.test).sum() < own["served_rows"] == len(split.test)
    # The pace says more than the upvotes, and nothing says less than nothing.
    assert figures["linear_extrapolation"]["auc"] > figures["upvotes_alone"]["auc"] > 0.5
    assert figures["base_rate"]["auc"] == 0.5


def test_what_is_served_is_the_product_of_both(model, split):
    said = model.predict(split.test)
    nothing = model.predict(split.test.head(0))
    assert (len(nothing), list(nothing)) == (0, list(said))
    product = said["reach_probability"] * said["stay_probability"]
    assert said["probability"].to_numpy() == pytest.approx(product.to_numpy())
    assert said["stay_probability"].between(0, 1).all()
    assert said["stay_probability"].nunique() > 1
    assert (said["rising"] == (said["probability"] >= 0.5)).all()
    assert said["probability"].mean() == pytest.approx(has_reached(split.test).mean(), abs=0.06)


def test_where_nearly_all_stay_nothing_is_learned_of_it(make_stories):
    split = split_in_time(make_stories(900, vanishing=0.0), PARAMS)
    model = fit(split, COLUMNS, PARAMS, REQUIRED)
    assert set(model.forests) == {"reach"}
    assert (model.predict(split.test)["stay_probability"] == 1).all()


def test_same_data_and_seed_give_the_same_forecasts(model, split):
    again = fit(split, COLUMNS, PARAMS, REQUIRED)
    first, second = model.predict(split.test), again.predict(split.test)
    assert np.abs(first["probability"] - second["probability"]).max() < 1e-6


def test_saved_model_says_the_same(model, split, tmp_path):
    model.save(tmp_path)
    loaded = StoryModel.load(tmp_path)
    assert loaded.specification == model.specification
    assert loaded.baselines == model.baselines
    assert loaded.predict(split.test).equals(model.predict(split.test))
    assert measure(loaded, split.test) == measure(model, split.test)


def test_contributions_add_up_to_what_the_forest_says(model, split):
    import xgboost

    matrix, few = model.matrix(split.test), split.test.head(20)
    shares = model.contributions(split.test)
    bias = model.forests["reach"].predict(xgboost.DMatrix(matrix), pred_contribs=True)[:, -1]
    raw = raw_probability(model.forests["reach"], matrix)
    assert shares.sum(axis=1).to_numpy() + bias == pytest.approx(np.log(raw / (1 - raw)), abs=1e-3)
    for story, signals in zip(few.index, model.explain(few, top=3), strict=True):
        sizes = [abs(signal["contribution"]) for signal in signals]
        assert sizes == sorted(sizes, reverse=True)
        assert sizes[0] == pytest.approx(shares.loc[story].abs().max(), abs=1e-4)
        known = few.loc[story, signals[0]["feature"]]
        assert signals[0]["value"] == (None if known is None or known != known else known)


def test_age_that_means_two_things_is_not_seen(model, split):
    other = split.test.assign(age_h=-1000.0)
    assert model.predict(other).equals(model.predict(split.test))
    assert "age_h" not in model.matrix(split.test)


def test_missing_features_raise_unless_they_may(model, split):
    few = split.test.head(3)
    assert len(model.predict(few.assign(comments=None))) == 3
    with pytest.raises(MissingFeatureError, match="log_upvotes"):
        model.predict(few.assign(log_upvotes=None))
    with pytest.raises(MissingFeatureError, match="the input has no rank; use trend_story_v1"):
        model.predict(few.drop(columns="rank"))


def test_input_is_numbers_with_holes(stories):
    typed = model_input(stories, COLUMNS)
    assert set(map(str, typed.dtypes)) == {"float64"}
    assert typed["has_link"].isna().any()
