"""Rolling origins: which moments are learned from, validated on and tested on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ml.exceptions import TooFewRowsError
from ml.trend.topic.series import RISE_DAYS, Panel, Windows, windows_at


@dataclass(frozen=True)
class Folds:
    """Origins, as places in a panel, each part's futures over before the next part begins.

    Attributes:
        validation: where methods are compared.
        test: where what was chosen is measured, once.
    """

    panel: Panel
    validation: tuple[int, ...]
    test: tuple[int, ...]
    params: Mapping[str, Any]

    def training_windows(self, before: int) -> Windows:
        """Windows whose future was over at the origin `before`, thinned evenly to a bound."""
        day = self.panel.steps_per_day
        first, last = RISE_DAYS * day - 1, before - self.panel.horizon
        # Of hours, origins six hours apart tell nearly all.
        origins = range(first, last + 1, 1 if day == 1 else 7)
        most = self.params["max_train_windows"]
        # Before they are made, for histories are long; many series are quiet, hence the factor.
        thin = max(1, len(origins) * len(self.panel.names) // (4 * most))
        windows = self._at(tuple(origins), self.params["train_min_recent"], None, thin)
        return windows.only(slice(None, None, max(1, -(-len(windows) // most))))

    def validation_windows(self) -> Windows:
        """What was known at the origins of validation, with what came after."""
        return self._measured(self.validation)

    def test_windows(self) -> Windows:
        """What was known at the origins of the test, with what came after."""
        return self._measured(self.test)

    def _measured(self, origins: tuple[int, ...]) -> Windows:
        return self._at(origins, self.params["min_recent"], self.params["max_series"])

    def _at(
        self, origins: tuple[int, ...], min_recent: float, most: int | None, thin: int = 1
    ) -> Windows:
        return windows_at(
            self.panel,
            origins,
            length=self.params["history_days"] * self.panel.steps_per_day,
            min_recent=min_recent,
            max_series=most,
            thin=thin,
            grace_days=self.params["grace_days"],
        )


def plan_folds(panel: Panel, params: Mapping[str, Any]) -> Folds:
    """Lay the folds from the end of the panel backwards, as far apart as its length allows.

    Raises:
        TooFewRowsError: if the panel is too short, or nothing in it has enough volume.
    """
    day, model = panel.steps_per_day, params["model"]
    days, week = panel.steps // day, panel.horizon
    spacing = max(2, min(params["max_spacing_days"], days // 30))
    counts = params["validation_folds"], params["test_folds"]
    # The last fold's week, each part's own span, and a week between two parts.
    needed = RISE_DAYS + params["min_train_days"] + 2 * 7 + 7
    needed += sum((count - 1) * spacing for count in counts)
    if days < needed:
        raise TooFewRowsError(
            f"{model} needs at least {needed} days of topics for {counts[0]} validation and"
            f" {counts[1]} test folds, there are {days}; ingest more days and run build_marts"
        )
    test = _backwards(panel.steps - 1 - week, counts[1], spacing * day)
    validation = _backwards(test[0] - week, counts[0], spacing * day)
    folds = Folds(panel, validation, test, params)
    for name, windows in (
        ("validation", folds.validation_windows()),
        ("test", folds.test_windows()),
    ):
        if len(windows) < params["min_windows"]:
            raise TooFewRowsError(
                f"{model} needs at least {params['min_windows']} {name} windows of topics with"
                f" {params['min_recent']} items in 28 days, there are {len(windows)}; ingest more"
                " days or sources and run build_marts"
            )
    return folds


def _backwards(last: int, count: int, spacing: int) -> tuple[int, ...]:
    return tuple(last - spacing * back for back in reversed(range(count)))
