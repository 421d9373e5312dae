from __future__ import annotations

import pytest

from ml.exceptions import TooFewRowsError
from ml.trend.video.backtest import backtest
from ml.trend.video.dataset import load_params

PARAMS = {**load_params(), "max_rounds": 20, "early_stopping_rounds": 5}


def test_each_fold_is_later_and_learns_only_from_what_came_before(labelled_rows):
    rows = labelled_rows(1500, days=120)
    found = backtest(rows, PARAMS)
    assert len(found) == 6
    assert list(found) == sorted(found)
    assert all(each["auc"] > 0.8 for each in found.values())
    # Folds do not overlap: together they are the last 60 % of first predictions.
    measured = sum(each["rows"] for each in found.values())
    assert measured == pytest.approx(0.6 * 1500, rel=0.08)
    # What comes after the first fold changes nothing of it.
    origin, second = list(found)[:2]
    later = rows["event_timestamp"] >= second
    shuffled = rows["growth_48h"].copy()
    shuffled[later] = shuffled[later].sample(frac=1, random_state=1).to_numpy()
    other = backtest(rows.assign(growth_48h=shuffled), PARAMS)
    assert other[origin] == pytest.approx(found[origin])
    assert other[second] != pytest.approx(found[second])


def test_fewer_folds_than_six_tell_nothing(labelled_rows):
    with pytest.raises(TooFewRowsError, match="at least 6 folds"):
        backtest(labelled_rows(300), PARAMS, folds=3)
