"""Assign the most watched and most discussed items of the last days to topics.

Reads the staging views, writes `ml.topics` and `ml.topic_assignments`. An item keeps its topic, a
topic its id. Repeating the call changes nothing.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import psycopg

from ml.settings import Settings, get_settings
from ml.storage.postgres import copy_rows, transaction
from ml.topics import embeddings
from ml.topics.clusters import (
    SIMILARITY,
    SIMILARITY_OTHER_SCRIPT,
    Membership,
    assign_to_leaders,
    medoid,
)
from ml.topics.embeddings import Vectors
from ml.topics.labels import clean_title, embedding_text, shared_phrase
from ml.topics.language import MOSTLY_ASCII, ascii_share, title_language

log = logging.getLogger(__name__)

# A topic that nobody has talked about for so long is over; a new wave is a new topic.
_TOPIC_LIFE = timedelta(days=60)
_LEADER = "topic_leader"

# Half of the places go to items declared English, which the content plan can use, half to the
# rest; places one side does not need go to the other. Stories share with videos in the same way.
_ITEMS = """
    with videos as (
        select distinct on (video_id)
            'youtube' as source, video_id as content_id, title, channel_title as creator, language,
            event_at, max(views) over video as interest, min(event_at) over video as first_at
        from staging.stg_youtube__video_observations
        where event_at > %(start)s and event_at <= %(as_of)s and available_at <= %(as_of)s
            and is_synthetic = %(synthetic)s
        window video as (partition by video_id)
        order by video_id, event_at desc, source, region
    ),
    stories as (
        select
            'hackernews' as source, items.item_id as content_id, items.title, null as creator,
            null as language, items.event_at, coalesce(max(snapshots.upvotes), 0) as interest,
            items.event_at as first_at
        from staging.stg_hackernews__items as items
        left join staging.stg_hackernews__snapshots as snapshots
            on snapshots.item_id = items.item_id and snapshots.event_at <= %(as_of)s
        where items.event_at > %(start)s and items.event_at <= %(as_of)s
            and items.available_at <= %(as_of)s and items.is_synthetic = %(synthetic)s
            and items.title is not null
        group by items.item_id, items.title, items.event_at
    ),
    ranked as (
        select *, row_number() over (
            partition by source, coalesce(language, '') like 'en%%'
            order by interest desc nulls last, content_id
        ) as place
        from (select * from videos union all select * from stories) as items
    )
    select source, content_id, title, creator, language, event_at, first_at
    from ranked
    order by place, source, language nulls last, content_id
    limit %(max_items)s
"""

_UPSERT_TOPICS = """
    insert into ml.topics as t (topic_id, label, language, first_seen_at, last_seen_at)
    select topic_id, label, language, first_seen_at, last_seen_at from load_topics
    on conflict (topic_id) do update set
        label = excluded.label, language = excluded.language,
        first_seen_at = least(t.first_seen_at, excluded.first_seen_at),
        last_seen_at = greatest(t.last_seen_at, excluded.last_seen_at)
