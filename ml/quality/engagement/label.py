"""The label: how far a video's engagement is above or below what is usual for its channel.

Of each video the logarithms of likes per view, comments per view and, where known, the share that
is watched. Each is regressed on the age of the video and on age times channel size, within channels
(an intercept a channel, so that its size and public are taken out whole), on training rows only.
The residuals, minus their mean in the channel, in standard deviations of the training rows, are
averaged over the measures that are known.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ml.exceptions import TooFewRowsError

if TYPE_CHECKING:
    import pandas as pd

Array = npt.NDArray[np.float64]

MEASURES = ("likes", "comments", "retention")
# A rate from a handful of counts is mostly chance.
_MIN_COUNT = 5
_MIN_KNOWN = 100


@dataclass(frozen=True)
class Controls:
    """Fitted regressions, one a measure that enough training rows have.

    Attributes:
        slopes: of ln age, its square, its cube, and ln age times channel size.
        spreads: standard deviation of the training residuals.
    """

    slopes: dict[str, tuple[float, ...]]
    spreads: dict[str, float]


@dataclass(frozen=True)
class Parts:
    """Rows to learn from and rows of other channels that were published after the last was known.

    Attributes:
        train: labelled rows.
        test: labelled rows.
        start: publication from which the test rows are.
        controls: of the label, fitted on `train`.
    """

    train: pd.DataFrame
    test: pd.DataFrame
    start: Any
    controls: Controls


def split(rows: pd.DataFrame, params: dict[str, Any], seed: int) -> Parts:
    """Cut by time and by channel, and label both sides.

    Args:
        rows: videos, see `ml.quality.engagement.dataset.COLUMNS`.
        params: `test_share` of the publications is late, one of `channel_folds` channels is held
            out; channels with fewer than `min_videos` on a side are left out of it.
        seed: draws the channels.

    Raises:
        TooFewRowsError: if a side has fewer than `min_part` rows.
    """
    start = rows["published_at"].quantile(1 - params["test_share"], interpolation="nearest")
    held = held_out(rows["channel"], params["channel_folds"], seed)
    train = _whole(rows[~held & (rows["known_at"] < start)], params["min_videos"])
    test = _whole(rows[held & (rows["published_at"] >= start)], params["min_videos"])
    for name, part in (("training", train), ("test", test)):
        if len(part) < params["min_part"]:
            raise TooFewRowsError(
                f"the {name} part has {len(part)} videos of channels with {params['min_videos']} or"
                f" more; it needs {params['min_part']}: ingest more days or countries"
            )
    controls = fit_controls(train)
    return Parts(
        train.assign(label=residual(train, controls)),
        test.assign(label=residual(test, controls)),
        start,
        controls,
    )


def held_out(channels: pd.Series, folds: int, seed: int) -> npt.NDArray[np.bool_]:
    """Which rows are of a held-out channel: by a hash, so that more data moves no channel."""
    chosen = {
        channel: int(hashlib.sha256(f"{seed} {channel}".encode()).hexdigest(), 16) % folds == 0
        for channel in channels.unique()
    }
    return np.asarray(channels.map(chosen), dtype=bool)


def fit_controls(rows: pd.DataFrame) -> Controls:
    """Regress each measure on age and age times size, within channels (least squares)."""
    slopes, spreads = {}, {}
    for name, values in measures(rows).items():
        known = np.isfinite(values)
        if known.sum() < _MIN_KNOWN:
            continue
        channels = rows["channel"].to_numpy()[known]
        inputs = _within(_controls(rows)[known], channels)
        outputs = _within(values[known].reshape(-1, 1), channels)[:, 0]
        found = np.linalg.lstsq(inputs, outputs, rcond=None)[0]
        slopes[name] = tuple(map(float, found))
        spreads[name] = float(np.std(outputs - inputs @ found)) + 1e-12
    return Controls(slopes, spreads)


def residual(rows: pd.DataFrame, controls: Controls) -> Array:
    """The label of each row, shape (n,), in standard deviations of the training rows."""
    total, count = np.zeros(len(rows)), np.zeros(len(rows))
    channels, known_measures = rows["channel"].to_numpy(), measures(rows)
    for name, slopes in controls.slopes.items():
        values = known_measures[name] - _controls(rows) @ np.array(slopes)
        known = np.isfinite(values)
        if known.any():
            within = _within(values[known].reshape(-1, 1), channels[known])[:, 0]
            total[known] += within / controls.spreads[name]
            count[known] += 1
    return np.asarray(total / np.maximum(count, 1))


def measures(rows: pd.DataFrame) -> dict[str, Array]:
    """Logarithms of likes and comments per view and of retention, NaN where not known."""
    views = rows["views"].to_numpy(dtype=float)
    counts = {name: rows[name].to_numpy(dtype=float) for name in ("likes", "comments")}
    found = {}
    with np.errstate(divide="ignore", invalid="ignore"):
        for name, count in counts.items():
            found[name] = np.where(count >= _MIN_COUNT, np.log(count / views), np.nan)
        kept = rows["retention"].to_numpy(dtype=float)
        found["retention"] = np.where(kept > 0, np.log(kept), np.nan)
    return {name: found[name] for name in MEASURES}


def channel_size(rows: pd.DataFrame) -> Array:
    """Median ln views of the channel's videos among these rows: nobody tells subscribers."""
    views = np.log(rows["views"].clip(lower=1).astype(float))
    return np.asarray(views.groupby(rows["channel"].to_numpy()).transform("median"))


def _controls(rows: pd.DataFrame) -> Array:
    age = np.log(rows["age_hours"].to_numpy(dtype=float))
    return np.column_stack([age, age**2, age**3, age * channel_size(rows)])


def _within(values: Array, channels: npt.NDArray[Any]) -> Array:
    """Values minus their mean in the channel."""
    import pandas as pd

    frame = pd.DataFrame(values)
    return np.asarray(values - frame.groupby(channels).transform("mean").to_numpy())


def _whole(rows: pd.DataFrame, at_least: int) -> pd.DataFrame:
    counts = rows.groupby("channel")["channel"].transform("size")
    return rows[counts >= at_least].reset_index(drop=True)
