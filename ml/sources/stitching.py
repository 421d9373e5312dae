"""Joining windows of relative values into one series.

Google Trends gives every request a scale of its own: whole numbers, 100 at the highest point that
was asked for. Two windows that share some points measure those twice, so the ratio of the two
measurements is the ratio of the two scales, and a chain of overlapping windows is one series up to
a single factor (https://arxiv.org/abs/2007.13861 chains requests in this way and describes what
rounding does to small values; http://samanthamolnar.me/personal/2017/05/02/hacking-google-trends.html
does it over weeks of hours; both read 2026-11).

Each shared point gives one ratio, and the median is taken of those of the larger half of the
points: rounding blurs small values most, and a few points that have changed between two requests
(https://github.com/serpapi/public-roadmap/issues/1269) decide nothing. A 0 stands for "too little
to show" and not for a measurement, so it gives no ratio; stitched, it stays 0.

Sources never stitch: a page is parsed by itself, and its rows keep the values as they came. Who
reads the raw rows of kind `interest` of one keyword and region groups them by window, leaves out
those that are partial, and stitches the windows in the order of their start.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Series:
    """Values over time.

    Attributes:
        times: when, in any unit, rising.
        values: one for each time, none negative.
    """

    times: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.times.shape != self.values.shape or self.times.ndim != 1:
            raise ValueError("a series needs as many values as times")
        if np.any(np.diff(self.times) <= 0):
            raise ValueError("the times of a series must rise")


def scale(previous: Series, following: Series) -> float:
    """How much one unit of `following` is in units of `previous`.

    Raises:
        ValueError: if no time has a value above 0 in both.
    """
    _, mine, theirs = np.intersect1d(
        previous.times, following.times, assume_unique=True, return_indices=True
    )
    ours, others = previous.values[mine], following.values[theirs]
    measured = (ours > 0) & (others > 0)
    if not measured.any():
        raise ValueError("the windows share no point that both of them measure")
    # The product knows large from small whatever the two scales are.
    size = (ours * others)[measured]
    return float(np.median((ours[measured] / others[measured])[size >= np.median(size)]))


def stitch(previous: Series, following: Series) -> Series:
    """One series in the scale of `previous`, which also decides where both have a value.

    Raises:
        ValueError: if the windows share no point that both of them measure.
    """
    factor = scale(previous, following)
    new = ~np.isin(following.times, previous.times, assume_unique=True)
    times = np.concatenate([previous.times, following.times[new]])
    values = np.concatenate([previous.values, following.values[new] * factor])
    order = np.argsort(times)
    return Series(times[order], values[order])


def stitch_all(windows: Iterable[Series]) -> Series:
    """All windows as one series in the scale of the first.

    Args:
        windows: at least one, each sharing points with those before it.

    Raises:
        ValueError: if one of them does not.
    """
    return reduce(stitch, windows)
