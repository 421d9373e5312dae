"""Which stories are predicted, when, and what came of them: the point-in-time set of `trend_story`.

A row is a story that came to Hacker News' front page (places 1 to 30) with at most 30 upvotes. It
is predicted an hour later, from features known by then. The outcome is whether any sight of the 48
hours after its entry shows at least 100 upvotes: of 45,607 stories of an archive one got there
later.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import yaml
from psycopg import sql

from ml import features
from ml.exceptions import TooFewRowsError
from ml.settings import Settings
from ml.storage.postgres import connect
from ml.trend.video.dataset import frame_digest

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

_PARAMS = Path(__file__).parent / "params" / "trend_story.yaml"
ENTRY_UPVOTES = 30
REACHED = 100
FIRST_HOUR, HORIZON = timedelta(hours=1), timedelta(hours=48)
# A story with fewer sights has left the front page at once.
STAYED_SIGHTS = 3
# Under these numbers a part has too few stories of either outcome to measure anything.
_MIN_LABELLED = 300
_MIN_SPLIT = 20

_ENTRIES = sql.SQL(
    """
    select story_id, min(event_at) + interval '1 hour' as event_timestamp
    from features.story_momentum
    where is_synthetic = {synthetic}
        and hours_since_entry = 0
        and entry_upvotes <= {entry_upvotes}
        and event_at > {start}
        and event_at <= {as_of} - interval '1 hour'
        and available_at <= event_at + interval '1 hour'
    group by story_id
    """
)
_OUTCOMES = sql.SQL(
    """
    with entries as ({entries})
    select
        entries.story_id,
        max(sights.upvotes),
        count(*),
        greatest(entries.event_timestamp + interval '47 hours', max(sights.available_at))
    from entries
    inner join features.story_momentum as sights
        on entries.story_id = sights.story_id
        and sights.event_at >= entries.event_timestamp - interval '1 hour'
        and sights.event_at <= entries.event_timestamp + interval '47 hours'
        and sights.available_at <= {as_of}
    where entries.event_timestamp + interval '47 hours' <= {as_of}
    group by entries.story_id, entries.event_timestamp
    """
)


@dataclass(frozen=True)
class StoryDataset:
    """Labelled stories with their features, oldest first.

    Attributes:
        frame: the service's features, and `story_id`, `event_timestamp` (an hour after its entry,
            UTC), `label_known_at` (UTC), `most_upvotes` and `sights` of the 48 hours.
        query: the SQL that chose the stories.
        required: features that may not be missing.
        digest: sha256 of the frame.
    """

    frame: pd.DataFrame
    query: str
    required: list[str]
    digest: str
    is_synthetic: bool
    as_of: datetime


@dataclass(frozen=True)
class Split:
    """Three parts in time: no outcome of one was known after the next one begins."""

    train: pd.DataFrame
    validation: pd.DataFrame
    test: pd.DataFrame


def load_params() -> dict[str, Any]:
    """Read the parameters kept in the repository."""
    params: dict[str, Any] = yaml.safe_load(_PARAMS.read_text())
    return params


def has_reached(part: pd.DataFrame) -> npt.NDArray[np.int64]:
    """The label: 1 where a story has reached 100 upvotes."""
    return np.asarray(part["most_upvotes"] >= REACHED, dtype=np.int64)


def has_stayed(part: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Which stories were seen three times or more, which nobody knows in their first hour."""
    return np.asarray(part["sights"] >= STAYED_SIGHTS, dtype=np.bool_)


def entry_query(start: datetime, as_of: datetime, *, synthetic: bool) -> sql.Composed:
    """SQL for the stories whose first hour was over: `story_id`, and when that was."""
    return _ENTRIES.format(
        synthetic=sql.Literal(synthetic),
        entry_upvotes=sql.Literal(ENTRY_UPVOTES),
        start=sql.Literal(start),
        as_of=sql.Literal(as_of),
    )


def first_hours(entries: sql.Composed, service: str, settings: Settings) -> pd.DataFrame:
    """The features of the service as they were known when the first hours were over, oldest first.

    Raises:
        MissingFeatureError: if a story lacks a required feature.
    """
    import pandas as pd

    frame = features.training_frame(entries.as_string(), service, settings)
    frame["event_timestamp"] = pd.to_datetime(frame["event_timestamp"], utc=True)
    check_required(frame, features.required_features(features.open_store(settings), service))
    return frame.sort_values(["event_timestamp", "story_id"]).reset_index(drop=True)


