"""Topics in Postgres: what was known, and what a run changed, in one transaction."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

import psycopg

from ml.storage.postgres import copy_rows
from ml.topics import embeddings
from ml.topics.embeddings import Vectors
from ml.topics.items import Item, Member
from ml.topics.space import Words

# A topic that nobody has shown for so long is over; a new wave is a new topic.
LIFE = timedelta(days=30)
# Under these types the vectors of topics stand among those of items, in the same index.
_CENTROID = "topic_centroid"
_ANCHOR = "topic_anchor"


@dataclass
class Topic:
    """A topic with all of its items.

    Attributes:
        anchor: mean embedding of its first items, once there are enough of them.
        centroid: mean embedding of its items, not far from the anchor.
    """

    topic_id: str
    first_seen_at: datetime
    last_seen_at: datetime
    label: str = ""
    language: str | None = None
    keywords: list[str] = field(default_factory=list)
    anchor: Vectors | None = None
    centroid: Vectors | None = None
    members: list[Member] = field(default_factory=list)


@dataclass(frozen=True)
class Change:
    """A merge (`topic_id` went up in `other_topic_id`) or a split (that was parted from this)."""

    topic_id: str
    kind: Literal["merge", "split"]
    other_topic_id: str
    items: int


@dataclass(frozen=True)
class Assignment:
    """An item and its topic, new or moved, and how near they are (cosine of the embeddings)."""

    member: Member
    topic_id: str
    similarity: float


def read_topics(conn: psycopg.Connection, as_of: datetime) -> list[Topic]:
    """Topics that can take items as of a moment, by id, with their members."""
    bounds = {"start": as_of - LIFE, "end": as_of + LIFE}
    members: dict[str, list[Member]] = defaultdict(list)
    for topic_id, source, content_id, title, tags, language, first_at in conn.execute(
        "select a.topic_id, a.source, a.content_id, coalesce(a.title, ''), a.tags, a.language,"
        " coalesce(a.first_seen_at, a.assigned_as_of)"
        " from ml.topic_assignments as a join ml.topics as t using (topic_id)"
        " where t.status <> 'merged' and t.last_seen_at > %(start)s and t.first_seen_at < %(end)s"
        " order by a.source, a.content_id",
        bounds,
    ):
        member = Member(source, content_id, Words(title, tuple(tags)), language, first_at)
        members[topic_id].append(member)
    rows = conn.execute(
        "select topic_id, first_seen_at, last_seen_at, label, language, keywords from ml.topics"
        " where status <> 'merged' and last_seen_at > %(start)s and first_seen_at < %(end)s"
        " order by topic_id",
        bounds,
    ).fetchall()
    centroids = embeddings.read(conn, _CENTROID, [row[0] for row in rows])
    anchors = embeddings.read(conn, _ANCHOR, [row[0] for row in rows])
    return [
        Topic(
            topic_id=topic_id,
            first_seen_at=first,
            last_seen_at=last,
            label=label,
            language=language,
            keywords=keywords,
            anchor=anchors.get(topic_id),
            centroid=centroids[topic_id],
            members=members[topic_id],
        )
        for topic_id, first, last, label, language, keywords in rows
        if topic_id in centroids and members[topic_id]
    ]


def read_assigned(conn: psycopg.Connection, items: Sequence[Item]) -> dict[str, str]:
    """The topic of each item that has one, by key."""
    rows = conn.execute(
        "select source || ':' || content_id, topic_id from ml.topic_assignments"
        " where content_id = any(%s)",
        ([item.content_id for item in items],),
    )
    wanted = {item.key for item in items}
    return {key: topic for key, topic in rows if key in wanted}


def write_topics(conn: psycopg.Connection, topics: Collection[Topic]) -> None:
    """Insert or replace topics."""
    columns = (
        "topic_id", "label", "language", "keywords", "first_seen_at", "last_seen_at", "items",
    )  # fmt: skip
    conn.execute("drop table if exists load_topics")
    conn.execute(
        "create temporary table load_topics on commit drop as select topic_id, label, language,"
        " keywords, first_seen_at, last_seen_at, items from ml.topics with no data"
    )
    rows = (
        (
            topic.topic_id, topic.label, topic.language, json.dumps(topic.keywords),
            topic.first_seen_at, topic.last_seen_at, len(topic.members),
        )
        for topic in topics
    )  # fmt: skip
    copy_rows(conn, "load_topics", columns, rows)
    conn.execute(
        "insert into ml.topics as t (topic_id, label, language, keywords, first_seen_at,"
        " last_seen_at, items) select * from load_topics order by topic_id"
        " on conflict (topic_id) do update set label = excluded.label,"
        " language = excluded.language, keywords = excluded.keywords,"
        " first_seen_at = least(t.first_seen_at, excluded.first_seen_at),"
        " last_seen_at = greatest(t.last_seen_at, excluded.last_seen_at),"
        " items = excluded.items"
    )
    vectors = {t.topic_id: t.centroid for t in topics if t.centroid is not None}
    embeddings.keep(conn, _CENTROID, vectors)
    anchors = {t.topic_id: t.anchor for t in topics if t.anchor is not None}
    embeddings.keep(conn, _ANCHOR, anchors)
    embeddings.forget(conn, _ANCHOR, [t.topic_id for t in topics if t.anchor is None])


def write_assignments(
    conn: psycopg.Connection, assignments: Collection[Assignment], as_of: datetime
) -> None:
    """Insert assignments; one that is there moves to its new topic and keeps when it was made."""
    columns = (
        "source", "content_id", "topic_id", "similarity", "assigned_as_of", "title", "tags",
        "language", "first_seen_at",
    )  # fmt: skip
    conn.execute("drop table if exists load_assignments")
    conn.execute(
        "create temporary table load_assignments (like ml.topic_assignments) on commit drop"
    )
    rows = (
        (
            member.source, member.content_id, found.topic_id, found.similarity, as_of,
            member.words.title, json.dumps(member.words.tags), member.language, member.first_at,
        )
        for found in assignments
        if (member := found.member)
    )  # fmt: skip
    copy_rows(conn, "load_assignments", columns, rows)
    conn.execute(
        "insert into ml.topic_assignments select * from load_assignments"
        " order by source, content_id on conflict (source, content_id) do update"
        " set topic_id = excluded.topic_id, similarity = excluded.similarity"
    )


def write_changes(conn: psycopg.Connection, changes: Sequence[Change], as_of: datetime) -> None:
    """Record merges and splits; a merged id leads straight to the topic that is left."""
    with conn.cursor() as cursor:
        cursor.executemany(
            "insert into ml.topic_changes (topic_id, kind, other_topic_id, as_of, items)"
            " values (%s, %s, %s, %s, %s) on conflict do nothing",
            [(c.topic_id, c.kind, c.other_topic_id, as_of, c.items) for c in changes],
        )
        for change in changes:
            if change.kind == "merge":
                cursor.execute(
                    "update ml.topics set status = 'merged', items = 0, merged_into = %(into)s"
                    " where topic_id = %(gone)s or merged_into = %(gone)s",
                    {"into": change.other_topic_id, "gone": change.topic_id},
                )
    merged = [change.topic_id for change in changes if change.kind == "merge"]
    embeddings.forget(conn, _CENTROID, merged)
    embeddings.forget(conn, _ANCHOR, merged)


def mark_seen(conn: psycopg.Connection, seen: Mapping[str, datetime]) -> None:
    """Move `last_seen_at` forward."""
    conn.execute(
        "update ml.topics as t set last_seen_at = seen.at"
        " from unnest(%s::text[], %s::timestamptz[]) as seen (topic_id, at)"
        " where t.topic_id = seen.topic_id and t.last_seen_at < seen.at",
        (list(seen), list(seen.values())),
    )


def mark_dormant(conn: psycopg.Connection, as_of: datetime) -> int:
    """Set the status of topics by when they were last seen before the newest run.

    A run for an earlier moment therefore wakes none up and puts none to sleep.

    Returns:
        How many went dormant.
    """
    row = conn.execute(
        "select greatest(%s, max(assigned_as_of)) from ml.topic_assignments", (as_of,)
    ).fetchone()
    over = (row[0] if row else as_of) - LIFE
    conn.execute(
        "update ml.topics set status = 'active' where status = 'dormant' and last_seen_at > %s",
        (over,),
    )
    return conn.execute(
        "update ml.topics set status = 'dormant' where status = 'active' and last_seen_at <= %s",
        (over,),
    ).rowcount


def count_english(conn: psycopg.Connection, topic_ids: Sequence[str]) -> int:
    """How many of these topics are marked English."""
    row = conn.execute(
        "select count(*) from ml.topics where topic_id = any(%s) and language = 'en'",
        (list(topic_ids),),
    ).fetchone()
    return int(row[0]) if row else 0


def current_topic(conn: psycopg.Connection, topic_id: str) -> str | None:
    """The id that a topic goes by now: its own, or that of the topic it went up in.

    None if there never was such a topic.
    """
    row = conn.execute(
        "select coalesce(merged_into, topic_id) from ml.topics where topic_id = %s", (topic_id,)
    ).fetchone()
    return row[0] if row else None
