"""`trend_video`: videos on their second day whose 48 hours are over, from the feature store.

What was adapted to a niche is tried on the videos of that niche, and has to beat the model of all.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from ml import clock
from ml.registry import releases
from ml.registry.probes.base import Array, Behaviour, Cases, Probe, unseen_since
from ml.registry.releases import Release
from ml.settings import Settings
from ml.storage.postgres import connect
from ml.trend.video.candidate import GLOBAL
from ml.trend.video.dataset import bounds, labelled_frame, load_params
from ml.trend.video.matrix import TEXT_COLUMNS, linear_growth, model_input

if TYPE_CHECKING:
    import pandas as pd

    from ml.trend.video.baselines import Baselines

_BEFORE = timedelta(days=7)  # of a first prediction: the days that its features and label span
_MOST_ROWS = 4000
_FASTER = 1.0  # ln ratio: the views of the last day grew e times as much


class TrendVideoProbe(Probe):
    """The rising call."""

    name = "trend_video"

    def cases(
        self, model: Any, release: Release, champion: Release | None, settings: Settings
    ) -> Cases:
        """First predictions after the training of both versions, with the label of this one."""
        params = load_params()
        niche = int(release.tags["category_id"]) if "category_id" in release.tags else None
        general = None if niche is None else releases.load_champion(self.name, settings)
        since = unseen_since(release, champion, general[1] if general else None)
        with connect(settings.require("database_url")) as conn:
            now = clock.as_of(conn, settings)
        now = max(now, datetime.fromisoformat(release.tags["as_of"]))
        limits = bounds(now, params, settings, since - _BEFORE) | {"max_day": 1}
        rows, _ = labelled_frame(limits, params, settings)
        rows = rows[rows["event_timestamp"] >= since]
        if niche is not None:
            rows = rows[rows["category_id"] == niche]
        rows = rows.tail(_MOST_ROWS).reset_index(drop=True)
        raw = model.get_raw_model()
        specification = raw.specification
        rivals = {} if raw.baselines is None else _plain(raw.baselines, rows)
        if general is not None:
            rivals[GLOBAL] = general[0].get_raw_model().predict_proba(rows)

        def taken_by(version: Any) -> pd.DataFrame:
            return model_input(rows, version.get_raw_model().specification.columns)

        return Cases(
            inputs=taken_by(model),
            inputs_of=taken_by,
            source=f"{len(rows)} videos first predicted from {since:%Y-%m-%d %H:%M} to"
            f" {now:%Y-%m-%d %H:%M}",
            labels=(rows["growth_48h"] > specification.growth_threshold).to_numpy().astype(int),
            groups={
                "category": rows["category_id"].to_numpy(),
                "language": rows["language"].fillna("und").to_numpy(),
            },
            rivals=rivals,
            surely=frozenset({GLOBAL} & set(rivals)),
        )

    def behaviours(self, model: Any, inputs: pd.DataFrame) -> Iterator[Behaviour]:
        """A declared variant of a language is that language; faster growth is no worse sign."""
        yield from super().behaviours(model, inputs)
        said = self.score(model, inputs)
        if set(TEXT_COLUMNS) <= set(inputs):
            variant = inputs.assign(language=[f"{each}-XX" for each in inputs["language"]])
            same = (self.score(model, variant) - said).abs() <= 1e-6
            yield Behaviour("invariance", "variant of a language", float(same.mean()))
        growth = inputs["log_growth_1d"]
        slow, fast = growth <= growth.quantile(0.25), growth >= growth.quantile(0.75)
        faster = self.score(model, inputs.assign(log_growth_1d=growth + _FASTER))
        kept = float(faster.mean() >= said.mean() - self.tolerance)
        yield Behaviour("directional", "faster growth of the last day, in the mean", kept)
        plain = float(said[fast].mean() > said[slow].mean())
        yield Behaviour("minimum_functionality", "fast videos above slow ones", plain)


def _plain(baselines: Baselines, rows: pd.DataFrame) -> dict[str, Array]:
    """Scores of the plain methods that order videos at all."""
    from ml.trend.video.matrix import design_matrix

    growth = linear_growth(rows["log_growth_1d"], rows["hours_since_previous"])
    return {
        "linear_extrapolation": np.asarray(growth.fillna(baselines.extrapolated)),
        "logistic_regression": baselines.logistic["rising"](
            design_matrix(rows, {}, baselines.features)
        ),
    }


PROBE = TrendVideoProbe()
