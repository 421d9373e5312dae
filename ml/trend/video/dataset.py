"""Who is predicted, when, and what came of it: the point-in-time set of `trend_video`.

A row is a video on a day of its life. It is predicted at the moment its observation of that day
became known, from features known by then. The label is the growth of the views over the next 48
hours, ln(views two days later / views), against the median of the training rows.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from psycopg import sql

from ml import features
from ml.exceptions import TooFewRowsError
from ml.settings import Settings, get_settings
from ml.storage.postgres import connect

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

_PARAMS = Path(__file__).parent / "params" / "trend_video.yaml"
# Under these numbers a split has too few videos of either outcome to measure anything.
MIN_LABELLED = 150
_MIN_SPLIT = 20

# Feast embeds this query and its planner needs fair row estimates, or it joins 100,000 rows in
# nested loops: so it is one scan, and the labels are fetched apart. The standing of a day is the
# last of a video's features to be known.
_ENTITIES = sql.SQL(
    """
    select video_id, greatest(event_at, available_at) as event_timestamp, standing_day as entity_day
    from features.video_standing
    where is_synthetic = {synthetic}
        and event_at > {start}
        and event_at <= {as_of}
        and available_at <= {as_of}
        and standing_day between 1 and {max_day}
    """
)
# Days of a video are distinct and in order, so the day after the next is one or two rows ahead.
_LABELS = """
    with known as (
        select
            video_id, day_number, views, greatest(event_at, available_at) as known_at,
            lag(day_number) over in_order = day_number - 1 as is_next_day,
            case day_number + 2
                when lead(day_number) over in_order then 1
                when lead(day_number, 2) over in_order then 2
            end as ahead,
            lead(views) over in_order as views_1,
            lead(views, 2) over in_order as views_2,
            greatest(lead(event_at) over in_order, lead(available_at) over in_order) as known_1,
            greatest(lead(event_at, 2) over in_order, lead(available_at, 2) over in_order)
                as known_2
        from features.video_momentum
        where is_synthetic = %(synthetic)s
            and event_at > %(start)s
            and event_at <= %(as_of)s
            and available_at <= %(as_of)s
        window in_order as (partition by video_id order by day_number)
    )
    select
        video_id,
        day_number,
        case ahead when 1 then known_1 else known_2 end,
        ln(greatest(case ahead when 1 then views_1 else views_2 end, 1)::double precision
            / greatest(views, 1))
    from known
    where is_next_day and ahead is not null and day_number between 1 and %(max_day)s
"""

# Growth to six days later, and whether a chart shows the video two days later: known where charts
# of that day are.
_LATER_LABELS = """
    with known as (
        select video_id, day_number, views, event_at, (event_at at time zone 'UTC')::date as day
        from features.video_momentum
        where is_synthetic = %(synthetic)s
            and event_at > %(start)s
            and event_at <= %(as_of)s
            and available_at <= %(as_of)s
    )
    select
        today.video_id,
        today.day_number,
        case
            when later.views is not null
                then ln(greatest(later.views, 1)::double precision / greatest(today.views, 1))
        end,
        case
            when today.day + 2 <= (select max(day) from known)
                then (next.video_id is not null)::integer::double precision
        end
    from known as today
    inner join known as before
        on today.video_id = before.video_id and today.day_number = before.day_number + 1
    left join known as next
        on today.video_id = next.video_id and today.day_number = next.day_number - 2
    left join known as later
        on today.video_id = later.video_id and today.day_number = later.day_number - 6
    where today.day_number between 1 and %(max_day)s
