"""Drift and performance of the champions that answer for stories, topics, texts and segments.

Every answer of a model, of a batch or of the API, is a row of `ml.model_predictions` that says what
it was asked and what it said. Here the last week of them is compared with those of the same version
before it, by the tests of `ml.monitoring.shift` on counts of Postgres; a new champion begins with a
reference of its own. `quality_engagement` answers only where a video is made, too seldom for any
test: watched are the videos that it learns from. `trend_video` is watched where its features lie,
by `ml.monitoring.drift`.

How the rows of a model are read is one entry of `WATCHED`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import psycopg
from psycopg import sql

from ml.measures import binary_measures
from ml.monitoring import breaks, page, records
from ml.monitoring.drift import CURRENT_WINDOW, DriftReport, report_of
from ml.monitoring.outcomes import Performance
from ml.monitoring.profile import CURRENT, Relation, profile_relation
from ml.monitoring.windows import Windows
from ml.registry import releases
from ml.registry.releases import Release
from ml.settings import Settings, get_settings
from ml.storage.objects import ObjectStore
from ml.storage.postgres import transaction

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

_LOOKS_BACK = timedelta(days=90)
_MIN_ROWS = 30
_MOST_ROWS = 20_000
_SAMPLE_ROWS = 2000

Aspect = Literal["feature", "prediction"]

_ANSWERS = """
    select
        p.id, p.entity_id, p.input_data, p.prediction, p.actual_outcome,
        coalesce((p.input_data ->> 'event_timestamp')::timestamptz, p.as_of, p.created_at) as at
    from ml.model_predictions as p
    inner join ml.ml_models as m on m.id = p.model_id
    where m.model_name = {name} and m.version = {version}
        and p.prediction_type = any({kinds})
        and p.metadata ->> 'shadow' is distinct from 'true'
"""
# A profile is what was known of a video when it was first seen.
_VIDEOS = """
    select p.*, p.video_id as id, p.event_at as at
    from features.video_profile as p
    where p.is_synthetic = {synthetic} and p.event_at > {since} and p.available_at <= {as_of}
"""


@dataclass(frozen=True)
class Watched:
    """How the recorded answers of a model are read, or the rows that it learns from.

    Attributes:
        kinds: what its answers are called in `prediction_type`.
        columns: by name, what it is and its SQL over a row `p` of `rows`.
        categorical: which of the columns are texts.
        rows: SQL of the rows; each has an `id` and the moment `at`.
        features: SQL over that row for the rest of what the model was asked with, joined as `f`;
            empty where the row says it all.
        called, score: keys of the call and of its probability in the answer, where outcomes come.
    """

    kinds: tuple[str, ...]
    columns: Mapping[str, tuple[Aspect, str]]
    categorical: tuple[str, ...] = ()
    rows: str = _ANSWERS
    features: str = ""
    called: str = ""
    score: str = ""


def _said(name: str) -> tuple[Aspect, str]:
    return "prediction", f"(p.prediction ->> '{name}')::float8"


def _asked(name: str) -> tuple[Aspect, str]:
    return "feature", f"(p.input_data ->> '{name}')::float8"


def _of_text(name: str) -> tuple[Aspect, str]:
    """The mean of the texts of one request."""
    told = "select avg((each ->> '{}')::float8) from jsonb_array_elements(p.prediction -> 'scores')"
    return "prediction", f"({told.format(name)} as each)"


_TEXTS = "from jsonb_array_elements_text(p.input_data -> 'texts') as each"
# As known when the story was predicted, an hour after its entry.
_STORY_FEATURES = """
    left join lateral (
        select m.*, s.*
        from (
            select * from features.story_momentum
            where story_id = p.entity_id and event_at <= p.at and available_at <= p.at
            order by event_at desc, available_at desc limit 1
        ) as m
        cross join (
            select * from features.story_profile
            where story_id = p.entity_id and event_at <= p.at and available_at <= p.at
            order by event_at desc, available_at desc limit 1
        ) as s
    ) as f on true
