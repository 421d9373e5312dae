"""One step of the topics: new items join or found topics, topics merge and split.

Pure: what comes out depends on what goes in and not on its order, so a step that is repeated on
what it left finds nothing to do.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np

from ml.topics.clusters import join, similar_pairs, split, topic_id
from ml.topics.embeddings import WIDTH, Vectors
from ml.topics.items import Item, Member
from ml.topics.phrases import Phrases
from ml.topics.space import Points, Space, bounded
from ml.topics.store import Assignment, Change, Topic

# The centroid of a topic that has this many items becomes its anchor, and that stays.
_ANCHOR_ITEMS = 5
# The centroid stays within this cosine of the anchor: about 32 degrees.
_MIN_ANCHOR_COSINE = 0.85

# Smaller topics cannot be two, and larger ones are too much to compare with themselves.
_SPLIT_ITEMS = (6, 2000)

Lookup = Callable[[Iterable[Member]], Mapping[str, Vectors]]


@dataclass
class Update:
    """What a step changed.

    Attributes:
        topics: topics that are new or got or lost items, complete.
        assignments: new and moved items.
        changes: merges and splits, in the order they happened.
        founded: how many topics were founded by new items.
    """

    topics: list[Topic] = field(default_factory=list)
    assignments: list[Assignment] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    founded: int = 0


def update_topics(
    known: Sequence[Topic], new: Sequence[Item], lookup: Lookup, as_of: datetime
) -> Update:
    """Give each new item a topic.

    Args:
        known: topics that can take items, by id.
        new: items without a topic.
        lookup: gives the embeddings of members, by key.
        as_of: the moment of the step; part of the ids of topics that are split off.
    """
    if not new:
        return Update()
    new = sorted(new, key=lambda item: item.key)
    everyone = [*(member for topic in known for member in topic.members), *new]
    space = Space([member.words for member in everyone])
    vectors = dict(lookup(new))
    items = space.points([item.words for item in new], _stack(new, vectors))
    points = space.sums([[m.words for m in topic.members] for topic in known], _centroids(known))
    rows = _rows(join(items, points), len(known))
    topics = _grown(known, new, rows)
    sums = points.followed_by(items).grouped([*range(len(known)), *rows], len(topics))
    joined = sorted({row for row in rows if row < len(known)})
    changes, taken_up = _merge(topics, sums, joined, len(known))
    touched = [topics[row] for row in sorted({*rows, *taken_up}) if topics[row].members]
    vectors |= lookup([m for t in touched for m in t.members if m.key not in vectors])
    for topic in [t for row, t in enumerate(topics) if t in touched and row not in taken_up]:
        part = _split_off(topic, space, vectors, as_of)
        if part is not None:
            touched.append(part)
            changes.append(Change(topic.topic_id, "split", part.topic_id, len(part.members)))
    phrases = Phrases([member.words for member in everyone])
    for topic in touched:
        _describe(topic, vectors, phrases)
    return Update(
        topics=sorted(touched, key=lambda topic: topic.topic_id),
        assignments=_assignments(known, touched, vectors),
        changes=changes,
        founded=len(topics) - len(known),
    )


def _rows(groups: Iterable[int], count: int) -> list[int]:
    """Rows of the list of topics: numbers of new groups become consecutive."""
    numbers = [int(number) for number in groups]
    new = sorted({number for number in numbers if number >= count})
    row = {number: count + position for position, number in enumerate(new)}
    return [row.get(number, number) for number in numbers]


def _grown(known: Sequence[Topic], new: Sequence[Item], rows: Sequence[int]) -> list[Topic]:
    """The known topics with the items that joined them, then those that new items found."""
    topics = [replace(topic, members=[*topic.members]) for topic in known]
    groups: dict[int, list[Item]] = defaultdict(list)
    for item, row in zip(new, rows, strict=True):
        groups[row].append(item)
    for row, items in sorted(groups.items()):
        first, last = min(item.first_at for item in items), max(item.event_at for item in items)
        if row < len(known):
            topics[row].first_seen_at = min(topics[row].first_seen_at, first)
            topics[row].last_seen_at = max(topics[row].last_seen_at, last)
            topics[row].members += items
        else:
            topics.append(Topic(topic_id(_first(items).key), first, last, members=[*items]))
    return topics


def _merge(
    topics: list[Topic], sums: Points, joined: Sequence[int], known: int
) -> tuple[list[Change], set[int]]:
    """Unite known topics that have come together; the larger one takes up the other.

    Returns:
        The changes, and the rows of topics that took up others.
    """
    changes: list[Change] = []
    grown: set[int] = set()
    sums = sums.take(range(known))
    touched = list(joined)
    while touched:
        groups = list(range(known))
        used: set[int] = set()
        for pair in similar_pairs(sums, np.array(touched)):
            if used & set(pair):
                continue
            used |= set(pair)
            left, gone = sorted(pair, key=lambda row: _seniority(topics[row]))
            groups[gone] = left
            grown = (grown - {gone}) | {left}
            changes.append(_take_up(topics[left], topics[gone]))
        sums = sums.grouped(groups, known)
        touched = sorted(grown & used)
    return changes, grown


def _take_up(left: Topic, gone: Topic) -> Change:
    change = Change(gone.topic_id, "merge", left.topic_id, len(gone.members))
    left.members += gone.members
    left.first_seen_at = min(left.first_seen_at, gone.first_seen_at)
    left.last_seen_at = max(left.last_seen_at, gone.last_seen_at)
    gone.members = []
    return change


def _seniority(topic: Topic) -> tuple[int, datetime, str]:
    return -len(topic.members), topic.first_seen_at, topic.topic_id


def _split_off(
    topic: Topic, space: Space, vectors: Mapping[str, Vectors], as_of: datetime
) -> Topic | None:
    """Take the smaller part out of a topic that is two."""
    if not _SPLIT_ITEMS[0] <= len(topic.members) <= _SPLIT_ITEMS[1]:
        return None
    members = sorted(topic.members, key=lambda member: member.key)
    side = split(space.points([m.words for m in members], _stack(members, vectors)))
    if side is None:
        return None
    part = [member for member, apart in zip(members, side, strict=True) if apart]
    topic.members = [member for member, apart in zip(members, side, strict=True) if not apart]
    topic.anchor = None
    return Topic(
        topic_id=topic_id(f"{topic.topic_id}/{_first(part).key}/{as_of.isoformat()}"),
        first_seen_at=min(member.first_at for member in part),
        last_seen_at=topic.last_seen_at,
        members=part,
    )


def _describe(topic: Topic, vectors: Mapping[str, Vectors], phrases: Phrases) -> None:
    """Set what follows from the members."""
    members = sorted(topic.members, key=lambda member: member.key)
    found = _stack(members, vectors)
    mean = found.mean(axis=0)
    if topic.anchor is None and len(members) >= _ANCHOR_ITEMS:
        topic.anchor = mean
    topic.centroid = mean
    if topic.anchor is not None:
        topic.centroid = bounded(topic.anchor, mean, _MIN_ANCHOR_COSINE)
    topic.members = members
    language, count = Counter(member.language for member in members).most_common(1)[0]
    topic.language = language if count * 2 > len(members) else None
    words = [member.words for member in members]
    topic.keywords = phrases.keywords(words)
    nearest = np.argsort(-(found @ topic.centroid), kind="stable")
    topic.label = phrases.label(words, nearest.tolist(), topic.label or None)


def _assignments(
    known: Sequence[Topic], topics: Sequence[Topic], vectors: Mapping[str, Vectors]
) -> list[Assignment]:
    """Members of the topics that had none or another one before."""
    before = {member.key: topic.topic_id for topic in known for member in topic.members}
    return [
        Assignment(member, topic.topic_id, _cosine(vectors[member.key], topic.centroid))
        for topic in topics
        for member in topic.members
        if before.get(member.key) != topic.topic_id
    ]


def _first(members: Sequence[Member]) -> Member:
    return min(members, key=lambda member: (member.first_at, member.key))


def _cosine(vector: Vectors, centroid: Vectors | None) -> float:
    if centroid is None:
        return 0.0
    cosine = float(vector @ centroid) / max(float(np.linalg.norm(centroid)), 1e-9)
    return max(-1.0, min(1.0, cosine))


def _stack(members: Sequence[Member], vectors: Mapping[str, Vectors]) -> Vectors:
    return np.stack([vectors[member.key] for member in members])


def _centroids(topics: Sequence[Topic]) -> Vectors:
    found = [topic.centroid for topic in topics if topic.centroid is not None]
    return np.stack(found) if found else np.zeros((0, WIDTH), dtype=np.float32)
