from __future__ import annotations

import json

import numpy as np
import pytest

from ml.evidence import calibration_picture, curves_picture, errors_picture, feature_statistics


def test_statistics_tell_what_is_missing_constant_and_far_out():
    import pandas as pd

    frame = pd.DataFrame(
        {
            "views": [1.0, 2.0, 3.0, np.nan],
            "language": ["en", "en", None, "de"],
            "empty": [np.nan] * 4,
            "is_short": [True, False, True, True],
        }
    )
    found = json.loads(feature_statistics(frame))
    assert found["views"] == {
        "rows": 4, "missing": 0.25, "distinct": 3, "mean": 2.0, "std": pytest.approx(0.816497),
        "min": 1.0, "p05": 1.1, "p50": 2.0, "p95": 2.9, "max": 3.0,
    }  # fmt: skip
    assert found["language"]["most_frequent"] == {"en": 2, "de": 1}
    assert found["empty"] == {"rows": 4, "missing": 1.0, "distinct": 0}
    assert found["is_short"]["mean"] == 0.75


def test_pictures_are_the_same_for_the_same_numbers():
    def drawn() -> list[str]:
        return [
            calibration_picture([(0.1, 0.2, 30), (0.9, 0.8, 70)]),
            errors_picture(np.linspace(-1, 1, 50), "ln ratio"),
            curves_picture({"training": [0.6, 0.4], "validation": [0.7, 0.6]}, "trees", "loss"),
        ]

    first = drawn()
    assert all("<svg" in picture for picture in first)
    assert drawn() == first
