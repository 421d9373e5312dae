"""How the champion does on videos whose outcome has just arrived, as a whole and by slice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg

from ml.measures import binary_measures
from ml.monitoring.windows import Windows, create_watched, sample
from ml.registry.releases import Release
from ml.settings import Settings
from ml.trend.video.dataset import bounds, labels, load_params
from ml.trend.video.matrix import model_input

if TYPE_CHECKING:
    import pandas as pd

# Two days for an outcome to arrive, two more for observations that came late.
_REACH = timedelta(days=4)
_MIN_ROWS = 30
_MOST_ROWS = 20_000
_LARGEST = 6
# Accuracy may fall by that many points below its test figure; chance alone may not explain it.
DECAY = 0.05
_ALPHA = 0.05


@dataclass(frozen=True)
class Performance:
    """Measures of `ml.measures.binary_measures`.

    Attributes:
        overall: empty where there are too few outcomes.
        slices: by name and value of the slice; small ones are left out.
        has_decayed: whether accuracy has fallen significantly, and by more than `DECAY`.
    """

    overall: Mapping[str, float]
    slices: Mapping[tuple[str, str], Mapping[str, float]]
    has_decayed: bool


def measure(
    conn: psycopg.Connection,
    model: Any,
    release: Release,
    window: tuple[datetime, datetime],
    settings: Settings,
) -> Performance:
    """Measure the champion on videos it was not trained on whose outcome arrived in the window.

    Args:
        conn: in a transaction.
        model: the loaded champion.
        release: its release.
        window: after its start, until its end.
        settings: where the labels are.
    """
    import json

    columns = tuple(model.metadata.get_input_schema().input_names())
    fresh = _fresh(conn, columns, release, window, settings)
    expected = json.loads(release.tags.get("metrics", "{}")).get("model", {}).get("accuracy")
    outcome = (fresh["growth_48h"] > float(release.tags["growth_threshold"])).to_numpy().astype(int)
    if len(fresh) < _MIN_ROWS or not 0 < outcome.sum() < len(fresh):
        return Performance({}, {}, has_decayed=False)
    forecast = model.predict(model_input(fresh, columns))
    probability = forecast["probability"].to_numpy()
    rising = forecast["rising"].to_numpy().astype(bool)
    overall = binary_measures(outcome, probability, rising)
    slices = {
        key: binary_measures(outcome[rows], probability[rows], rising[rows])
        for key, rows in _slices(fresh).items()
        if len(rows) >= _MIN_ROWS and 0 < outcome[rows].sum() < len(rows)
    }
    return Performance(overall, slices, has_decayed(overall, expected))


def has_decayed(overall: Mapping[str, float], expected: float | None) -> bool:
    """Whether accuracy is more than `DECAY` below what was expected, beyond chance."""
    from scipy.stats import binomtest  # type: ignore[import-untyped]

    if expected is None or not overall or overall["accuracy"] >= expected - DECAY:
        return False
    right = round(overall["accuracy"] * overall["rows"])
    p = binomtest(right, int(overall["rows"]), expected, alternative="less").pvalue
    return bool(p < _ALPHA)


def _fresh(
    conn: psycopg.Connection,
    columns: tuple[str, ...],
    release: Release,
    window: tuple[datetime, datetime],
    settings: Settings,
) -> pd.DataFrame:
    since, until = window[0] - _REACH, window[1]
    synthetic = release.tags["is_synthetic"] == "true"
    create_watched(conn, Windows(since, since, since, until), columns, synthetic=synthetic)
    frame = sample(conn, _MOST_ROWS)
    limits = bounds(until, {**load_params(), "max_day_number": 1}, settings, since=since)
    known = labels({**limits, "synthetic": synthetic}, settings)
    joined = frame.merge(known[known["entity_day"] == 1], on="video_id")
    trained_until = datetime.fromisoformat(release.tags["train_end"])
    return joined[
        (joined["label_known_at"] > window[0]) & (joined["event_timestamp"] > trained_until)
    ].reset_index(drop=True)


def _slices(frame: pd.DataFrame) -> dict[tuple[str, str], Any]:
    """Positions of the rows of each of the largest categories and languages."""
    found: dict[tuple[str, str], Any] = {}
    language = frame["language"].fillna("und").str.lower().str.split("-").str[0]
    category = frame["category_id"].astype("Int64").astype("string").fillna("none")
    for name, values in (("category", category), ("language", language)):
        for value in values.value_counts().head(_LARGEST).index:
            found[name, str(value)] = (values == value).to_numpy().nonzero()[0]
    return found
