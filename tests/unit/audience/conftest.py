from __future__ import annotations

import numpy as np
import pytest

from ml.audience.interactions import interactions


@pytest.fixture(scope="session")
def tastes():
    return _tastes


def _tastes(users=60, items=40, ordered=True, seed=5):
    """Users of two tastes who each walk along the items of their taste, with a few strays."""
    import pandas as pd

    random = np.random.default_rng(seed)
    rows = []
    for number in range(users):
        taste = number % 2
        start = int(random.integers(0, items // 2))
        for step in range(int(random.integers(6, 12))):
            stray = random.random() < 0.1
            place = int(random.integers(0, items)) if stray else 2 * ((start + step) % (items // 2))
            item = place if stray else place + taste
            rows.append((f"u{number:03d}", f"i{item:03d}", float(step)))
    frame = pd.DataFrame(rows, columns=["user", "item", "time"])
    return interactions(frame if ordered else frame[["user", "item"]])