"""


# A panel over many countries says ZZ, which is none.
_COUNTRIES = "select distinct video_id, region from raw.youtube_videos where region <> 'ZZ'"


@dataclass(frozen=True)
class TrendDataset:
    """Labelled rows with their features, oldest first.

    Attributes:
        frame: the service's features, and `video_id`, `event_timestamp` (UTC), `entity_day`,
            `label_known_at` (UTC) and `growth_48h` (natural logarithm of a ratio).
        everything: those and the rows without `growth_48h`, with `growth_7d` (from that day to
            six days later) and `listed` (1 where a chart shows the video two days later).
        query: the SQL that chose the rows.
        required: features that may not be missing.
        digest: sha256 of `everything`.
        excluded: rows left out because their own observation was not known in time.
    """

    frame: pd.DataFrame
    everything: pd.DataFrame
    query: str
    required: list[str]
    digest: str
    excluded: int
    is_synthetic: bool
    as_of: datetime


@dataclass(frozen=True)
class Split:
    """Three parts in time: no label of one was known after the next one begins."""

    train: pd.DataFrame
    validation: pd.DataFrame
    test: pd.DataFrame
    growth_threshold: float
    validation_start: Any
    test_start: Any

    def rising(self, part: pd.DataFrame) -> Any:
        """The label: 1 where the growth is above the training median, as an integer array."""
        return (part["growth_48h"] > self.growth_threshold).to_numpy().astype(int)


def load_params() -> dict[str, Any]:
    """Read the parameters kept in the repository."""
    params: dict[str, Any] = yaml.safe_load(_PARAMS.read_text())
    return params


def entity_query(bounds: dict[str, Any]) -> str:
    """SQL for the rows to predict: video, moment and day."""
    return _ENTITIES.format(**{k: sql.Literal(v) for k, v in bounds.items()}).as_string()


def labels(bounds: dict[str, Any], settings: Settings) -> pd.DataFrame:
    """Growth over 48 hours of each video and day whose day before and second next are known."""
    import pandas as pd

    with connect(settings.require("database_url")) as conn:
        rows = conn.execute(_LABELS, bounds).fetchall()
    frame = pd.DataFrame(rows, columns=["video_id", "entity_day", "label_known_at", "growth_48h"])
    frame["label_known_at"] = pd.to_datetime(frame["label_known_at"], utc=True)
    return frame.astype({"entity_day": "int32", "growth_48h": "float64"})


def bounds(
    as_of: datetime, params: dict[str, Any], settings: Settings, since: datetime | None = None
) -> dict[str, Any]:
    """Which rows of the feature tables count: real ones where archives are, else synthetic."""
    return {
        "synthetic": settings.data_dir is None,
        "start": since or as_of - timedelta(days=params["window_days"]),
        "as_of": as_of,
        "max_day": params["max_day_number"],
    }


def shown_in(settings: Settings) -> pd.DataFrame:
    """Which countries' charts have listed a video: rows `video_id`, `country` (ISO 3166)."""
    import pandas as pd

    with connect(settings.require("database_url")) as conn:
        rows = conn.execute(_COUNTRIES).fetchall()
    return pd.DataFrame(rows, columns=["video_id", "country"])


def labelled_frame(
    limits: dict[str, Any], params: dict[str, Any], settings: Settings
) -> tuple[pd.DataFrame, int]:
    """Features and labels of every row whose 48 hours are over, and how many were left out."""
    everything, excluded = observed(limits, params, settings)
    return _labelled(everything), excluded


def _labelled(everything: pd.DataFrame) -> pd.DataFrame:
    return everything[everything["growth_48h"].notna()].reset_index(drop=True)


def observed(
    limits: dict[str, Any], params: dict[str, Any], settings: Settings
) -> tuple[pd.DataFrame, int]:
    """Features of every row, its labels where they are known, and how many were left out.

    A row is left out when its own observation was not known in time.
    """
    import pandas as pd

    joined = features.training_frame(entity_query(limits), params["feature_service"], settings)
    with connect(settings.require("database_url")) as conn:
        rows = conn.execute(_LATER_LABELS, limits).fetchall()
    keys = ["video_id", "entity_day"]
    later = pd.DataFrame(rows, columns=[*keys, "growth_7d", "listed"])
    later = later.astype({"entity_day": "int32", "growth_7d": "float64", "listed": "float64"})
    frame = (
        joined.astype({"entity_day": "int32"})
        .merge(later, on=keys)
        .merge(labels(limits, settings), on=keys, how="left")
    )
    kept = own_observation(frame)
    return kept, len(frame) - len(kept)


