"""Which segment took to which topic, and when that could be known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import psycopg

from ml.audience.interactions import Interactions, interactions
from ml.audience.model import NAME, with_traits
from ml.exceptions import TooFewRowsError
from ml.settings import Settings
from ml.storage.postgres import connect
from ml.topics import embeddings

# A segment takes to a topic when its lists show it for the first time. Of one day's topics the one
# with the best places of that day comes last, so that it counts as the latest ever after.
QUERY = """
    select
        segment_id,
        topic_id,
        min(observed_date) as first_date,
        (array_agg(coalesce(place_weight, 0) order by observed_date))[1] as place_weight
    from marts.fct_segment_topic_engagement
    where is_synthetic = %(synthetic)s
        and observed_date > %(start)s::date
        and observed_date <= %(as_of)s::date
        and available_at <= %(as_of)s
    group by segment_id, topic_id
    order by segment_id, first_date, place_weight, topic_id
"""


@dataclass(frozen=True)
class AudienceDataset:
    """What was known at a moment.

    Attributes:
        data: segments, topics and first days (ordinals of `datetime.date`).
        digest: sha256 of the data.
        bounds: parameters of the query.
    """

    data: Interactions
    digest: str
    bounds: dict[str, Any]

    @property
    def is_synthetic(self) -> bool:
        """Whether the rows come from the simulated world."""
        return bool(self.bounds["synthetic"])


def read_dataset(
    as_of: datetime, params: Mapping[str, Any], settings: Settings, synthetic: bool | None = None
) -> AudienceDataset:
    """Read what was known at `as_of`: real rows where archives are, else synthetic ones.

    Args:
        as_of: "now"; rows observed or available later do not exist.
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
        frame = pd.DataFrame(
            [(segment, topic, first.toordinal()) for segment, topic, first, _ in rows],
            columns=["user", "item", "time"],
        )
        data = with_traits(interactions(frame))
        data = replace(data, vectors=_vectors(conn, data.items))
    return AudienceDataset(data, data.digest(), bounds)


def build_dataset(
    as_of: datetime, params: Mapping[str, Any], settings: Settings, synthetic: bool | None = None
) -> AudienceDataset:
    """Read the rows to train on, see `read_dataset`.

    Raises:
        TooFewRowsError: if there are too few.
    """
    dataset = read_dataset(as_of, params, settings, synthetic)
    usable = int((dataset.data.history_lengths() >= 3).sum())
    if len(dataset.data) < params["min_rows"] or usable < params["min_users"]:
        raise TooFewRowsError(
            f"{NAME} needs at least {params['min_rows']} interactions of segments with topics and"
            f" {params['min_users']} segments with three or more before {as_of:%Y-%m-%d}, there are"
            f" {len(dataset.data)} and {usable}"
            f"{' from the world server' if dataset.is_synthetic else ''}; ingest more days or"
            " countries and run build_marts"
        )
    return dataset


def _vectors(conn: psycopg.Connection, topics: tuple[str, ...]) -> Any:
    """The mean title vector of each topic, zeros where there is none yet; shape (topics, 384)."""
    kept = embeddings.read(conn, "topic_centroid", list(topics))
    table = np.zeros((len(topics), embeddings.WIDTH))
    for row, topic in enumerate(topics):
        if topic in kept:
            table[row] = kept[topic]
    return table
