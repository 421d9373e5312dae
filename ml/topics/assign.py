"""Assign the most watched and most discussed items of the last days to topics.

Reads the staging views, writes `ml.topics`, `ml.topic_assignments` and `ml.topic_changes`. Items
keep their topics and topics their ids, unless topics merge or split, which is recorded. Repeating
the call changes nothing: only items without a topic move anything.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

import psycopg

from ml.settings import Settings, get_settings
from ml.storage.postgres import transaction
from ml.topics import embeddings, store
from ml.topics.embeddings import Vectors
from ml.topics.items import Item, Member, read_items
from ml.topics.update import update_topics

T = TypeVar("T")

log = logging.getLogger(__name__)

# Titles embedded between two commits: what is lost when the task is killed.
_EMBED_BATCH = 512
# Items that are compared with each other at once; the matrix of their products must fit in memory.
_JOIN_BATCH = 3000


@dataclass(frozen=True)
class TopicCounts:
    """What a call did.

    Attributes:
        items: items looked at, without junk.
        embedded: titles that had no kept embedding.
        assigned: items that had no topic before.
        topics: topics these items belong to.
        new_topics: topics founded by this call.
        english_topics: of `topics`, those marked `en`.
        merged: topics that went up in others.
        split: topics that were parted from others.
        dormant: topics that went dormant.
        junk: items left out by the rules of thumb in junk.py, by reason.
    """

    items: int
    embedded: int
    assigned: int
    topics: int
    new_topics: int
    english_topics: int
    merged: int = 0
    split: int = 0
    dormant: int = 0
    junk: Mapping[str, int] = field(default_factory=dict)


def assign_topics(
    as_of: datetime,
    window_days: int = 14,
    max_items: int = 2500,
    settings: Settings | None = None,
) -> TopicCounts:
    """Assign the items seen in the `window_days` before `as_of` to topics, at most `max_items`.

    Real items are used where there is a folder of archives, those of the world server otherwise.
    Embeddings are kept as they are made; all else is one transaction, so a call that is killed
    leaves nothing half done.
    """
    settings = settings or get_settings()
    url = settings.require("database_url")
    with transaction(url) as conn:
        items, junk = read_items(
            conn, as_of, window_days, max_items, synthetic=settings.data_dir is None
        )
    embedded = _embed(url, items)
    with transaction(url) as conn:
        # Two calls at once would found the same topic twice.
        conn.execute("select pg_advisory_xact_lock(hashtextextended('topics', 0))")
        before = store.read_assigned(conn, items)
        new = [item for item in items if item.key not in before]
        founded, kinds = _assign(conn, new, as_of)
        topic_of = store.read_assigned(conn, items)
        _mark_seen(conn, items, topic_of)
        dormant = store.mark_dormant(conn, as_of)
        topics = sorted(set(topic_of.values()))
        english = store.count_english(conn, topics)
    counts = TopicCounts(
        items=len(items),
        embedded=embedded,
        assigned=len(new),
        topics=len(topics),
        new_topics=founded,
        english_topics=english,
        merged=kinds.count("merge"),
        split=kinds.count("split"),
        dormant=dormant,
        junk=dict(sorted(junk.items())),
    )
    log.info("topics: %s", counts)
    return counts


def _assign(
    conn: psycopg.Connection, new: Sequence[Item], as_of: datetime
) -> tuple[int, list[str]]:
    """Give new items their topics; returns how many were founded, and the kinds of changes."""
    founded = 0
    kinds: list[str] = []
    ordered = sorted(new, key=lambda item: (item.first_at, item.key))
    for batch in _batches(ordered, _JOIN_BATCH):
        known = store.read_topics(conn, as_of)
        update = update_topics(known, batch, lambda members: _vectors(conn, members), as_of)
        store.write_topics(conn, update.topics)
        store.write_assignments(conn, update.assignments, as_of)
        store.write_changes(conn, update.changes, as_of)
        founded += update.founded
        kinds += [change.kind for change in update.changes]
    return founded, kinds


def _embed(url: str, items: Sequence[Item]) -> int:
    """Embed the titles that are not kept yet; returns how many those were."""
    missing: list[Item] = []
    with transaction(url) as conn:
        for source, texts in _sentences(items):
            known = embeddings.up_to_date(conn, _content_type(source), texts)
            missing += [i for i in items if i.source == source and i.content_id not in known]
    # Titles of one length together, so that the encoder pads little.
    missing.sort(key=lambda item: (len(item.sentence), item.key))
    for batch in _batches(missing, _EMBED_BATCH):
        with transaction(url) as conn:
            _make_vectors(conn, batch)
    return len(missing)


def _vectors(conn: psycopg.Connection, members: Iterable[Member]) -> dict[str, Vectors]:
    """The embeddings of members by key; one that was lost is made again."""
    members = list(members)
    found = {
        f"{source}:{content_id}": vector
        for source, texts in _sentences(members)
        for content_id, vector in embeddings.read(conn, _content_type(source), list(texts)).items()
    }
    return found | _make_vectors(conn, [m for m in members if m.key not in found])


def _make_vectors(conn: psycopg.Connection, members: Sequence[Member]) -> dict[str, Vectors]:
    vectors = embeddings.encode([member.sentence for member in members])
    made = {member.key: vector for member, vector in zip(members, vectors, strict=True)}
    for source, texts in _sentences(members):
        rows = {content_id: made[f"{source}:{content_id}"] for content_id in texts}
        embeddings.keep(conn, _content_type(source), rows, texts)
    return made


def _sentences(members: Iterable[Member]) -> Iterator[tuple[str, dict[str, str]]]:
    """What is embedded of each member, by source and content id."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for member in members:
        found[member.source][member.content_id] = member.sentence
    yield from sorted(found.items())


def _batches(values: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]


def _content_type(source: str) -> str:
    return f"{source}_title"[:50]


def _mark_seen(
    conn: psycopg.Connection, items: Sequence[Item], topic_of: Mapping[str, str]
) -> None:
    seen: dict[str, datetime] = {}
    for item in items:
        topic = topic_of[item.key]
        seen[topic] = max(seen.get(topic, item.event_at), item.event_at)
    store.mark_seen(conn, seen)
