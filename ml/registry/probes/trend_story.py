"""`trend_story`: front-page stories whose 48 hours are over, from the feature store."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from ml import clock
from ml.registry.probes.base import Behaviour, Cases, Probe, unseen_since
from ml.registry.releases import Release
from ml.settings import Settings
from ml.storage.postgres import connect
from ml.trend.story.dataset import (
    entry_query,
    first_hours,
    has_reached,
    has_stayed,
    load_params,
    outcomes,
)
from ml.trend.story.matrix import model_input

if TYPE_CHECKING:
    import pandas as pd

_SLACK = timedelta(hours=2)  # between an entry and its prediction
_TIMES = 3


class TrendStoryProbe(Probe):
    """Whether a story that stays reaches 100 upvotes, which is what its gate metric ranks."""

    name = "trend_story"
    output = "reach_probability"

    def cases(
        self, model: Any, release: Release, champion: Release | None, settings: Settings
    ) -> Cases:
        """Stories that stayed, predicted after the training of both versions."""
        since = unseen_since(release, champion)
        with connect(settings.require("database_url")) as conn:
            now = clock.as_of(conn, settings)
        now = max(now, datetime.fromisoformat(release.tags["as_of"]))
        entries = entry_query(since - _SLACK, now, synthetic=settings.data_dir is None)
        known = outcomes(entries, now, settings)
        rows = first_hours(entries, load_params()["feature_service"], settings)
        rows = rows.merge(known, on="story_id")
        rows = rows[(rows["event_timestamp"] >= since) & has_stayed(rows)].reset_index(drop=True)

        def taken_by(version: Any) -> pd.DataFrame:
            return model_input(rows, version.get_raw_model().specification.columns)

        return Cases(
            inputs=taken_by(model),
            inputs_of=taken_by,
            source=f"{len(rows)} stories predicted from {since:%Y-%m-%d %H:%M} to"
            f" {now:%Y-%m-%d %H:%M}",
            labels=has_reached(rows),
            groups={"hour of the day": rows["event_timestamp"].dt.hour.to_numpy() // 6},
        )

    def behaviours(self, model: Any, inputs: pd.DataFrame) -> Iterator[Behaviour]:
        """Stories with many upvotes are placed above those with few; more upvotes lower none."""
        yield from super().behaviours(model, inputs)
        said, upvotes = self.score(model, inputs), inputs["upvotes"]
        few, many = upvotes <= upvotes.quantile(0.25), upvotes >= upvotes.quantile(0.75)
        plain = float(said[many].mean() > said[few].mean())
        yield Behaviour("minimum_functionality", "many upvotes above few", plain)
        more = self.score(model, _gained(inputs, _TIMES)).reindex(said.index)
        held = float((more >= said - self.tolerance).mean())
        yield Behaviour("directional", f"{_TIMES} times the upvotes of the first hour", held)


def _gained(inputs: pd.DataFrame, times: float) -> pd.DataFrame:
    """The stories as if they had gained `times` as many upvotes since their entry.

    What follows from upvotes follows: rates, growth, comments per upvote. The place on the front
    page, which they would have changed too, stays.
    """
    gained = (inputs["upvotes"] - inputs["entry_upvotes"]).fillna(0)
    upvotes = inputs["upvotes"] + (times - 1) * gained
    ratio = upvotes / inputs["upvotes"].clip(lower=1)
    return inputs.assign(
        upvotes=upvotes,
        log_upvotes=np.log(upvotes.clip(lower=1)),
        log_growth_since_entry=inputs["log_growth_since_entry"] + np.log(ratio),
        comments_per_upvote=inputs["comments_per_upvote"] / ratio,
        upvotes_per_h=inputs["upvotes_per_h"] * times,
        upvotes_per_h_since_entry=inputs["upvotes_per_h_since_entry"] * times,
    )


PROBE = TrendStoryProbe()
