from __future__ import annotations

import pytest

from ml.trend.video.dataset import load_params, split_in_time
from ml.trend.video.search import search

PARAMS = {**load_params(), "max_rounds": 40, "early_stopping_rounds": 10}


def test_search_goes_on_where_it_was_and_finds_nothing_worse(labelled_rows, tmp_path):
    from optuna import load_study
    from optuna.storages import RDBStorage

    split = split_in_time(labelled_rows(500), PARAMS)
    lines: list[str] = []

    def more(digest: str = "rows"):
        storage = RDBStorage(f"sqlite:///{tmp_path}/studies.db")
        return search(split, PARAMS, digest, storage, trials=3, progress=lines.append)

    first, second = more(), more()
    assert (first.trials, second.trials) == (3, 6)
    assert second.study == first.study
    assert second.kept_loss == first.kept_loss
    assert second.loss <= first.loss <= first.kept_loss
    assert len(lines) == 6
    assert {**second.params, "xgboost": PARAMS["xgboost"]} == PARAMS
    assert second.params["xgboost"]["nthread"] == PARAMS["xgboost"]["nthread"]
    # Other rows are another study.
    assert more("others").study != first.study
    study = load_study(study_name=first.study, storage=f"sqlite:///{tmp_path}/studies.db")
    assert study.trials[0].params["max_depth"] == PARAMS["xgboost"]["max_depth"]
    assert study.best_value == pytest.approx(second.loss)