"""
_STORY_NUMBERS = (
    "upvotes", "comments", "rank", "comments_per_upvote", "upvotes_per_h_since_entry",
    "rank_change_since_entry", "entry_upvotes", "entry_rank", "age_by_id_hours", "title_chars",
    "title_words", "host_mean_log_upvotes", "host_reach_share", "author_mean_log_upvotes",
)  # fmt: skip
_STORY_FLAGS = ("title_is_question", "title_has_number", "is_show", "is_ask", "has_link")
_TITLE_NUMBERS = (
    "log_duration", "title_chars", "title_words", "title_caps_share", "title_emoji_count",
)  # fmt: skip
_TITLE_FLAGS = ("title_has_question", "title_has_number")

WATCHED: Mapping[str, Watched] = {
    "trend_story": Watched(
        ("trend_story",),
        {
            **{name: ("feature", f"f.{name}::float8") for name in _STORY_NUMBERS},
            **{name: ("feature", f"f.{name}::integer::float8") for name in _STORY_FLAGS},
            "probability": _said("probability"),
            "reach_probability": _said("reach_probability"),
        },
        features=_STORY_FEATURES,
        called="rising",
        score="probability",
    ),
    "trend_topic": Watched(
        ("trend_topic",),
        {
            # What is usual of a topic is all that its own threshold is made of.
            "rise_threshold": ("feature", "(p.prediction ->> 'rise_threshold')::float8"),
            "rise_probability": _said("rise_probability"),
            "volume_48h": _said("volume_48h"),
            "volume_7d": _said("volume_7d"),
        },
        called="rises",
        score="rise_probability",
    ),
    "quality_policy": Watched(
        ("score/quality",),
        {
            "characters": ("feature", f"(select avg(length(each)) {_TEXTS})::float8"),
            "words": (
                "feature",
                f"(select avg(array_length(regexp_split_to_array(each, '\\s+'), 1)) {_TEXTS})"
                "::float8",
            ),
            **{name: _of_text(name) for name in ("toxicity", "spam", "clickbait")},
        },
    ),
    "quality_engagement": Watched(
        (),
        {
            **{name: ("feature", f"p.{name}::float8") for name in _TITLE_NUMBERS},
            **{name: ("feature", f"p.{name}::integer::float8") for name in _TITLE_FLAGS},
            "category_id": ("feature", "p.category_id::text"),
            "language": ("feature", "lower(split_part(p.language, '-', 1))"),
        },
        categorical=("category_id", "language"),
        rows=_VIDEOS,
    ),
    "audience_preference": Watched(
        ("audience_preference",),
        {
            "topics_seen": _asked("topics_seen"),
            "best_score": ("prediction", "(p.prediction #>> '{topics,0,score}')::float8"),
        },
    ),
}
_FIRST = "select min(p.at) from ({rows}) as p"
_CREATE = """
    create temporary table recorded on commit drop as
    with answers as ({rows}),

    numbered as (
        select
            *,
            case
                when at > {current_start} then {current}
                else floor(extract(epoch from at - {start}) / {block_s})::integer
            end as block,
            row_number() over (partition by at > {current_start} order by md5(id::text)) as place
        from answers
        where at >= {start} and at <= {as_of}
    )

    select p.block, {columns}
    from numbered as p
    {features}
    where p.place <= {most}
"""
_OUTCOMES = """
    select
        (p.prediction ->> %(score)s)::float8, (p.prediction ->> %(called)s)::boolean,
        (p.actual_outcome ->> %(called)s)::boolean
    from ml.model_predictions as p
    inner join ml.ml_models as m on m.id = p.model_id
    where m.model_name = %(name)s and m.version = %(version)s
        and p.prediction_type = any(%(kinds)s) and p.actual_outcome ? %(called)s
        and coalesce((p.input_data ->> 'event_timestamp')::timestamptz, p.as_of) > %(since)s
        and coalesce((p.input_data ->> 'event_timestamp')::timestamptz, p.as_of) <= %(as_of)s
