"""What is compared: the first prediction of each video, in the champion's training and lately.

The features lie where they are: a temporary table joins those that were known at the moment of
each prediction, and is profiled where it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import psycopg
from psycopg import sql

from ml.monitoring.profile import CURRENT, Relation

if TYPE_CHECKING:
    import pandas as pd

# The tables behind the feature views of the video services; a test holds them together.
VIDEO_TABLES = (
    "video_momentum",
    "video_dynamics",
    "video_standing",
    "video_profile",
    "video_text",
)
CATEGORICAL = frozenset({"category_id", "language", "made_for_kids"})
# Steps of the calendar and counters that only grow differ between any two windows and say nothing.
NOT_COMPARED = frozenset(
    {
        "day_number",
        "standing_day",
        "days_observed",
        "observed_hour",
        "observed_dow",
        "is_weekend",
        "published_dow",
        "hours_since_first",
        "channel_videos_before",
        "channel_videos",
        "channel_outcomes",
        "day_share",
        "day_sine",
        "day_cosine",
        "week_sine",
        "week_cosine",
        "weekend_days_ahead",
    }
)
_MOST_REFERENCE_ROWS = 20_000
_LEAST_BLOCKS = 6
_DAY = timedelta(days=1)

_ENTITIES = """
    select
        video_id, event_at, greatest(event_at, available_at) as event_timestamp,
        case
            when event_at > {current_start} then {current}
            else {first_block}
                + floor(extract(epoch from event_at - {start}) / {block_s})::integer
        end as block,
        row_number() over (
            partition by event_at > {current_start} order by md5(video_id)
        ) as place
    from features.video_standing
    where is_synthetic = {synthetic}
        and standing_day = 1
        and (event_at > {current_start} or event_at between {start} and {end})
        and event_at <= {as_of}
        and available_at <= {as_of}
"""
_CREATE = """
    create temporary table watched on commit drop as
    select e.block, e.video_id, e.event_timestamp, {columns}
    from ({entities}) as e
    {joins}
    -- A row that became known late would be joined with an older day's features.
    where e.place <= {rows} and video_momentum.day_number = 1
"""
_JOIN = """
    left join lateral (
        select {columns} from features.{table} as f
        where f.video_id = e.video_id and f.event_at <= e.event_at
            and f.available_at <= e.event_timestamp
        order by f.event_at desc, f.available_at desc limit 1
    ) as {table} on true
