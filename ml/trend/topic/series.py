"""Volumes of many series on one calendar, and windows of them as they were known at a moment."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

Array = npt.NDArray[np.float64]
Steps = npt.NDArray[np.int64]

# A topic rises when its next 48 hours are above this quantile of its own trailing 28 days.
RISE_QUANTILE, RISE_DAYS, RISE_HOURS = 0.8, 28, 48
WEEK = 7


@dataclass(frozen=True)
class Panel:
    """Volumes by series and step.

    Attributes:
        names: the series.
        values: shape (series, steps); NaN where nobody knew, or the source was not read.
        known: when each value could be known, in steps since 1970; same shape.
        start: the first step, since 1970 (days or hours).
        steps_per_day: 1 or 24.
    """

    names: tuple[str, ...]
    values: Array
    known: Array
    start: int
    steps_per_day: int = 1

    @property
    def steps(self) -> int:
        """Steps that it covers."""
        return int(self.values.shape[1])

    @property
    def horizon(self) -> int:
        """Steps of 7 days."""
        return WEEK * self.steps_per_day

    def digest(self) -> str:
        """Sha256 of the values and their names."""
        head = f"{self.start} {self.steps_per_day} {'|'.join(self.names)}".encode()
        return hashlib.sha256(head + np.ascontiguousarray(self.values).tobytes()).hexdigest()


@dataclass(frozen=True)
class Windows:
    """What was known of some series at some moments.

    Attributes:
        history: shape (windows, steps), the last column is the last known step; NaN before the
            series was read.
        origin: the last known step of each window, since 1970.
        series: which series of the panel each window is of.
        future: shape (windows, horizon), NaN where it is not known; None where it lies ahead.
        steps_per_day: 1 or 24.
    """

    history: Array
    origin: Steps
    series: Steps
    future: Array | None
    steps_per_day: int = 1

    def __len__(self) -> int:
        return len(self.history)

    @property
    def horizon(self) -> int:
        """Steps of 7 days."""
        return WEEK * self.steps_per_day

    def outcome(self) -> Array:
        """The future.

        Raises:
            ValueError: if it is not known.
        """
        if self.future is None:
            raise ValueError("these windows have no future")
        return self.future

    def only(self, rows: Any) -> Windows:
        """Those rows, given by a mask or by indices."""
        future = None if self.future is None else self.future[rows]
        return Windows(
            self.history[rows], self.origin[rows], self.series[rows], future, self.steps_per_day
        )

    def recent(self, days: int) -> Array:
        """The last days of the histories; where nobody knows, the mean of what is known."""
        part = self.history[:, -days * self.steps_per_day :]
        with np.errstate(invalid="ignore"):
            known = np.where(np.isnan(part), 0, part).sum(axis=1) / np.maximum(
                (~np.isnan(part)).sum(axis=1), 1
            )
        return np.where(np.isnan(part), known[:, None], part)

    def scale(self) -> Array:
        """Mean absolute change from a week before, over 8 weeks: what MASE divides by."""
        part = self.history[:, -8 * self.horizon :]
        moved = np.abs(part[:, self.horizon :] - part[:, : -self.horizon])
        known = ~np.isnan(moved)
        return np.asarray(np.where(known, moved, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1))

    def rise_threshold(self) -> Array:
        """80 % quantile of the volumes of 48 hours in the trailing 28 days."""
        span = RISE_HOURS * self.steps_per_day // 24
        sums = np.cumsum(np.pad(self.recent(RISE_DAYS), ((0, 0), (1, 0))), axis=1)
        return np.asarray(np.quantile(sums[:, span:] - sums[:, :-span], RISE_QUANTILE, axis=1))

    def rises(self) -> Array:
        """1 where the next 48 hours are above the threshold, else 0; NaN where not known.

        Raises:
            ValueError: if the future is not known.
        """
        total = self.outcome()[:, : RISE_HOURS * self.steps_per_day // 24].sum(axis=1)
        return np.where(np.isnan(total), np.nan, (total > self.rise_threshold()).astype(float))


def build_panel(rows: pd.DataFrame, steps_per_day: int = 1) -> Panel:
    """Put counts on one calendar.

    A step on which a source showed nothing of a series is a 0, where the source was read at all;
    otherwise it is unknown. A value that is not known (NaN) hides those after it.

    Args:
        rows: columns `source`, `series`, `at` (start of the UTC day or hour), `volume` and, where
            it matters, `known_at`.
        steps_per_day: 1 for days, 24 for hours.
    """
    import pandas as pd

    nanoseconds = 86_400_000_000_000 // steps_per_day
    step = _since_1970(rows["at"]) // nanoseconds
    start, names = int(step.min()), sorted(rows["series"].unique())
    place = pd.Series(range(len(names)), index=names)
    shape = (len(names), int(step.max()) - start + 1)
    known = np.broadcast_to(np.arange(shape[1]) + start + 1.0, shape).copy()
    values = np.full(shape, np.nan)
    for source, at in step.groupby(rows["source"]):
        own = place[rows.loc[rows["source"] == source, "series"].unique()].to_numpy()
        values[np.ix_(own, np.unique(at) - start)] = 0.0
    where = (place[rows["series"]].to_numpy(), (step - start).to_numpy())
    values[where] = rows["volume"].to_numpy(dtype=float)
    if "known_at" in rows:
        moments = _since_1970(rows["known_at"]).to_numpy() / nanoseconds
        known[where] = np.maximum(known[where], moments)
    hidden = np.zeros(shape, dtype=bool)
    hidden[where] = np.isnan(values[where])
    values[np.maximum.accumulate(hidden, axis=1)] = np.nan
    return Panel(tuple(names), values, known, start, steps_per_day)


def windows_at(
    panel: Panel,
    origins: Sequence[int],
    *,
    length: int,
    min_recent: float,
    max_series: int | None = None,
    thin: int = 1,
    grace_days: float = 1.0,
) -> Windows:
    """What was known at these steps of every series that had enough volume.

    A series is left out of an origin where a value of its last 28 days came to be known later than
    the grace allows, or where more than a fifth of them is unknown.

    Args:
        panel: the series.
        origins: last known steps, as places in the panel.
        length: steps of history.
        min_recent: least volume in the last 28 days.
        max_series: only those with most volume then; all by default.
        thin: only every so many series, others at each origin.
        grace_days: how long after the origin the forecast is made.
    """
    trailing = RISE_DAYS * panel.steps_per_day
    padded = np.pad(panel.values, ((0, 0), (length, 0)), constant_values=np.nan)
    ahead = np.pad(panel.values, ((0, 0), (0, panel.horizon)), constant_values=np.nan)
    parts = []
    for origin in origins:
        recent = panel.values[:, max(0, origin + 1 - trailing) : origin + 1]
        known = panel.known[:, max(0, origin + 1 - trailing) : origin + 1].max(axis=1)
        volume = np.nansum(recent, axis=1)
        fit = (
            (np.isnan(recent).sum(axis=1) <= 0.2 * trailing + (recent.shape[1] < trailing))
            & ~np.isnan(recent[:, -1])
            & (recent.shape[1] >= trailing)
            & (known <= panel.start + origin + 1 + grace_days * panel.steps_per_day)
            & (volume >= min_recent)
        )
        chosen = np.flatnonzero(fit)
        if max_series is not None and len(chosen) > max_series:
            chosen = np.sort(chosen[np.argsort(-volume[chosen], kind="stable")[:max_series]])
        chosen = chosen[origin % thin :: thin]
        history = padded[chosen, origin + 1 : origin + 1 + length]
        future = ahead[chosen, origin + 1 : origin + 1 + panel.horizon]
        parts.append((history, np.full(len(chosen), panel.start + origin), chosen, future))
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return Windows(columns[0], columns[1], columns[2], columns[3], panel.steps_per_day)


def _since_1970(times: pd.Series) -> pd.Series:
    import pandas as pd

    moments = pd.to_datetime(times, utc=True).dt.as_unit("ns")
    return moments.astype("int64")
