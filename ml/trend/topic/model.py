"""`trend_topic`: a forecast of volumes with intervals, and the probability of a rise.

A model is a folder of JSON and plain arrays, so that loading one runs no code that came with it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ml.exceptions import TooFewRowsError
from ml.trend.topic.candidates import Part, combined, forecaster
from ml.trend.topic.choose import whole
from ml.trend.topic.evaluate import HORIZON_DAYS
from ml.trend.topic.plain import Arrays
from ml.trend.topic.rises import Rises
from ml.trend.topic.series import Array, Windows, build_panel, windows_at
from ml.trend.topic.trees import Trees, spread

if TYPE_CHECKING:
    import pandas as pd

_WIDTH = "width"


@dataclass(frozen=True)
class Interval:
    """How far beyond the forecast of a total the interval goes, in units of its width.

    Attributes:
        below: quantile of (forecast - actual) / width on validation.
        above: quantile of (actual - forecast) / width.
    """

    below: float
    above: float


@dataclass(frozen=True)
class Forecast:
    """What is said of windows.

    Attributes:
        volumes: whole items of each step, shape (windows, horizon).
        totals: by horizon the total, the lower and the upper bound, shape (windows, 3).
        rises: probability of a rise.
        threshold: volume of 48 hours above which it is one.
    """

    volumes: Array
    totals: dict[str, Array]
    rises: Array
    threshold: Array


class TopicModel:
    """Fitted methods with weights, a width for the intervals, and trees for rises.

    Attributes:
        parts: the methods; one alone is a model too.
        width: trees whose quantiles say how wide an interval is, relative to others.
        intervals: by horizon.
        rises: the probability of a rise.
        seed: of the methods.
        options: `min_recent`, `history_days` and `grace_days` of the parameters.
    """

    def __init__(
        self,
        parts: list[Part],
        width: Arrays,
        rises: Rises,
        intervals: dict[str, Interval],
        *,
        seed: int,
        options: dict[str, Any],
    ) -> None:
        self.parts = parts
        self.width = width
        self.rises = rises
        self.intervals = intervals
        self.seed = seed
        self.options = options

    def volumes(self, windows: Windows) -> Array:
        """The forecast before rounding, shape (windows, horizon)."""
        said = [
            forecaster(part.name, part.options, self.seed).forecast(part.arrays, windows)
            for part in self.parts
        ]
        weights = [part.weights for part in self.parts]
        return np.maximum(combined(said, weights, 2 * windows.steps_per_day), 0)

    def forecast(self, windows: Windows) -> Forecast:
        """Volumes, totals with their intervals and rises of these windows."""
        volumes = self.volumes(windows)
        widths = interval_widths(self.width, windows)
        totals = {}
        for name, days in HORIZON_DAYS.items():
            total = volumes[:, : days * windows.steps_per_day].sum(axis=1)
            interval = self.intervals[name]
            low = np.maximum(total - interval.below * widths[name], 0)
            high = np.maximum(total + interval.above * widths[name], low)
            totals[name] = np.column_stack([np.rint(total), low, high])
        probability = self.rises.probability(windows, volumes)
        return Forecast(whole(volumes), totals, probability, windows.rise_threshold())

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Forecast the series that had enough volume, after the last day in the frame.

        Args:
            frame: rows `source`, `series`, `at` (start of the UTC day), `volume` and, where it
                matters, `known_at`; volume is NaN where it was not known yet.

        Returns:
            By series: `last_day`, `volume_48h` and `volume_7d` with `_low` and `_high`, `day_1` to
            `day_7`, `rise_probability` and `rise_threshold`.

        Raises:
            TooFewRowsError: if no series had enough volume, or too little of each is known.
        """
        import pandas as pd

        if frame.empty:
            raise TooFewRowsError("there is no day of any series to forecast from")
        panel = build_panel(frame)
        windows = windows_at(
            panel,
            [panel.steps - 1],
            length=self.options["history_days"],
            min_recent=self.options["min_recent"],
            grace_days=self.options["grace_days"],
        )
        if not len(windows):
            raise TooFewRowsError(
                f"none of {len(panel.names)} series had a volume of {self.options['min_recent']:g}"
                " in its last 28 days with at most a fifth of them unknown"
            )
        said = self.forecast(windows)
        columns: dict[str, Any] = {
            "series": np.array(panel.names, dtype=object)[windows.series],
            "last_day": [str(np.datetime64(int(day), "D")) for day in windows.origin],
        }
        for name in HORIZON_DAYS:
            for place, bound in enumerate(("", "_low", "_high")):
                columns[f"volume_{name}{bound}"] = said.totals[name][:, place]
        for day in range(windows.horizon):
            columns[f"day_{day + 1}"] = said.volumes[:, day]
        columns |= {"rise_probability": said.rises, "rise_threshold": said.threshold}
        return pd.DataFrame(columns)

    def get_raw_model(self) -> TopicModel:
        """What MLflow's `PyFuncModel.get_raw_model` hands out."""
        return self

    def save(self, folder: Path) -> None:
        """Write the model as JSON and arrays."""
        folder.mkdir(parents=True, exist_ok=True)
        described = {
            "parts": [
                {"name": part.name, "options": dict(part.options), "weights": part.weights}
                for part in self.parts
            ],
            "intervals": {name: vars(interval) for name, interval in self.intervals.items()},
            "rise_blend": self.rises.blend,
            "seed": self.seed,
            "options": self.options,
        }
        (folder / "model.json").write_text(json.dumps(described, indent=1))
        stored = {f"part_{number}": part.arrays for number, part in enumerate(self.parts)}
        for name, arrays in {**stored, _WIDTH: self.width, "rises": self.rises.forest}.items():
            np.savez(folder / f"{name}.npz", allow_pickle=False, **arrays)

    @classmethod
    def load(cls, folder: Path) -> TopicModel:
        """Read a model that `save` wrote."""
        described = json.loads((folder / "model.json").read_text())
        parts = [
            Part(
                entry["name"],
                entry["options"],
                _arrays(folder / f"part_{number}.npz"),
                (entry["weights"][0], entry["weights"][1]),
            )
            for number, entry in enumerate(described["parts"])
        ]
        intervals = {name: Interval(**bounds) for name, bounds in described["intervals"].items()}
        first, second, intercept = described["rise_blend"]
        rises = Rises(_arrays(folder / "rises.npz"), (first, second, intercept))
        return cls(
            parts,
            _arrays(folder / f"{_WIDTH}.npz"),
            rises,
            intervals,
            seed=described["seed"],
            options=described["options"],
        )