def outcomes(entries: sql.Composed, as_of: datetime, settings: Settings) -> pd.DataFrame:
    """What the stories had come to in the 48 hours after their entry, where those are over.

    Returns:
        `story_id`, `most_upvotes`, `sights` and `label_known_at` (UTC).
    """
    import pandas as pd

    query = _OUTCOMES.format(entries=entries, as_of=sql.Literal(as_of))
    with connect(settings.require("database_url")) as conn:
        rows = conn.execute(query).fetchall()
    frame = pd.DataFrame(rows, columns=["story_id", "most_upvotes", "sights", "label_known_at"])
    frame["label_known_at"] = pd.to_datetime(frame["label_known_at"], utc=True)
    return frame.astype({"most_upvotes": "int64", "sights": "int64"})


def check_required(frame: pd.DataFrame, required: Sequence[str]) -> None:
    """Raise if any row lacks a required feature.

    Raises:
        MissingFeatureError: naming the features of the first such row.
    """
    present = frame[list(required)].notna()
    lacking = ~present.all(axis=1)
    if lacking.any():
        row = lacking.idxmax()
        known = {name: True for name in required if present.loc[row, name]}
        story = frame.loc[row].get("story_id", "?")
        features.require(known, required, f"story {story} ({int(lacking.sum())} stories in all)")


def build_dataset(as_of: datetime, params: dict[str, Any], settings: Settings) -> StoryDataset:
    """Join the features of the service to every story whose outcome was known at `as_of`.

    Real stories are used where there is a folder of archives, those of the world server otherwise;
    the two never mix.

    Raises:
        TooFewRowsError: if there are too few.
        MissingFeatureError: if a story lacks a required feature.
    """
    synthetic, service = settings.data_dir is None, params["feature_service"]
    entries = entry_query(as_of - timedelta(days=params["window_days"]), as_of, synthetic=synthetic)
    labels = outcomes(entries, as_of, settings)
    if len(labels) < _MIN_LABELLED:
        raise TooFewRowsError(
            f"{params['model']} needs at least {_MIN_LABELLED} stories that came to the front page"
            f" with at most {ENTRY_UPVOTES} upvotes 48 hours and more before {as_of:%Y-%m-%d},"
            f" there are {len(labels)}{' from the world server' if synthetic else ''};"
            " ingest more days or import front pages (hackernews-snapshots)"
        )
    frame = first_hours(entries, service, settings).merge(labels, on="story_id")
    log.info("%s stories, %s reached %s upvotes", len(frame), has_reached(frame).sum(), REACHED)
    return StoryDataset(
        frame=frame,
        query=entries.as_string(),
        required=features.required_features(features.open_store(settings), service),
        digest=frame_digest(frame),
        is_synthetic=synthetic,
        as_of=as_of,
    )


def split_in_time(frame: pd.DataFrame, params: dict[str, Any]) -> Split:
    """Cut by prediction time, with a gap so that no outcome reaches into a later part.

    Raises:
        TooFewRowsError: if a part has too few stories of either outcome among those that stayed.
    """
    at, known_at = frame["event_timestamp"], frame["label_known_at"]
    test_start = at.quantile(1 - params["test_share"], interpolation="nearest")
    before = frame[known_at < test_start]
    validation_start = before["event_timestamp"].quantile(
        1 - params["validation_share"], interpolation="nearest"
    )
    split = Split(
        train=before[before["label_known_at"] < validation_start],
        validation=before[before["event_timestamp"] >= validation_start],
        test=frame[at >= test_start],
    )
    for name in ("train", "validation", "test"):
        part = getattr(split, name)
        part = part[has_stayed(part)]
        count = int(has_reached(part).sum())
        if min(count, len(part) - count) < _MIN_SPLIT:
            raise TooFewRowsError(
                f"of the {len(part)} stories of the {name} part that stayed {count} reached"
                f" {REACHED} upvotes; it needs {_MIN_SPLIT} of both kinds: ingest more days"
            )
    return split
