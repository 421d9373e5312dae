"""Scores on plain arrays are those of the model's own `predict`."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ml.exceptions import FatalError
from ml.serving.scoring import Scorer

COLUMNS = (
    "views",
    "log_views",
    "log_growth_1d",
    "like_growth_1d",
    "comment_growth_1d",
    "hours_since_previous",
    "age_hours",
    "lifetime_views_per_hour",
    "channel_median_log_views_before",
    "recent_to_lifetime",
    "made_for_kids",
    "language",
)
LANGUAGES = {"en": 0, "es": 1}


def frame(count, seed=5):
    import pandas as pd

    random = np.random.default_rng(seed)
    views = random.lognormal(8, 2, count)
    rows = pd.DataFrame({name: random.normal(0, 1, count) for name in COLUMNS[2:5]})
    rows = rows.assign(
        views=views,
        log_views=np.log(views),
        hours_since_previous=random.choice([24.0, 23.0, 0.5, np.nan], count),
        age_hours=random.uniform(0, 100, count),
        lifetime_views_per_hour=random.lognormal(3, 2, count),
        channel_median_log_views_before=random.choice([9.0, np.nan], count),
        recent_to_lifetime=random.normal(0, 1, count),
        made_for_kids=False,
        language=random.choice(["en-GB", "es", "xx", None], count),
    )
    return rows[list(COLUMNS)]


@pytest.fixture(scope="module")
def model():
    import xgboost

    from ml.trend.calibration import Calibrator
    from ml.trend.video.heads import HeadFacts
    from ml.trend.video.matrix import design_matrix
    from ml.trend.video.model import Specification, TrendModel

    rows = frame(400)
    matrix = design_matrix(rows, LANGUAGES, COLUMNS)
    growth = rows["log_growth_1d"].to_numpy()

    def trees(labels, objective, **options):
        data = xgboost.DMatrix(matrix, labels, **options)
        return xgboost.train({"objective": objective, "nthread": 1, "seed": 1}, data, 12)

    start = 0.3
    margin = np.full(len(rows), start)
    forests = {
        "breakout": trees(growth > 1, "binary:logistic"),
        "growth_48h": xgboost.train(
            {"objective": "reg:quantileerror", "quantile_alpha": [0.1, 0.5, 0.9], "nthread": 1},
            xgboost.DMatrix(matrix, growth),
            5,
        ),
        "growth_48h_point": trees(growth, "reg:squarederror", base_margin=margin),
    }
    facts = {
        "growth_48h": HeadFacts(start=start),
        "growth_7d": HeadFacts(reason="too few rows"),
        "breakout": HeadFacts(threshold=1.0, calibrator=Calibrator("platt", (0.8, -0.1))),
        "listed": HeadFacts(reason="too few rows"),
    }
    specification = Specification(
        feature_service="service",
        columns=COLUMNS,
        required=("views",),
        languages=LANGUAGES,
        growth_threshold=0.0,
        decision_threshold=0.5,
        calibrator=Calibrator("stacked", (0.9, 0.1, 0.4, -0.2, 0.3)),
        heads=facts,
    )
    return TrendModel(trees(growth > 0, "binary:logistic"), specification, forests)


def as_rows(rows):
    cells = rows.astype(object).where(rows.notna(), None)
    return cells.to_dict("records")


def test_every_number_is_the_models_own(model):
    rows = frame(64, seed=9)
    said, scores = model.predict(rows), Scorer(model)(as_rows(rows))
    assert np.allclose(said["probability"], [s.probability for s in scores], atol=1e-6)
    assert np.allclose(said["breakout_probability"], [s.breakout for s in scores], atol=1e-6)
    point = [score.growth["growth_48h"] for score in scores]
    assert np.allclose(said["growth_48h_point"], point, atol=1e-6)
    assert said["rising"].tolist() == [score.rising for score in scores]


def test_a_head_that_was_left_out_is_not_there(model):
    (score,) = Scorer(model)(as_rows(frame(1)))
    assert "growth_7d" not in score.growth


def test_signals_name_what_decides_and_their_shares_are_of_one(model):
    scores = Scorer(model)(as_rows(frame(50)))
    first = [score.signals[0] for score in scores if score.signals]
    assert {name for name, _, _ in first} & {"log_growth_1d", "linear_growth"}
    assert all(0 < sum(share for _, share, _ in s.signals) <= 1 + 1e-9 for s in scores if s.signals)


def test_a_model_that_says_something_else_is_refused(model, tmp_path):
    rows = frame(5)
    example = {"columns": list(rows), "data": rows.astype(object).where(rows.notna(), None)}
    example["data"] = example["data"].to_numpy().tolist()
    path = tmp_path / "input_example.json"
    path.write_text(json.dumps(example))
    scorer = Scorer(model)
    scorer.check(model, path)

    class Other:
        def predict(self, rows):
            return model.predict(rows).assign(probability=0.123)

    with pytest.raises(FatalError, match="probability differs"):
        scorer.check(Other(), path)


def test_a_model_of_other_columns_is_refused(model):
    from dataclasses import replace

    from ml.trend.video.model import TrendModel

    changed = replace(model.specification, columns=COLUMNS[1:])
    with pytest.raises(FatalError, match="other columns"):
        Scorer(TrendModel(model.booster, changed, model.forests))