def interval_widths(width: Arrays, windows: Windows) -> dict[str, Array]:
    """By horizon how wide the trees think an 80 % interval of each total is, never 0."""
    quantiles = Trees().quantiles(width, windows)
    apart = quantiles[:, :, 2] - quantiles[:, :, 0]
    found = {}
    for name, days in HORIZON_DAYS.items():
        steps = days * windows.steps_per_day
        # Errors of neighbouring days are neither independent nor one: their sum lies between.
        found[name] = apart[:, :steps].sum(axis=1) / np.sqrt(days) + spread(windows)
    return found


def conformal(
    width: Arrays, windows: Windows, volumes: Array, coverage: float
) -> dict[str, Interval]:
    """Intervals that hold the share `coverage` of the totals of these windows.

    Split conformal prediction with normalised residuals, each side on its own (Lei et al. 2018;
    Romano et al. 2019), with the correction for a finite number of windows.

    Args:
        width: trees that have not learned from these windows.
        windows: whose futures are known.
        volumes: forecasts of methods that have not learned from them, before rounding.
        coverage: between 0 and 1.
    """
    widths, found = interval_widths(width, windows), {}
    for name, days in HORIZON_DAYS.items():
        steps = days * windows.steps_per_day
        off = volumes[:, :steps].sum(axis=1) - windows.outcome()[:, :steps].sum(axis=1)
        scores = (off / widths[name])[~np.isnan(off)]
        level = min(1.0, (1 - (1 - coverage) / 2) * (len(scores) + 1) / max(len(scores), 1))
        below, above = np.quantile(scores, level), np.quantile(-scores, level)
        found[name] = Interval(max(float(below), 0.0), max(float(above), 0.0))
    return found


def _arrays(path: Path) -> Arrays:
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}
