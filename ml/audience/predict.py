"""Recommendations of topics to segments by the champion, one by one and as a batch."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ml import clock
from ml.audience.dataset import read_dataset
from ml.audience.interactions import Interactions
from ml.audience.model import NAME, TOP, load_params, segment_traits
from ml.registry import mirror, releases
from ml.registry.releases import Release
from ml.settings import Settings, get_settings
from ml.storage.postgres import Merge, connect, copy_rows, create_staging, merge, transaction

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

PREDICTION_TYPE = NAME
_COLUMNS = (
    "model_id",
    "prediction_type",
    "entity_id",
    "as_of",
    "input_data",
    "prediction",
    "metadata",
)
_TARGET = Merge(
    table="ml.model_predictions",
    key=("model_id", "prediction_type", "entity_id", "as_of"),
    same=("model_id", "prediction_type", "entity_id", "as_of"),
)
_ACTIVE = """
    select distinct topic_id
    from marts.fct_segment_topic_engagement
    where is_synthetic = %(synthetic)s
        and observed_date > %(start)s::date
        and observed_date <= %(as_of)s::date
        and available_at <= %(as_of)s
"""


@dataclass(frozen=True)
class ScoreResult:
    """What a scoring run did.

    Attributes:
        scored: segments with a prediction as of that moment.
        written: predictions that were not there yet.
        version: semantic version of the champion.
    """

    scored: int
    written: int
    version: str


def recommend(
    segments: Sequence[str],
    k: int = TOP,
    as_of: datetime | None = None,
    settings: Settings | None = None,
) -> dict[str, list[dict[str, Any]]]:
    """The `k` topics that suit each segment best, of those that lists show now.

    A segment that the data do not know gets what is popular.

    Args:
        segments: ids as `US/gaming/en`.
        k: how many topics a segment.
        as_of: "now"; the clock of the platform by default.
        settings: those of the process by default.

    Returns:
        By segment, best first: `topic_id`, `rank` and `score`.

    Raises:
        FatalError: if there is no champion.
    """
    settings = settings or get_settings()
    if as_of is None:
        with connect(settings.require("database_url")) as conn:
            as_of = clock.as_of(conn, settings)
    frame, _, _ = _recommendations(as_of, k, settings, segments)
    found: dict[str, list[dict[str, Any]]] = {segment: [] for segment in segments}
    for row in frame.itertuples(index=False):
        found[row.segment_id].append(_topic(row))
    return found


def score_segments(as_of: datetime, settings: Settings | None = None) -> ScoreResult:
    """Recommend topics to every known segment and keep the answers.

    Predictions are keyed by model version, segment and `as_of`, so scoring twice changes nothing.

    Raises:
        FatalError: if there is no champion.
    """
    settings = settings or get_settings()
    frame, data, release = _recommendations(as_of, TOP, settings)
    rows = list(_rows(frame, data, release, as_of, settings))
    with transaction(settings.require("database_url")) as conn:
        staging = create_staging(conn, _TARGET.table, _COLUMNS)
        copy_rows(conn, staging, _COLUMNS, rows)
        written = merge(conn, staging, _TARGET, _COLUMNS)
    result = ScoreResult(len(rows), written, release.version)
    log.info("scored %s", result)
    return result


def _recommendations(
    as_of: datetime, k: int, settings: Settings, segments: Sequence[str] | None = None
) -> tuple[pd.DataFrame, Interactions, Release]:
    """Recommend with histories as of that moment, on rows like those the champion learned from."""
    loaded, release = releases.load_champion(NAME, settings)
    model = loaded.get_raw_model()
    params = json.loads(release.tags.get("params", "null")) or load_params()
    synthetic = release.tags["is_synthetic"] == "true"
    data = read_dataset(as_of, params, settings, synthetic).data
    if segments is not None:
        traits = {segment: segment_traits(segment) for segment in segments}
        data = replace(data.only(segments), traits=traits)
    bounds = {
        "synthetic": synthetic,
        "start": as_of - timedelta(days=params["active_days"]),
        "as_of": as_of,
    }
    with connect(settings.require("database_url")) as conn:
        active = {topic for (topic,) in conn.execute(_ACTIVE, bounds)}
    return model.recommend(data, k, among=active), data, release


def _rows(
    frame: pd.DataFrame,
    data: Interactions,
    release: Release,
    as_of: datetime,
    settings: Settings,
) -> Iterator[Sequence[Any]]:
    identity = mirror.model_id(release, settings)
    lengths = dict(zip(data.users, data.history_lengths().tolist(), strict=True))
    # Rows of the mart have times and are in their order, so the last one of a segment stays.
    days = [] if data.time is None else data.time.tolist()
    latest = {data.users[user]: day for user, day in zip(data.user, days, strict=True)}
    for segment, topics in frame.groupby("segment_id", sort=True):
        reference = {
            "mart": "fct_segment_topic_engagement",
            "topics_seen": lengths[segment],
            "latest_day": date.fromordinal(int(latest[segment])).isoformat(),
        }
        answer = {"topics": [_topic(row) for row in topics.itertuples(index=False)]}
        yield (
            identity,
            PREDICTION_TYPE,
            segment,
            as_of,
            json.dumps(reference),
            json.dumps(answer),
            json.dumps({"version": release.version, "mlflow_version": release.mlflow_version}),
        )


def _topic(row: Any) -> dict[str, Any]:
    return {"topic_id": row.topic_id, "rank": int(row.rank), "score": round(float(row.score), 6)}