"""
# Outcomes of the last week are those of predictions of up to four days before it.
_REACH = timedelta(days=4)


def watch_recorded(as_of: datetime, settings: Settings | None = None) -> dict[str, DriftReport]:
    """Compare the last week of answers of every champion in `WATCHED` with those before it.

    The report of one champion and moment is always the same row and object, as for `trend_video`.

    Returns:
        The reports by model; there is none of one without a champion, or with too few answers in
        one of the windows.
    """
    settings = settings or get_settings()
    found = {}
    for name, watched in WATCHED.items():
        release = releases.champion(name, settings)
        report = release and _watch(release, watched, as_of, settings)
        if report:
            log.info("drift of %s %s: %s", name, report.model_version, report.verdict)
            found[name] = report
    return found


def _watch(
    release: Release, watched: Watched, as_of: datetime, settings: Settings
) -> DriftReport | None:
    with transaction(settings.require("database_url")) as conn:
        windows = _windows(conn, release, watched, as_of)
        if windows is None:
            return None
        performance = _performance(conn, release, watched, windows)
        _create(conn, release, watched, windows)
        numeric = tuple(name for name in watched.columns if name not in watched.categorical)
        relation = Relation("recorded", numeric, watched.categorical)
        profiles = profile_relation(conn, relation)
        is_current = profiles[0].blocks == CURRENT
        rows = (int(profiles[0].rows[~is_current].sum()), int(profiles[0].rows[is_current].sum()))
        if min(rows) < _MIN_ROWS:
            return None
        blocks = [int(block) for block in profiles[0].blocks]
        shifts, _ = breaks.judge(profiles, windows.block_starts(blocks), [])
        frames = tuple(_sample(conn, current=current) for current in (False, True))
    if not shifts:
        return None
    verdicts: dict[str, Any] = {
        shift.name: "drift" if shift.is_shifted else "stable" for shift in shifts
    }
    report = report_of(release, windows, rows, verdicts, {}, performance)
    title = (
        f"{release.name} {release.version}: the week before {as_of:%Y-%m-%d %H:%M} UTC against"
        " the time before it"
    )
    html = page.render(title, shifts, verdicts, *frames)
    ObjectStore(settings).put_bytes(
        settings.bucket("reports"), report.report_key, html, "text/html; charset=utf-8"
    )
    aspects = {name: aspect for name, (aspect, _) in watched.columns.items()}
    records.write(report, shifts, aspects, verdicts, performance, release, settings)
    return report


def _about(release: Release, watched: Watched) -> dict[str, Any]:
    return {"name": release.name, "version": release.version, "kinds": list(watched.kinds)}


def _windows(
    conn: psycopg.Connection, release: Release, watched: Watched, as_of: datetime
) -> Windows | None:
    """From its first answer, or 90 days ago, to now; None if nothing lies before the last week."""
    rows = _rows(release, watched, as_of)
    row = conn.execute(sql.SQL(_FIRST).format(rows=rows)).fetchone()
    current_start = as_of - CURRENT_WINDOW
    if row is None or row[0] is None or row[0] >= current_start:
        return None
    return Windows(max(row[0], as_of - _LOOKS_BACK), current_start, current_start, as_of)


def _rows(release: Release, watched: Watched, as_of: datetime) -> sql.Composed:
    values = _about(release, watched) | {
        "as_of": as_of,
        "since": as_of - _LOOKS_BACK,
        "synthetic": release.tags.get("is_synthetic") == "true",
    }
    named = {name: sql.Literal(value) for name, value in values.items()}
    return sql.SQL(watched.rows).format(**named)


def _create(conn: psycopg.Connection, release: Release, watched: Watched, windows: Windows) -> None:
    columns = sql.SQL(", ").join(
        sql.SQL("{} as {}").format(sql.SQL(text), sql.Identifier(name))
        for name, (_, text) in watched.columns.items()
    )
    conn.execute("drop table if exists pg_temp.recorded")
    conn.execute(
        sql.SQL(_CREATE).format(
            rows=_rows(release, watched, windows.as_of),
            columns=columns,
            features=sql.SQL(watched.features),
            current=sql.Literal(CURRENT),
            block_s=sql.Literal(windows.block.total_seconds()),
            most=sql.Literal(_MOST_ROWS),
            **{
                name: sql.Literal(getattr(windows, name))
                for name in ("start", "current_start", "as_of")
            },
        )
    )
    conn.execute("analyze recorded")


def _sample(conn: psycopg.Connection, *, current: bool) -> pd.DataFrame:
    import pandas as pd

    cursor = conn.execute(
        "select * from recorded where (block = %s) = %s limit %s", (CURRENT, current, _SAMPLE_ROWS)
    )
    names = [column.name for column in cursor.description or ()]
    return pd.DataFrame(cursor.fetchall(), columns=names).drop(columns="block")


def _performance(
    conn: psycopg.Connection, release: Release, watched: Watched, windows: Windows
) -> Performance:
    """Measures of the calls whose outcome has come; the early-warning rules call a fall of them.

    They are no reason to call a decay here: the test figures of these models are of other rows.
    """
    import numpy as np

    nothing = Performance({}, {}, has_decayed=False)
    if not watched.called:
        return nothing
    values = _about(release, watched) | {
        "called": watched.called, "score": watched.score,
        "since": windows.current_start - _REACH, "as_of": windows.as_of,
    }  # fmt: skip
    rows = conn.execute(_OUTCOMES, values).fetchall()
    outcome = np.array([came for *_, came in rows], dtype=int)
    if len(rows) < _MIN_ROWS or not 0 < outcome.sum() < len(rows):
        return nothing
    score = np.array([row[0] for row in rows], dtype=float)
    called = np.array([row[1] for row in rows], dtype=bool)
    return Performance(binary_measures(outcome, score, called), {}, has_decayed=False)
