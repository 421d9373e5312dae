"""`trend_topic`: the series of the release's input example.

Compared with the champion are the rises of the days that the training kept for the test, and of
those since; with the plain methods, the volumes, as the training did.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ml.exceptions import TooFewRowsError
from ml.registry.probes.base import Array, Behaviour, Cases, Fresh, Probe, known_until
from ml.settings import Settings
from ml.trend.topic.candidates import load_params
from ml.trend.topic.dataset import read_dataset
from ml.trend.topic.series import RISE_HOURS, windows_at

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from ml.registry.releases import Release

_MORE = 3.0
# A call is about two days, so calls of one series two days apart are about different ones.
_SPACING = RISE_HOURS // 24
# A part with AutoETS takes a tenth of a second for each of them.
_MOST_DAYS, _MOST_SERIES = 8, 12


class TrendTopicProbe(Probe):
    """The volume of the next seven days, as a share of what is forecast in all."""

    name = "trend_topic"
    output = "rise_probability"
    unit = "series"
    tolerance = 0.1

    def cases(
        self, model: Any, release: Release, champion: Release | None, settings: Settings
    ) -> Cases:
        """The series of the example, and rises of days that neither version has learned from."""
        found = Cases(model.input_example, "the input example of the release")
        starts = [
            each.tags["test_origins"].split(", ")[0]
            for each in (release, champion)
            if each is not None and "test_origins" in each.tags
        ]
        if not starts:
            return replace(found, unmeasured="the version does not say what it was tested on")
        try:
            return replace(found, fresh=_rises(release, max(starts), settings))
        except TooFewRowsError as error:
            return replace(found, unmeasured=str(error))

    def never_missing(self, model: Any) -> frozenset[str]:  # noqa: ARG002
        """A volume that is not known hides every later day: that is no blemish but no answer."""
        return frozenset({"volume"})

    def score(self, model: Any, inputs: pd.DataFrame) -> pd.Series[float]:
        """Probability of a rise by series; one with too little volume has none."""
        return model.predict(inputs).set_index("series")[self.output].astype("float64")

    def calls(self, release: Release, scores: Array) -> npt.NDArray[np.bool_]:  # noqa: ARG002
        """Which series rise."""
        rises: npt.NDArray[np.bool_] = scores >= 0.5
        return rises

    def behaviours(self, model: Any, inputs: pd.DataFrame) -> Iterator[Behaviour]:
        """Thrice the volume is forecast to be more; intervals hold their forecasts."""
        yield from super().behaviours(model, inputs)
        said = model.predict(inputs).set_index("series")
        more = model.predict(inputs.assign(volume=inputs["volume"] * _MORE)).set_index("series")
        grown = more["volume_7d"].reindex(said.index) >= said["volume_7d"]
        yield Behaviour("directional", "thrice the volume", float(grown.mean()))
        for name in ("volume_48h", "volume_7d"):
            inside = said[name].between(said[f"{name}_low"] - 0.5, said[f"{name}_high"] + 0.5)
            held = f"{name} within its interval"
            yield Behaviour("minimum_functionality", held, float(inside.mean()))


def _rises(release: Release, since: str, settings: Settings) -> Fresh:
    """Series on days from `since` on (ISO) whose next 48 hours are over."""
    params = json.loads(release.tags.get("params", "null")) or load_params()
    synthetic = release.tags["is_synthetic"] == "true"
    now = known_until(release, settings)
    panel = read_dataset(now, params, settings, synthetic).panel()
    first = int(np.datetime64(since, "D").astype(int)) - panel.start
    origins = range(max(first, 0), panel.steps - _SPACING, _SPACING)[-_MOST_DAYS:]
    if not origins:
        raise TooFewRowsError(f"no day since {since} has its 48 hours behind it")
    windows = windows_at(
        panel,
        origins,
        length=params["history_days"],
        min_recent=params["min_recent"],
        max_series=_MOST_SERIES,
        grace_days=params["grace_days"],
    )
    windows = windows.only(np.flatnonzero(~np.isnan(windows.rises())))
    return Fresh(
        source=f"{len(windows)} forecasts of series since {since}",
        labels=windows.rises().astype(np.int64),
        scores=lambda version: np.asarray(version.get_raw_model().forecast(windows).rises),
    )


PROBE = TrendTopicProbe()
