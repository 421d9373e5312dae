from __future__ import annotations

import numpy as np
import pytest

from ml.exceptions import TooFewRowsError
from ml.trend.topic.unseen import measure_files


def listing(path, panel, days: int):
    """A GitHub list in which each series is a language, as often as it has volume."""
    import pandas as pd

    first = np.datetime64(panel.start, "D")
    rows = [
        (str(first + day), n, f"{name}/r{n}", name, "")
        for day in range(days)
        for name, values in zip(panel.names, panel.values, strict=True)
        for n in range(int(values[day]))
    ]
    table = pd.DataFrame(rows, columns=["date", "position", "repo", "lang", "desc"])
    table.to_csv(path, index=False)
    return path


def test_files_are_forecast_from_rolling_origins_beside_all_baselines(
    fitted, panel, quick, tmp_path
):
    found = measure_files(fitted.model, [listing(tmp_path / "g.csv", panel, 90)], quick)
    assert found.rows == quick["test_folds"] * len(panel.names)
    # The last origin has a week after it, the others are a week apart.
    apart = np.datetime64(found.last) - np.datetime64(found.first)
    assert apart.astype(int) == 7 * (quick["test_folds"] - 1)
    assert np.datetime64(found.last) == np.datetime64(panel.start + 89 - 7, "D")
    assert set(found.figures["baselines"]) == set(quick["baselines"])
    assert found.figures["smape_48h"] < found.figures["baselines"]["seasonal_naive"]["smape_48h"]


def test_too_few_days_are_refused_with_the_number_needed(fitted, panel, quick, tmp_path):
    with pytest.raises(TooFewRowsError, match="need 35 days, the files have 20"):
        measure_files(fitted.model, [listing(tmp_path / "g.csv", panel, 20)], quick)
