"""Adapting a champion to a niche that it has not seen."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

from ml.exceptions import TooFewRowsError
from ml.registry.validation.comparison import compare
from ml.trend.video.dataset import load_params, split_in_time
from ml.trend.video.niche import _TREES, adapted, attempts, split_niche
from ml.trend.video.train import fit

PARAMS = {**load_params(), "max_rounds": 200, "early_stopping_rounds": 20}


@pytest.fixture(scope="module")
def general(labelled_rows, required):
    return fit(split_in_time(labelled_rows(900), PARAMS), PARAMS, required)


@pytest.fixture(scope="module")
def alike(labelled_rows):
    """Videos that grow as those of a known category do."""
    rows = labelled_rows(900, seed=8)
    return rows[rows["category_id"] == 10].assign(category_id=28).reset_index(drop=True)


@pytest.fixture(scope="module")
def different(alike):
    """Videos whose growth lasts only if the title is short."""
    lasts = np.where(alike["title_chars"] < 50, 1.0, 0.1)
    return alike.assign(growth_48h=alike["growth_48h"] * lasts)


def measured(general, rows, deadline=math.inf):
    split = split_niche(rows, general.specification.growth_threshold)
    tried = attempts(general, rows, split, PARAMS, deadline)
    model = adapted(general, tried[0], rows, split, PARAMS)
    own, other = (each.predict_proba(split.test) for each in (model, general))
    return tried, model, compare(split.rising(split.test), own, other, 0.95)


def test_further_trees_learn_what_is_different_and_surely_beat_the_champion(general, different):
    before = general.predict_proba(different)
    tried, model, gain = measured(general, different)
    assert len(tried) == len(_TREES) + 1
    assert tried[0].rounds > 0
    assert tried[0].loss < next(each.loss for each in tried if not each.rounds)
    assert gain.low > 0
    assert gain.own > gain.rival + 0.05
    # The champion, which may be serving, stays as it is; what its trees know is kept.
    assert np.array_equal(general.predict_proba(different), before)
    kept = general.booster.num_boosted_rounds()
    assert model.booster.num_boosted_rounds() > kept
    assert model.booster[:kept].get_dump() == general.booster.get_dump()
    assert model.specification.growth_threshold == general.specification.growth_threshold


def test_a_niche_that_is_like_the_others_is_no_sure_gain(general, alike):
    *_, gain = measured(general, alike)
    assert gain.low <= 0
    assert gain.rival > 0.85


def test_without_time_only_the_probability_is_calibrated_anew(general, different):
    [only], model, _ = measured(general, different, deadline=time.monotonic())
    assert (only.name, only.rounds) == ("recalibrated", 0)
    assert model.booster is general.booster
    assert model.specification.calibrator == only.calibrator


def test_what_rises_is_what_the_champion_says_and_both_kinds_are_needed(general, alike):
    threshold = general.specification.growth_threshold
    split = split_niche(alike, threshold)
    assert split.growth_threshold == threshold
    assert split.train["label_known_at"].max() < split.validation["event_timestamp"].min()
    assert split.validation["label_known_at"].max() < split.test["event_timestamp"].min()
    with pytest.raises(TooFewRowsError, match=r"0 rise by more than usual.*at least 10"):
        split_niche(alike, 50.0)
