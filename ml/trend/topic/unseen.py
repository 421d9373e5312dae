"""M6 on archive files that no champion has seen: rolling origins over what the files count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ml.exceptions import TooFewRowsError
from ml.trend.topic.archives import read_volumes
from ml.trend.topic.fitting import measure_model, measure_plain
from ml.trend.topic.model import TopicModel
from ml.trend.topic.series import RISE_DAYS, Panel, build_panel, windows_at


@dataclass(frozen=True)
class TopicFigures:
    """What a model reaches on the volumes of files.

    Attributes:
        rows: windows that were forecast.
        first: day of the earliest origin, and `last` of the latest, as ISO dates.
        figures: M6 of the model, with `baselines`.
    """

    rows: int
    first: str
    last: str
    figures: dict[str, Any]


def measure_files(
    model: TopicModel, paths: Sequence[Path], params: Mapping[str, Any]
) -> TopicFigures:
    """Count what the files list day by day and forecast it from rolling origins.

    Args:
        model: fitted on other files or days; nothing is fitted here.
        paths: of the formats that `import-archive` reads.
        params: those kept for `trend_topic`; they name the baselines and the number of origins.

    Raises:
        ArchiveError: if a file is of no known format.
        TooFewRowsError: if they hold too few days, or too little volume.
    """
    panel = build_panel(read_volumes(paths))
    origins = rolling_origins(panel, params["test_folds"], params["max_spacing_days"])
    windows = windows_at(
        panel,
        origins,
        length=model.options["history_days"],
        min_recent=model.options["min_recent"],
        max_series=params["max_series"],
        grace_days=model.options["grace_days"],
    )
    if np.isnan(windows.rises()).all():
        raise TooFewRowsError(
            f"no topic of the files has {model.options['min_recent']} items in {RISE_DAYS} days and"
            " a known outcome; give more days or countries"
        )
    return TopicFigures(
        rows=len(windows),
        first=_day(panel, origins[0]),
        last=_day(panel, origins[-1]),
        figures={
            **measure_model(model, windows),
            "baselines": {
                name: measure_plain(name, params, windows) for name in params["baselines"]
            },
        },
    )


def rolling_origins(panel: Panel, most: int, spacing: int) -> tuple[int, ...]:
    """Days to forecast from, oldest first: each has the days of a rise behind it and a week ahead.

    Args:
        panel: daily volumes.
        most: number of origins.
        spacing: days between two of them at most; less where there are fewer days.

    Raises:
        TooFewRowsError: if there are too few days for one origin.
    """
    first, last = RISE_DAYS - 1, panel.steps - 1 - panel.horizon
    if last < first:
        raise TooFewRowsError(
            f"forecasts of topics need {first + 1 + panel.horizon} days, the files have"
            f" {panel.steps}; give more days"
        )
    count = min(most, last - first + 1)
    apart = max(1, min(spacing, (last - first) // max(1, count - 1)))
    return tuple(last - apart * back for back in reversed(range(count)))


def _day(panel: Panel, place: int) -> str:
    return str(np.datetime64(panel.start + place, "D"))
