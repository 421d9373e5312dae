from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.exceptions import FatalError, MissingFeatureError
from ml.trend.video.dataset import (
    check_required,
    frame_digest,
    load_params,
    own_observation,
    split_in_time,
)

PARAMS = load_params()


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), days=st.integers(30, 90))
def test_no_label_of_one_part_reaches_into_a_later_part(labelled_rows, seed, days):
    split = split_in_time(labelled_rows(400, seed, days), PARAMS)
    parts = (split.train, split.validation, split.test)
    for earlier, later in itertools.pairwise(parts):
        assert earlier["label_known_at"].max() < later["event_timestamp"].min()
    assert set(split.test["entity_day"]) == set(split.validation["entity_day"]) == {1}


def test_threshold_is_the_median_of_first_predictions_in_training(labelled_rows):
    split = split_in_time(labelled_rows(400), PARAMS)
    first = split.train[split.train["entity_day"] == 1]
    assert split.growth_threshold == pytest.approx(first["growth_48h"].median())


def test_too_few_rows_are_refused_with_the_number_needed(labelled_rows):
    with pytest.raises(FatalError, match="at least 20 rows"):
        split_in_time(labelled_rows(30), PARAMS)


def test_row_with_an_older_days_features_is_left_out(labelled_rows):
    frame = labelled_rows(20)
    frame.loc[0, "day_number"] = frame.loc[0, "entity_day"] - 1
    assert len(own_observation(frame)) == len(frame) - 1


def test_missing_required_feature_raises_with_its_name(labelled_rows, required):
    frame = labelled_rows(20)
    check_required(frame, required)
    frame.loc[3, "views"] = None
    with pytest.raises(MissingFeatureError, match="views"):
        check_required(frame, required)


def test_digest_changes_with_one_value(labelled_rows):
    frame = labelled_rows(20)
    changed = frame.copy()
    changed.loc[7, "views"] += 1
    assert frame_digest(frame) == frame_digest(frame.copy())
    assert frame_digest(frame) != frame_digest(changed)
