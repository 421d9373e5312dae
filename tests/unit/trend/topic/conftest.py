from __future__ import annotations

import numpy as np
import pytest

from ml.trend.topic.candidates import load_params
from ml.trend.topic.fitting import fit_and_measure
from ml.trend.topic.folds import plan_folds
from ml.trend.topic.series import Panel


@pytest.fixture(scope="session")
def panel() -> Panel:
    return waves()


def waves(series: int = 8, days: int = 110, seed: int = 3) -> Panel:
    """Counts around a level that wanders, with a weekly shape of each series' own."""
    random = np.random.default_rng(seed)
    level = np.exp(
        random.normal(2.2, 0.4, (series, 1)) + random.normal(0, 0.08, (series, days)).cumsum(axis=1)
    )
    week = 1 + 0.4 * np.sin(2 * np.pi * (np.arange(days) + random.integers(0, 7, (series, 1))) / 7)
    values = random.poisson(level * week).astype(float)
    known = np.broadcast_to(np.arange(days) + 20001.0, values.shape).copy()
    return Panel(tuple(f"t{n:02d}" for n in range(series)), values, known, 20000)


@pytest.fixture(scope="session")
def quick() -> dict:
    """Parameters of the repository with small methods, to save seconds."""
    params = load_params()
    params["methods"]["trees"]["rounds"] = 20
    params["methods"]["auto_ets"]["days"] = 28
    params["methods"]["lstm"] |= {"hidden": 4, "epochs": 1}
    params["methods"]["transformer"] |= {"hidden": 4, "epochs": 1}
    params["prophet_series"] = 1
    return params | {
        "min_windows": 20,
        "max_train_windows": 300,
        "validation_folds": 3,
        "test_folds": 6,
    }


@pytest.fixture(scope="session")
def folds(panel, quick):
    return plan_folds(panel, quick)


@pytest.fixture(scope="session")
def fitted(folds):
    return fit_and_measure(folds)