def build_dataset(
    as_of: datetime, params: dict[str, Any], settings: Settings | None = None
) -> TrendDataset:
    """Join the features of the service to every labelled row known at `as_of`.

    Real rows are used where there is a folder of archives, rows of the world server otherwise;
    the two never mix.

    Raises:
        TooFewRowsError: if there are too few labelled videos.
        MissingFeatureError: if a row lacks a required feature.
    """
    settings = settings or get_settings()
    limits = bounds(as_of, params, settings)
    everything, excluded = observed(limits, params, settings)
    kept = _labelled(everything)
    required = features.required_features(features.open_store(settings), params["feature_service"])
    check_required(everything, required)
    videos = int((kept["entity_day"] == 1).sum())
    if videos < MIN_LABELLED:
        raise TooFewRowsError(
            f"{params['model']} needs at least {MIN_LABELLED} labelled videos (observed on day 0, 1"
            f" and 3) before {as_of:%Y-%m-%d}, there are {videos}"
            f"{' from the world server' if limits['synthetic'] else ''}; ingest more days or set"
            " YTEMPIRE_DATA_DIR and import the panel"
        )
    log.info("%s labelled rows of %s videos", len(kept), videos)
    return TrendDataset(
        frame=kept,
        everything=everything,
        query=entity_query(limits),
        required=required,
        digest=frame_digest(everything),
        excluded=excluded,
        is_synthetic=limits["synthetic"],
        as_of=as_of,
    )


def own_observation(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep the rows whose features are those of the day they are about, oldest first.

    A row that became known late is joined with an older day's features and is left out.
    """
    import pandas as pd

    for column in ("event_timestamp", "label_known_at"):
        if column in frame:
            frame[column] = pd.to_datetime(frame[column], utc=True)
    kept = frame[frame["day_number"] == frame["entity_day"]]
    return kept.sort_values(["event_timestamp", "video_id", "entity_day"]).reset_index(drop=True)


def check_required(frame: pd.DataFrame, required: list[str]) -> None:
    """Raise if any row lacks a required feature.

    Raises:
        MissingFeatureError: naming the features of the first such row.
    """
    present = frame[required].notna()
    bad = ~present.all(axis=1)
    if bad.any():
        row = frame.loc[bad.idxmax()]
        known = {name: row[name] for name in required if present.loc[bad.idxmax(), name]}
        features.require(known, required, f"video {row['video_id']} ({int(bad.sum())} rows in all)")


def split_in_time(frame: pd.DataFrame, params: dict[str, Any], test_start: Any = None) -> Split:
    """Cut by prediction time, with a gap so that no training label reaches into a later part.

    Validation and test hold the first prediction of each video (day 1); training holds all days.

    Args:
        frame: labelled rows.
        params: of the model, with the shares of the parts.
        test_start: where the test begins; by its share by default.

    Raises:
        TooFewRowsError: if a part has too few rows of either outcome.
    """
    first = frame[frame["entity_day"] == 1]
    if test_start is None:
        test_start = _cut(first, params["test_share"])
    before = frame[frame["label_known_at"] < test_start]
    first_before = before[before["entity_day"] == 1]
    validation_start = _cut(first_before, params["validation_share"])
    train = before[before["label_known_at"] < validation_start]
    split = Split(
        train=train,
        validation=first_before[first_before["event_timestamp"] >= validation_start],
        test=first[first["event_timestamp"] >= test_start],
        growth_threshold=float(train.loc[train["entity_day"] == 1, "growth_48h"].median()),
        validation_start=validation_start,
        test_start=test_start,
    )
    for name in ("train", "validation", "test"):
        part = getattr(split, name)
        rising = int(split.rising(part).sum()) if len(part) else 0
        if len(part) < _MIN_SPLIT or not 0 < rising < len(part):
            raise TooFewRowsError(
                f"the {name} part has {len(part)} rows, {rising} of them rising; it needs at least"
                f" {_MIN_SPLIT} rows of both kinds: ingest more days"
            )
    return split


def _cut(frame: pd.DataFrame, share: float) -> Any:
    """The time from which the last `share` of the rows lies."""
    return frame["event_timestamp"].quantile(1 - share, interpolation="nearest")


def frame_digest(frame: pd.DataFrame) -> str:
    """Sha256 of the values of a frame, its column names included."""
    import pandas as pd

    columns = sorted(frame.columns)
    hashed = pd.util.hash_pandas_object(frame[columns], index=False).to_numpy()
    return hashlib.sha256(json.dumps(columns).encode() + hashed.tobytes()).hexdigest()
