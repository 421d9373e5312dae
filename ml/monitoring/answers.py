"""What came of what the models said: the outcomes of predictions, once they are known.

A prediction of the API counts like one of a batch: both say which day of a video, or which story,
they are about and from where on they call it rising. The outcome lies beside them in
`ml.model_predictions`; the health of a rollout and the measures of each day are made of it.
"""

from __future__ import annotations

import logging
import math
from datetime import date, datetime, timedelta

import psycopg

from ml.exceptions import TooFewRowsError
from ml.settings import Settings, get_settings
from ml.storage.postgres import transaction
from ml.trend.story.dataset import entry_query, outcomes
from ml.trend.story.predict import PREDICTION_TYPE as STORY
from ml.trend.topic.candidates import load_params
from ml.trend.topic.dataset import read_dataset
from ml.trend.topic.predict import PREDICTION_TYPE as TOPIC

log = logging.getLogger(__name__)

# As the platform's clock has it: an outcome that has not come by then does not come.
_WAITS = timedelta(days=30)
_SLACK = timedelta(hours=2)  # between the entry of a story and its prediction
# The label of the training: the growth from the day that the prediction saw to the second next.
_VIDEOS = """
    update ml.model_predictions as p
    set actual_outcome = jsonb_build_object(
        'rising', known.growth > (p.prediction ->> 'growth_threshold')::float8,
        'growth_48h', round(known.growth::numeric, 6),
        'known_at', known.at
    )
    from (
        select
            asked.id,
            greatest(later.event_at, later.available_at) as at,
            ln(greatest(later.views, 1)::float8 / greatest(seen.views, 1)) as growth
        from ml.model_predictions as asked
        inner join features.video_momentum as seen
            on
                asked.entity_id = seen.video_id
                and (asked.input_data ->> 'day_number')::integer = seen.day_number
        inner join features.video_momentum as later
            on seen.video_id = later.video_id and seen.day_number + 2 = later.day_number
        where
            asked.prediction_type in ('trend_video', 'predict/video')
            and asked.actual_outcome is null
            and asked.prediction ? 'growth_threshold'
            and asked.created_at > now() - %(waits)s
            and seen.is_synthetic = %(synthetic)s and later.is_synthetic = %(synthetic)s
            and later.event_at <= %(as_of)s and later.available_at <= %(as_of)s
    ) as known
    where p.id = known.id
"""
_WAITING_STORIES = """
    select id::text, entity_id, (input_data ->> 'event_timestamp')::timestamptz
    from ml.model_predictions
    where
        prediction_type = %(type)s and actual_outcome is null
        and created_at > now() - %(waits)s
        and (input_data ->> 'event_timestamp')::timestamptz <= %(as_of)s
"""
_STORIES = """
    update ml.model_predictions as p
    set actual_outcome = jsonb_build_object(
        'rising', known.upvotes > exp((p.prediction ->> 'growth_threshold')::float8)
            * greatest((p.input_data ->> 'upvotes')::float8, 1),
        'most_upvotes', known.upvotes,
        'known_at', known.at
    )
    from unnest(%s::uuid[], %s::bigint[], %s::timestamptz[]) as known (id, upvotes, at)
    where p.id = known.id
"""
_WAITING_TOPICS = """
    select id::text, entity_id, (input_data ->> 'last_day')::date,
        (prediction ->> 'rise_threshold')::float8
    from ml.model_predictions
    where
        prediction_type = %(type)s and actual_outcome is null
        and created_at > now() - %(waits)s
        and (input_data ->> 'last_day')::date + 3 <= (%(as_of)s at time zone 'UTC')::date
"""
_TOPICS = """
    update ml.model_predictions as p
    set actual_outcome = jsonb_build_object('rises', known.rises, 'volume_48h', known.volume)
    from unnest(%s::uuid[], %s::boolean[], %s::float8[]) as known (id, rises, volume)
    where p.id = known.id
"""


def join_outcomes(as_of: datetime, settings: Settings | None = None) -> dict[str, int]:
    """Write the outcome of every prediction that was waiting for one and has it by `as_of`.

    Repeating it changes nothing: an outcome is written once.

    Returns:
        How many outcomes were written, by `video`, `story` and `topic`.
    """
    settings = settings or get_settings()
    asked = {"waits": _WAITS, "as_of": as_of, "synthetic": settings.data_dir is None}
    with transaction(settings.require("database_url")) as conn:
        written = {
            "video": conn.execute(_VIDEOS, asked).rowcount,
            "story": _join_stories(conn, as_of, settings),
            "topic": _join_topics(conn, as_of, settings),
        }
    log.info("outcomes as of %s: %s", as_of, written)
    return written


def _join_stories(conn: psycopg.Connection, as_of: datetime, settings: Settings) -> int:
    values = {"waits": _WAITS, "as_of": as_of, "type": STORY}
    waiting = conn.execute(_WAITING_STORIES, values).fetchall()
    if not waiting:
        return 0
    first = min(row[2] for row in waiting) - _SLACK
    entries = entry_query(first, as_of, synthetic=settings.data_dir is None)
    known = outcomes(entries, as_of, settings).set_index("story_id")
    ids = [(row[0], row[1]) for row in waiting if row[1] in known.index]
    came = known.loc[[story for _, story in ids]]
    columns = (
        [prediction for prediction, _ in ids],
        came["most_upvotes"].tolist(),
        [at.to_pydatetime() for at in came["label_known_at"]],
    )
    return conn.execute(_STORIES, columns).rowcount


def _join_topics(conn: psycopg.Connection, as_of: datetime, settings: Settings) -> int:
    """The volume of the two days after the last one that the forecast knew."""
    values = {"waits": _WAITS, "as_of": as_of, "type": TOPIC}
    waiting = conn.execute(_WAITING_TOPICS, values).fetchall()
    if not waiting:
        return 0
    try:
        panel = read_dataset(as_of, load_params(), settings).panel()
    except TooFewRowsError as error:
        # The rows of the simulated world, for example, once archives are used instead.
        log.warning("no outcome of %d forecasts of topics: %s", len(waiting), error)
        return 0
    place = {name: row for row, name in enumerate(panel.names)}
    ids, rises, volumes = [], [], []
    for prediction, series, last_day, threshold in waiting:
        first = (last_day - date(1970, 1, 1)).days + 1 - panel.start
        if series not in place or first < 0 or first + 2 > panel.steps:
            continue
        volume = float(panel.values[place[series], first : first + 2].sum())
        if math.isfinite(volume):  # a day that is not known makes it NaN
            ids.append(prediction)
            rises.append(volume > threshold)
            volumes.append(volume)
    return conn.execute(_TOPICS, (ids, rises, volumes)).rowcount
