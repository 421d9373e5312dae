"""What the API knows by heart of Postgres: topics with their videos, the platform's "now", figures.

Read in the background and replaced as a whole, so a request waits for no database.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import psycopg

from ml import clock
from ml.exceptions import ConfigurationError, ServiceUnavailableError
from ml.serving.background import apart
from ml.settings import Settings
from ml.storage.postgres import query, transaction

log = logging.getLogger(__name__)

REFRESH_S = 30.0
_SPACE = re.compile(r"\s+")
# A topic that no list has shown for longer has no fresh features either.
_TOPICS = """
select topic_id, label, keywords
from ml.topics
where status = 'active' and last_seen_at > %(as_of)s - interval '7 days'
order by last_seen_at, topic_id
"""
_VIDEOS = """
select assigned.topic_id, assigned.content_id as video_id, max(seen.views) as views
from ml.topic_assignments as assigned
inner join features.video_momentum as seen on seen.video_id = assigned.content_id
where
    assigned.source = 'youtube'
    and seen.event_at > %(as_of)s - interval '3 days'
    and seen.event_at <= %(as_of)s
group by 1, 2
order by 1, 3 desc, 2
"""
_FIGURES = """
select distinct on (model.model_name)
    model.model_name as model, model.version, figures.accuracy::float8 as accuracy,
    figures.precision_score::float8 as precision, figures.recall_score::float8 as recall,
    figures.f1_score::float8 as f1_score, figures.drift_score::float8 as prediction_drift
from ml.model_performance_metrics as figures
inner join ml.ml_models as model on model.id = figures.model_id
order by model.model_name, figures.metric_date desc, figures.created_at desc
"""
_BATCH = """
select
    entity_id, as_of, model_id::text as model_row, prediction,
    (input_data ->> 'day_number')::integer as day
from ml.model_predictions
where
    prediction_type = 'trend_video'
    and as_of = (
        select max(as_of) from ml.model_predictions
        where prediction_type = 'trend_video' and as_of <= %(as_of)s
    )
    and as_of > %(as_of)s - interval '3 days'
"""
# Postgres counts what is written to a table, so whether anything changed is known without reading
# it. Answers of the API are in the table of predictions as well: of that only the batch counts.
_MARK = """
with batch as (
    select max(as_of) as as_of from ml.model_predictions
    where prediction_type = 'trend_video' and as_of <= %(as_of)s
)
select concat_ws(
    ' ',
    date_trunc('hour', %(as_of)s::timestamptz),
    (
        select string_agg(
            concat_ws('/', relid, n_tup_ins, n_tup_upd, n_tup_del), ' ' order by relid
        )
        from pg_stat_all_tables
        where (schemaname, relname) in (
            ('ml', 'topics'), ('ml', 'topic_assignments'), ('features', 'video_momentum')
        )
    ),
    (
        select concat_ws('/', max(scored.as_of), count(*), max(scored.created_at))
        from ml.model_predictions as scored
        inner join batch on batch.as_of = scored.as_of
        where scored.prediction_type = 'trend_video'
    )
)
"""
_BUSINESS = """
select
    (select count(*) from content.videos)::float8 as videos_generated,
    (select avg(total) from (
        -- work for callers is no video
        select sum(cost_usd) as total from ops.cost_ledger where video_id not like 'job-%'
        group by video_id) as by_video)::float8 as cost_per_video,
    (select avg((verdict = 'published')::int) from content.videos)::float8 as quality_pass_rate,
    (select coalesce(sum(cost_usd), 0) from ops.cost_ledger)::float8 as api_costs
"""


@dataclass(frozen=True)
class Topic:
    """A topic and its videos on the charts, the most viewed first."""

    topic_id: str
    label: str
    videos: tuple[str, ...]


@dataclass(frozen=True)
class BatchScore:
    """What the last batch run said of a video, and when."""

    as_of: datetime
    model_row: str
    prediction: Mapping[str, Any]
    day: int | None = None


@dataclass(frozen=True)
class Contents:
    """One reading of Postgres.

    Attributes:
        topics: by id, and by name and key phrase in their canonical form.
        batch: the last batch prediction of each video.
        performance: the last figures of each model.
        business: the figures of generation.
        mark: what Postgres had counted by then; topics and batch hold for as long as it does.
    """

    as_of: datetime | None = None
    topics: Mapping[str, Topic] = field(default_factory=dict)
    batch: Mapping[str, BatchScore] = field(default_factory=dict)
    performance: tuple[Mapping[str, Any], ...] = ()
    business: Mapping[str, float | None] = field(default_factory=dict)
    mark: str = ""


def canonical(text: str) -> str:
    """A topic's name as it is looked up: one case, single spaces."""
    return _SPACE.sub(" ", text).strip().casefold()


class Catalog:
    """The last reading that worked, and what went wrong since."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.now = Contents()
        self.problem = "not read yet"

    def topic(self, name: str) -> Topic | None:
        """The topic of that id, name or key phrase that was seen last."""
        return self.now.topics.get(name) or self.now.topics.get(canonical(name))

    async def watch(self) -> None:
        """Read anew until cancelled."""
        while True:
            await apart(self.refresh)
            await asyncio.sleep(REFRESH_S)

    def refresh(self) -> None:
        """Read Postgres; without it what is known stays."""
        try:
            with transaction(self._settings.require("database_url")) as conn:
                conn.execute("set local statement_timeout = '20s'")
                self.now = _read(conn, self._settings, self.now)
            self.problem = ""
        except (ServiceUnavailableError, psycopg.Error) as error:
            # Everybody may read `/ready`; what Postgres says is for the log.
            text = f"Postgres: {type(error).__name__}"
            if text != self.problem:
                log.warning("the catalogue is not read anew: %s", error)
            self.problem = text


def _read(conn: psycopg.Connection, settings: Settings, before: Contents) -> Contents:
    performance = tuple(query(conn, _FIGURES))
    (business,) = query(conn, _BUSINESS)
    try:
        as_of = clock.as_of(conn, settings)
    except ConfigurationError:  # a platform that has seen nothing yet
        return Contents(performance=performance, business=business)
    bounds = {"as_of": as_of}
    [(mark,)] = conn.execute(_MARK, bounds).fetchall()
    if mark == before.mark:
        # Ten thousand topics take the interpreter from requests for a tenth of a second.
        return replace(before, as_of=as_of, performance=performance, business=business)
    videos: dict[str, list[str]] = {}
    for topic_id, video_id, _ in conn.execute(_VIDEOS, bounds):
        videos.setdefault(topic_id, []).append(video_id)
    topics: dict[str, Topic] = {}
    by_phrase: dict[str, Topic] = {}
    for topic_id, label, keywords in conn.execute(_TOPICS, bounds):
        topic = Topic(topic_id, label, tuple(videos.get(topic_id, ())))
        # In order of the last sight, so the newest of one name stays.
        topics[topic_id] = topics[canonical(label)] = topic
        by_phrase.update({canonical(word): topic for word in keywords or ()})
    batch = {video: BatchScore(*rest) for video, *rest in conn.execute(_BATCH, bounds)}
    return Contents(as_of, {**by_phrase, **topics}, batch, performance, business, mark)
