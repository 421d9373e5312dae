"""Volumes of topics and of categories by day, and when they could be known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from ml.exceptions import TooFewRowsError
from ml.settings import Settings
from ml.storage.postgres import connect
from ml.trend.topic.candidates import NAME
from ml.trend.topic.folds import Folds, plan_folds
from ml.trend.topic.series import Panel, build_panel

if TYPE_CHECKING:
    import pandas as pd

# A day counts when it was over. What was not known yet has no volume: it hides the topic, for a
# topic that would seem to fall silent is worse than one that is left out.
QUERY = """
    select
        'topics' as source,
        momentum.topic_id as series,
        momentum.observed_date,
        case when momentum.available_at <= %(as_of)s then momentum.items end as volume,
        momentum.available_at as known_at
    from marts.fct_topic_momentum as momentum
    inner join marts.dim_topic as topic using (topic_id)
    where topic.is_synthetic = %(synthetic)s
        and momentum.observed_date > %(start)s::date
        and momentum.observed_date + 1 <= (%(as_of)s at time zone 'UTC')::date
        and momentum.items > 0

    union all

    select
        'categories',
        country || '/' || niche_id,
        observed_date,
        case when max(available_at) <= %(as_of)s then sum(items) end,
        max(available_at)
    from marts.fct_segment_topic_engagement
    where is_synthetic = %(synthetic)s
        and observed_date > %(start)s::date
        and observed_date + 1 <= (%(as_of)s at time zone 'UTC')::date
    group by country, niche_id, observed_date
    order by source, series, observed_date
"""
COLUMNS = ("source", "series", "at", "volume", "known_at")
CATEGORIES = "categories"


@dataclass(frozen=True)
class TopicDataset:
    """What was known at a moment.

    Attributes:
        frame: rows `source` (topics or categories), `series`, `at`, `volume`, `known_at`.
        bounds: parameters of the query.
    """

    frame: pd.DataFrame
    bounds: dict[str, Any]

    @property
    def is_synthetic(self) -> bool:
        """Whether the rows come from the simulated world."""
        return bool(self.bounds["synthetic"])

    def panel(self) -> Panel:
        """The series on one calendar; those of which nothing was known are left out.

        Raises:
            TooFewRowsError: if there are none.
        """
        known = self.frame.groupby("series")["volume"].transform("count") > 0
        if not known.any():
            raise TooFewRowsError(
                f"{NAME} needs topics with items, there are none before"
                f" {self.bounds['as_of']:%Y-%m-%d}"
                f"{' from the world server' if self.is_synthetic else ''}; ingest days and run"
                " build_marts"
            )
        return build_panel(self.frame[known])


def read_dataset(
    as_of: datetime, params: Mapping[str, Any], settings: Settings, synthetic: bool | None = None
) -> TopicDataset:
    """Read what was known at `as_of`: real rows where archives are, else synthetic ones.

    Args:
        as_of: "now"; days that were not over by then do not exist.
        params: of the model.
        settings: those of the process.
        synthetic: which rows count, where the caller knows (a model is fed what it was trained on).
    """
    import pandas as pd

    bounds = {
        "synthetic": settings.data_dir is None if synthetic is None else synthetic,
        "start": as_of - timedelta(days=params["window_days"]),
        "as_of": as_of,
    }
    with connect(settings.require("database_url")) as conn:
        rows = conn.execute(QUERY, bounds).fetchall()
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    for column in ("at", "known_at"):
        frame[column] = pd.to_datetime(frame[column], utc=True)
    return TopicDataset(frame.astype({"volume": np.float64}), bounds)


def build_folds(dataset: TopicDataset, params: Mapping[str, Any]) -> Folds:
    """Lay rolling origins over what was known.

    Raises:
        TooFewRowsError: if there is too little history or volume.
    """
    return plan_folds(dataset.panel(), params)