"""


@dataclass(frozen=True)
class Windows:
    """A reference in equal blocks, and the window that is compared with it.

    Attributes:
        start: of the reference.
        end: of the reference; what lies in the window too belongs to the window.
        current_start: of the window.
        as_of: end of the window.
        first_block: number of the first block: those of two references are told apart by it.
        block: length of a block: that of the window, or a day where the reference is short.
    """

    start: datetime
    end: datetime
    current_start: datetime
    as_of: datetime
    first_block: int = 0
    block: timedelta = field(init=False)

    def __post_init__(self) -> None:
        """Choose the blocks."""
        window = self.as_of - self.current_start
        usable = min(self.end, self.current_start) - self.start
        object.__setattr__(self, "block", window if usable >= _LEAST_BLOCKS * window else _DAY)

    def block_starts(self, blocks: Sequence[int]) -> Mapping[int, datetime]:
        """When each block of the reference begins."""
        return {
            int(each): self.start + (int(each) - self.first_block) * self.block
            for each in blocks
            if each != CURRENT
        }


def create_watched(
    conn: psycopg.Connection, windows: Windows, columns: Sequence[str], *, synthetic: bool
) -> Relation:
    """Make the temporary table `watched` of the features of both windows, instead of any before it.

    It goes with the transaction.

    Args:
        conn: in a transaction.
        windows: which rows.
        columns: features that the model takes.
        synthetic: whether rows of the world server count, or real ones.

    Returns:
        What of it is compared.
    """
    of_table = _columns_of(conn, [*columns, "day_number"])
    joins = [
        sql.SQL(_JOIN).format(
            table=sql.Identifier(table),
            columns=sql.SQL(", ").join(sql.Identifier("f", name) for name in names),
        )
        for table, names in _grouped(of_table).items()
    ]
    entities = sql.SQL(_ENTITIES).format(
        current=sql.Literal(CURRENT),
        block_s=sql.Literal(windows.block.total_seconds()),
        first_block=sql.Literal(windows.first_block),
        synthetic=sql.Literal(synthetic),
        **{
            name: sql.Literal(getattr(windows, name))
            for name in ("start", "end", "current_start", "as_of")
        },
    )
    conn.execute("drop table if exists pg_temp.watched")
    conn.execute(
        sql.SQL(_CREATE).format(
            columns=sql.SQL(", ").join(_typed(name, *of_table[name]) for name in columns),
            entities=entities,
            joins=sql.SQL("").join(joins),
            rows=sql.Literal(_MOST_REFERENCE_ROWS),
        )
    )
    conn.execute("analyze watched")
    compared = [name for name in columns if name not in NOT_COMPARED]
    return Relation(
        "watched",
        numeric=tuple(name for name in compared if name not in CATEGORICAL),
        categorical=tuple(name for name in compared if name in CATEGORICAL),
    )


def sample(conn: psycopg.Connection, rows: int) -> pd.DataFrame:
    """At most that many rows of the reference, and of the window, chosen by a hash of the id."""
    import pandas as pd

    cursor = conn.execute(
        "select * from (select *, row_number() over (partition by block = %s order by"
        " md5(video_id)) as place from watched) as numbered where place <= %s"
        " order by event_timestamp, video_id",
        (CURRENT, rows),
    )
    names = [column.name for column in cursor.description or ()]
    return pd.DataFrame(cursor.fetchall(), columns=names).drop(columns="place")


def title_axes(conn: psycopg.Connection, axes: int, rows: int) -> pd.DataFrame:
    """Embeddings of the titles along the principal axes of those of the reference.

    Every other title of the reference gives the axes and is left out: along its own axes a sample
    varies more than what comes after it.

    Returns:
        `block` and `title_axis_1` and so on, at most `rows` of each window; empty where there are
        too few embedded titles.
    """
    import pandas as pd

    from ml.topics.embeddings import MODEL_VERSION, from_bytes

    # Two sources may have embedded the title of one video, and two encoders share no axes.
    found = conn.execute(
        "select distinct on (w.video_id) w.block, vector_send(e.embedding)"
        " from (select video_id, block, row_number() over"
        " (partition by block = %s order by md5(video_id)) as place from watched) as w"
        " inner join ml.content_embeddings as e on e.content_id = w.video_id"
        " and e.content_type like 'youtube%%title' and e.model_version = %s"
        " where w.place <= %s order by w.video_id, e.content_type",
        (CURRENT, MODEL_VERSION, rows),
    ).fetchall()

    blocks = np.array([row[0] for row in found], dtype=np.int64)
    if (blocks != CURRENT).sum() <= 4 * axes or not (blocks == CURRENT).any():
        return pd.DataFrame()
    vectors = np.stack([from_bytes(row[1]) for row in found]).astype(float)
    gives_axes = np.zeros(len(blocks), dtype=bool)
    gives_axes[np.flatnonzero(blocks != CURRENT)[::2]] = True
    reference = vectors[gives_axes]
    centre = reference.mean(axis=0)
    _, directions = np.linalg.eigh(np.cov(reference - centre, rowvar=False))
    along = (vectors[~gives_axes] - centre) @ directions[:, ::-1][:, :axes]
    frame = pd.DataFrame(along, columns=[f"title_axis_{n + 1}" for n in range(axes)])
    return frame.assign(block=blocks[~gives_axes])


def _columns_of(conn: psycopg.Connection, columns: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Table and type of each feature.

    Raises:
        FatalError: if the model takes a feature that no table has.
    """
    from ml.exceptions import FatalError

    rows = conn.execute(
        "select column_name, table_name, data_type from information_schema.columns"
        " where table_schema = 'features' and table_name = any(%s)"
        " order by array_position(%s, table_name::text) desc",
        (list(VIDEO_TABLES), list(VIDEO_TABLES)),
    ).fetchall()
    known = {name: (table, kind) for name, table, kind in rows}
    unknown = [name for name in columns if name not in known]
    if unknown:
        raise FatalError(
            f"no feature table has {', '.join(unknown[:5])}: the champion is of another age, train"
            " it anew"
        )
    return {name: known[name] for name in columns}


def _grouped(of_table: Mapping[str, tuple[str, str]]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name, (table, _) in of_table.items():
        groups.setdefault(table, []).append(name)
    return groups


def _typed(name: str, table: str, kind: str) -> sql.Composable:
    column = sql.Identifier(table, name)
    template: Any = "{}::integer as {}" if kind == "boolean" else "{} as {}"
    return sql.SQL(template).format(column, sql.Identifier(name))