"""


@dataclass(frozen=True)
class TopicCounts:
    """What a call did.

    Attributes:
        items: items looked at.
        embedded: titles that had no kept embedding.
        assigned: items that had no topic before.
        topics: topics these items belong to.
        new_topics: topics founded by this call.
        english_topics: of `topics`, those marked `en`.
    """

    items: int
    embedded: int
    assigned: int
    topics: int
    new_topics: int
    english_topics: int


@dataclass(frozen=True)
class _Item:
    source: str
    content_id: str
    title: str
    language: str | None
    event_at: datetime
    first_at: datetime

    @property
    def key(self) -> str:
        return f"{self.source}:{self.content_id}"


def assign_topics(
    as_of: datetime,
    window_days: int = 14,
    max_items: int = 1500,
    settings: Settings | None = None,
) -> TopicCounts:
    """Assign the items seen in the `window_days` before `as_of` to topics, at most `max_items`.

    Real items are used where there is a folder of archives, those of the world server otherwise.
    """
    settings = settings or get_settings()
    with transaction(settings.require("database_url")) as conn:
        # Two calls at once would found the same topic twice.
        conn.execute("select pg_advisory_xact_lock(hashtextextended('topics', 0))")
        items = _items(conn, as_of, window_days, max_items, synthetic=settings.data_dir is None)
        vectors, embedded = _embed(conn, items)
        before = _assigned(conn, items)
        new = [item for item in items if item.key not in before]
        memberships = _cluster(conn, new, vectors, as_of)
        _keep_leaders(conn, new, memberships, vectors)
        topic_of = {**before, **{k: m.topic_id for k, m in memberships.items()}}
        languages = _write_topics(conn, items, vectors, topic_of)
        _write_assignments(conn, new, memberships, as_of)
    counts = TopicCounts(
        items=len(items),
        embedded=embedded,
        assigned=len(new),
        topics=len(set(topic_of.values())),
        new_topics=sum(m.founded for m in memberships.values()),
        english_topics=sum(language == "en" for language in languages.values()),
    )
    log.info("topics: %s", counts)
    return counts


def _items(
    conn: psycopg.Connection, as_of: datetime, days: int, max_items: int, *, synthetic: bool
) -> list[_Item]:
    bounds = {
        "as_of": as_of,
        "start": as_of - timedelta(days=days),
        "max_items": max_items,
        "synthetic": synthetic,
    }
    return [
        _Item(
            source=source,
            content_id=content_id,
            title=clean_title(title, creator),
            language=title_language(title, language),
            event_at=event_at,
            first_at=first_at,
        )
        for source, content_id, title, creator, language, event_at, first_at in conn.execute(
            _ITEMS, bounds
        )
    ]


def _embed(conn: psycopg.Connection, items: Sequence[_Item]) -> tuple[dict[str, Vectors], int]:
    vectors: dict[str, Vectors] = {}
    embedded = 0
    for source in sorted({item.source for item in items}):
        texts = {
            item.content_id: embedding_text(item.title) for item in items if item.source == source
        }
        found, new = embeddings.cached(conn, f"{source}_title", texts)
        vectors |= {f"{source}:{content_id}": vector for content_id, vector in found.items()}
        embedded += new
    return vectors, embedded


def _assigned(conn: psycopg.Connection, items: Sequence[_Item]) -> dict[str, str]:
    rows = conn.execute(
        "select source || ':' || content_id, topic_id from ml.topic_assignments"
        " where content_id = any(%s)",
        ([item.content_id for item in items],),
    )
    wanted = {item.key for item in items}
    return {key: topic for key, topic in rows if key in wanted}


def _cluster(
    conn: psycopg.Connection, new: Sequence[_Item], vectors: Mapping[str, Vectors], as_of: datetime
) -> dict[str, Membership]:
    rows = conn.execute(
        "select topics.topic_id, leaders.embedding::text from ml.topics"
        " join ml.content_embeddings as leaders on leaders.content_id = topics.topic_id"
        " where leaders.content_type = %s and leaders.model_version = %s"
        " and topics.last_seen_at > %s order by topics.topic_id",
        (_LEADER, embeddings.MODEL_VERSION, as_of - _TOPIC_LIFE),
    ).fetchall()
    leaders = np.array([embeddings.from_text(text) for _, text in rows], dtype=np.float32)
    if not new:
        return {}
    found = assign_to_leaders(
        [item.key for item in new],
        np.stack([vectors[item.key] for item in new]),
        [topic for topic, _ in rows],
        leaders.reshape(len(rows), -1) if rows else np.zeros((0, 384), dtype=np.float32),
        [_threshold(item.title) for item in new],
    )
    return {item.key: membership for item, membership in zip(new, found, strict=True)}


def _threshold(title: str) -> float:
    return SIMILARITY if ascii_share(title) >= MOSTLY_ASCII else SIMILARITY_OTHER_SCRIPT


def _keep_leaders(
    conn: psycopg.Connection,
    new: Sequence[_Item],
    memberships: Mapping[str, Membership],
    vectors: Mapping[str, Vectors],
) -> None:
    founders = [item for item in new if memberships[item.key].founded]
    embeddings.keep(
        conn,
        _LEADER,
        {
            memberships[item.key].topic_id: (embedding_text(item.title), vectors[item.key])
            for item in founders
        },
    )


def _write_topics(
    conn: psycopg.Connection,
    items: Sequence[_Item],
    vectors: Mapping[str, Vectors],
    topic_of: Mapping[str, str],
) -> dict[str, str | None]:
    members: dict[str, list[_Item]] = defaultdict(list)
    for item in items:
        members[topic_of[item.key]].append(item)
    languages = {topic: _language(found) for topic, found in members.items()}
    rows = [
        (
            topic,
            _label(found, languages[topic], vectors),
            languages[topic],
            min(item.first_at for item in found),
            max(item.event_at for item in found),
        )
        for topic, found in sorted(members.items())
    ]
    columns = ("topic_id", "label", "language", "first_seen_at", "last_seen_at")
    conn.execute(
        "create temporary table load_topics (topic_id text, label text, language text,"
        " first_seen_at timestamptz, last_seen_at timestamptz) on commit drop"
    )
    copy_rows(conn, "load_topics", columns, rows)
    conn.execute(_UPSERT_TOPICS)
    return languages


def _label(members: Sequence[_Item], language: str | None, vectors: Mapping[str, Vectors]) -> str:
    """What most titles share, else the title in the middle of them.

    Phrases are only sought in English, whose stop words are known.
    """
    phrase = shared_phrase([item.title for item in members]) if language == "en" else None
    if phrase:
        return phrase
    middle = medoid(np.stack([vectors[item.key] for item in members]))
    return members[middle].title


def _language(members: Sequence[_Item]) -> str | None:
    """The language of more than half of the members, or none."""
    language, count = Counter(item.language for item in members).most_common(1)[0]
    return language if count * 2 > len(members) else None


def _write_assignments(
    conn: psycopg.Connection,
    new: Sequence[_Item],
    memberships: Mapping[str, Membership],
    as_of: datetime,
) -> None:
    columns = ("source", "content_id", "topic_id", "similarity", "assigned_as_of")
    rows = (
        (item.source, item.content_id, found.topic_id, found.similarity, as_of)
        for item in new
        if (found := memberships[item.key])
    )
    conn.execute(
        "create temporary table load_assignments (like ml.topic_assignments) on commit drop"
    )
    copy_rows(conn, "load_assignments", columns, rows)
    conn.execute(
        "insert into ml.topic_assignments select * from load_assignments on conflict do nothing"
    )
