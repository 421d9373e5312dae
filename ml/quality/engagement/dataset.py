"""Which videos had which title and what came of them, as far as it was known at a moment.

A row is a video of at least a day at its last observation before two weeks of age. Its inputs are
what was known when it was published: its own title, and the titles of earlier videos of its channel
that had been seen by then.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ml.exceptions import TooFewRowsError
from ml.settings import Settings
from ml.storage.postgres import connect

if TYPE_CHECKING:
    import pandas as pd

NAME = "quality_engagement"
_PARAMS = Path(__file__).parent / "params" / "quality_engagement.yaml"

COLUMNS = (
    "video_id", "channel", "title", "category_id", "language", "duration_s", "published_at",
    "first_known_at", "known_at", "age_hours", "views", "likes", "comments", "retention",
)  # fmt: skip
QUERY = """
    with known as (
        select *, greatest(event_at, available_at) as known_at
        from marts.fct_video_daily
        where is_synthetic = %(synthetic)s
            and event_at > %(start)s
            and event_at <= %(as_of)s
            and available_at <= %(as_of)s
            and coalesce(channel_id, channel_title) is not null
    ),
    first_sights as (
        select video_id, min(known_at) as first_known_at from known group by video_id
    ),
    outcomes as (
        select distinct on (video_id) *
        from known
        where age_hours between %(min_age_hours)s and %(max_age_hours)s
            and views >= %(min_views)s
            and likes > 0
        order by video_id, event_at desc
    ),
    retention as (
        select
            record_id as video_id,
            sum((payload ->> 'average_view_percent')::double precision
                * (payload ->> 'views')::double precision)
                / nullif(sum((payload ->> 'views')::double precision), 0) as retention
        from raw.records
        where source = 'youtube_analytics' and kind = 'video_day' and region = 'ZZ'
            and is_synthetic = %(synthetic)s
            and event_at <= %(as_of)s
            and available_at <= %(as_of)s
        group by record_id
    )
    select
        outcomes.video_id,
        coalesce(outcomes.channel_id, outcomes.channel_title),
        outcomes.title,
        outcomes.category_id,
        lower(split_part(outcomes.language, '-', 1)),
        profiles.duration_s,
        outcomes.published_at,
        first_sights.first_known_at,
        outcomes.known_at,
        outcomes.age_hours,
        outcomes.views,
        outcomes.likes,
        outcomes.comments,
        retention.retention
    from outcomes
    inner join first_sights on outcomes.video_id = first_sights.video_id
    left join features.video_profile as profiles
        on outcomes.video_id = profiles.video_id and profiles.available_at <= %(as_of)s
    left join retention on outcomes.video_id = retention.video_id
"""


@dataclass(frozen=True)
class EngagementDataset:
    """What was known at a moment.

    Attributes:
        rows: `COLUMNS`, and the inputs of the model, oldest publication first.
        digest: sha256 of the rows.
        bounds: parameters of the query.
    """

    rows: pd.DataFrame
    digest: str
    bounds: dict[str, Any]


def load_params() -> dict[str, Any]:
    """Read the parameters kept in the repository."""
    import yaml

    values: dict[str, Any] = yaml.safe_load(_PARAMS.read_text())
    return values


def build_dataset(
    as_of: datetime, params: dict[str, Any], settings: Settings, synthetic: bool | None = None
) -> EngagementDataset:
    """Read the rows to train on: real ones where archives are, else synthetic ones.

    Args:
        as_of: "now"; rows observed or available later do not exist.
        params: of the model.
        settings: those of the process.
        synthetic: which rows count, where the caller knows (a model is fed what it was trained on).

    Raises:
        TooFewRowsError: if there are too few videos of channels with several.
    """
    import pandas as pd

    bounds = {
        "synthetic": settings.data_dir is None if synthetic is None else synthetic,
        "start": as_of - timedelta(days=params["window_days"]),
        "as_of": as_of,
        **{name: params[name] for name in ("min_age_hours", "max_age_hours", "min_views")},
    }
    with connect(settings.require("database_url")) as conn:
        frame = pd.DataFrame(conn.execute(QUERY, bounds).fetchall(), columns=list(COLUMNS))
    rows = prepare(frame, params)
    if len(rows) < params["min_rows"]:
        raise TooFewRowsError(
            f"{NAME} needs at least {params['min_rows']} videos with a known outcome, of channels"
            f" with {params['min_videos']} or more, before {as_of:%Y-%m-%d}; there are {len(rows)}"
            f"{' from the world server' if bounds['synthetic'] else ''}; ingest more days or"
            " countries and run build_marts"
        )
    return EngagementDataset(rows, digest(rows), bounds)


def prepare(frame: pd.DataFrame, params: dict[str, Any]) -> pd.DataFrame:
    """Type the columns, keep whole channels up to `max_videos`, add what came earlier.

    Channels are kept in the order of a hash of their name, the same ones in every run.
    """
    import pandas as pd

    rows = frame[frame["title"].str.strip() != ""].copy()
    for name in ("published_at", "first_known_at", "known_at"):
        rows[name] = pd.to_datetime(rows[name], utc=True)
    numbers = ("category_id", "duration_s", "age_hours", "views", "likes", "comments", "retention")
    rows = rows.astype(dict.fromkeys(numbers, "float64"))
    rows["language"] = rows["language"].fillna("und").astype(str)
    rows["title"] = [" ".join(title.split()) for title in rows["title"]]
    counts = rows.groupby("channel").size()
    counts = counts[counts >= params["min_videos"]]
    order = sorted(counts.index, key=lambda name: hashlib.sha256(str(name).encode()).hexdigest())
    kept = set(counts[order].index[counts[order].cumsum() <= params["max_videos"]])
    rows = rows[rows["channel"].isin(kept)].sort_values(["published_at", "video_id"])
    return _with_history(rows.reset_index(drop=True), params["earlier_titles"])


def digest(rows: pd.DataFrame) -> str:
    """Sha256 of the values of the rows."""
    import pandas as pd

    hashed = pd.util.hash_pandas_object(rows[sorted(rows)], index=False).to_numpy()
    return hashlib.sha256(json.dumps(sorted(rows)).encode() + hashed.tobytes()).hexdigest()


def _with_history(rows: pd.DataFrame, count: int) -> pd.DataFrame:
    """Add `earlier_titles`, oldest first and one a line, and the `usual_duration_s` of them.

    Earlier is what was published before and had been seen when the video was published.
    """
    titles = rows["title"].to_numpy(dtype=object)
    durations = rows["duration_s"].to_numpy()
    published = rows["published_at"].to_numpy()
    seen = rows["first_known_at"].to_numpy()
    earlier, usual = np.full(len(rows), "", dtype=object), np.full(len(rows), np.nan)
    for inside in rows.groupby("channel").indices.values():
        for place, row in enumerate(inside):
            before = inside[:place]
            before = before[seen[before] <= published[row]][-count:]
            if len(before):
                earlier[row] = "\n".join(titles[before])
                known = durations[before][~np.isnan(durations[before])]
                usual[row] = np.median(known) if len(known) else np.nan
    return rows.assign(earlier_titles=earlier, usual_duration_s=usual)
