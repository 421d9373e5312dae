from __future__ import annotations

import pytest

from ml.exceptions import FatalError
from ml.monitoring import drift


def _metric(column, method, value, threshold):
    kind = "evidently:metric_v2:ValueDrift"
    config = {"type": kind, "column": column, "method": method, "threshold": threshold}
    return {"metric_name": f"ValueDrift({column})", "config": config, "value": value}


def test_distances_drift_above_and_p_values_below_their_threshold():
    scores = drift._scores(
        {
            "metrics": [
                {"metric_name": "DriftedColumnsCount", "config": {}, "value": {"count": 2}},
                _metric("a", "Wasserstein distance (normed)", 0.2, 0.1),
                _metric("b", "Wasserstein distance (normed)", 0.05, 0.1),
                _metric("c", "K-S p_value", 0.001, 0.05),
                _metric("d", "chi-square p_value", 0.4, 0.05),
            ]
        }
    )
    assert {name: score["drifted"] for name, score in scores.items()} == {
        "a": True,
        "b": False,
        "c": True,
        "d": False,
    }


def test_unknown_report_format_is_an_error_and_not_a_stable_verdict():
    with pytest.raises(FatalError, match="format"):
        drift._scores({"metrics": []})


def test_evidently_calls_a_shift_and_leaves_the_same_distribution_alone():
    import numpy as np
    import pandas as pd

    random = np.random.default_rng(2)

    def frame(shift):
        return pd.DataFrame(
            {
                "log_growth_1d": random.normal(shift, 1, 1500),
                "log_views": random.normal(10, 1, 1500),
                "language": random.choice(["en", "es"], 1500),
            }
        )

    scores, html = drift._compare(frame(0.0), frame(1.0))
    assert {name for name, score in scores.items() if score["drifted"]} == {"log_growth_1d"}
    assert set(scores) == {"log_growth_1d", "log_views", "language"}
    assert b"log_growth_1d" in html


def test_rare_languages_are_one_category_and_empty_columns_go():
    import pandas as pd

    names = [f"l{number}" for number in range(20)]
    reference = pd.DataFrame({"language": names * 2 + ["l0"], "likes": [None] * 41})
    left, right = drift._comparable(reference, reference.copy())
    assert list(left) == ["language"]
    assert right["language"].nunique() == 16
