from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.topics.clusters import topic_id
from ml.topics.items import Item
from ml.topics.space import Words
from ml.topics.store import Topic
from ml.topics.update import update_topics

NOW = datetime(2030, 5, 1, tzinfo=UTC)
EVENTS = {
    "storm": "Storm Ada reaches the coast",
    "phone": "Hands-on with the Nova phone",
    "chess": "World chess final game",
    "band": "The Larks announce a reunion tour",
}


def direction(name: str) -> np.ndarray:
    vector = np.random.default_rng(sum(map(ord, name))).normal(size=384)
    return vector / np.linalg.norm(vector)


def item(name: str, number: int, hours: float = 0, towards: str | None = None) -> Item:
    """An item about an event; its vector is written into its id, so that it can be looked up."""
    at = NOW + timedelta(hours=hours)
    return Item(
        source="test",
        content_id=f"{name}|{towards or name}|{number}",
        words=Words(f"{EVENTS.get(name, name)} {number}", (name,)),
        language="en",
        first_at=at,
        event_at=at,
    )


def lookup(members):
    found = {}
    for member in members:
        name, towards, number = member.content_id.split("|")
        noise = np.random.default_rng(int(number)).normal(size=384) * 0.02
        vector = direction(name) + direction(towards) + noise
        found[member.key] = (vector / np.linalg.norm(vector)).astype(np.float32)
    return found


def step(known, new, as_of=NOW):
    """Known topics after a step, by id, and what the step said."""
    update = update_topics(known, new, lookup, as_of)
    topics = {topic.topic_id: topic for topic in known}
    topics |= {topic.topic_id: topic for topic in update.topics}
    for change in update.changes:
        if change.kind == "merge":
            topics.pop(change.topic_id)
    return [topics[key] for key in sorted(topics)], update


def groups(topics):
    return {topic.topic_id: sorted(m.key for m in topic.members) for topic in topics}


def test_items_about_one_event_found_one_topic_with_the_id_of_the_first():
    items = [item("storm", 1, hours=5), item("storm", 2, hours=1), item("phone", 3)]
    topics, update = step([], items)
    assert groups(topics) == {
        topic_id(items[1].key): sorted([items[0].key, items[1].key]),
        topic_id(items[2].key): [items[2].key],
    }
    assert update.founded == 2
    assert {a.topic_id for a in update.assignments} == set(groups(topics))
    [storm] = [topic for topic in topics if len(topic.members) == 2]
    assert (storm.first_seen_at, storm.last_seen_at) == (items[1].first_at, items[0].event_at)
    assert storm.language == "en"
    assert "storm ada" in storm.keywords[0]


def test_later_items_join_and_the_id_stays():
    topics, _ = step([], [item("storm", 1), item("storm", 2), item("phone", 3)])
    before = {topic.topic_id for topic in topics}
    later, update = step(topics, [item("storm", n, hours=-90) for n in range(4, 9)])
    assert {topic.topic_id for topic in later} == before
    assert (update.founded, update.changes) == (0, [])
    assert len(update.assignments) == 5
    assert all(a.similarity > 0.8 for a in update.assignments)


def test_a_step_without_new_items_does_nothing():
    topics, _ = step([], [item("storm", 1), item("phone", 2)])
    _, update = step(topics, [])
    assert (update.topics, update.assignments, update.changes) == ([], [], [])


def two_topics() -> list[Topic]:
    """Two topics about one event, as two runs on different sources may leave them."""
    first, _ = step([], [item("storm", n, hours=n) for n in range(1, 6)])
    second, _ = step([], [item("storm", n, hours=n) for n in range(11, 14)])
    return sorted([*first, *second], key=lambda topic: topic.topic_id)


def test_topics_that_come_together_merge_into_the_larger_one():
    topics = two_topics()
    large, small = sorted(topics, key=lambda topic: -len(topic.members))
    merged, update = step(topics, [item("storm", 20)])
    assert [(c.kind, c.topic_id, c.other_topic_id, c.items) for c in update.changes] == [
        ("merge", small.topic_id, large.topic_id, len(small.members))
    ]
    [left] = merged
    assert left.topic_id == large.topic_id
    assert len(left.members) == 9
    moved = {a.member.key for a in update.assignments}
    assert moved == {m.key for m in small.members} | {item("storm", 20).key}


def test_topic_of_two_events_is_split_and_the_larger_part_keeps_the_id():
    storm = [item("storm", n) for n in range(1, 7)]
    phone = [item("phone", n) for n in range(7, 11)]
    vectors = np.stack(list(lookup([*storm, *phone]).values()))
    mixed = Topic(
        topic_id="t_mixed",
        first_seen_at=NOW,
        last_seen_at=NOW,
        label="Storm Ada",
        centroid=vectors.mean(axis=0),
        anchor=vectors.mean(axis=0),
        members=[*storm, *phone],
    )
    topics, update = step([mixed], [item("storm", 20)])
    [change] = update.changes
    assert (change.kind, change.topic_id, change.items) == ("split", "t_mixed", 4)
    assert groups(topics) == {
        "t_mixed": sorted(m.key for m in [*storm, item("storm", 20)]),
        change.other_topic_id: sorted(m.key for m in phone),
    }
    again, _ = step([replace(mixed, members=[*storm, *phone])], [item("storm", 20)])
    assert groups(again) == groups(topics)


def test_centroid_follows_its_items_only_so_far_from_the_anchor():
    topics, _ = step([], [item("storm", n) for n in range(5)])
    anchor = topics[0].anchor.copy()
    for day in range(1, 8):
        drifting = [item("storm", 100 * day + n, towards="phone") for n in range(6)]
        topics, _ = step(topics, drifting)
    storm = next(topic for topic in topics if any("storm|storm" in m.key for m in topic.members))
    cosine = anchor @ storm.centroid / np.linalg.norm(anchor) / np.linalg.norm(storm.centroid)
    assert (storm.anchor == anchor).all()
    assert cosine >= 0.85 - 1e-5


@pytest.mark.parametrize("seed", range(3))
def test_order_within_a_batch_does_not_matter(seed):
    known, _ = step([], [item(name, 1) for name in ("storm", "chess")])
    new = [item(name, n, hours=n) for n in range(2, 8) for name in EVENTS]
    shuffled = new[:]
    random.Random(seed).shuffle(shuffled)
    plain, other = step(known, new), step(known[:], shuffled)
    assert groups(plain[0]) == groups(other[0])
    assert [t.label for t in plain[0]] == [t.label for t in other[0]]
    for one, two in zip(plain[0], other[0], strict=True):
        assert np.array_equal(one.centroid, two.centroid)


events = st.sampled_from(sorted(EVENTS))
days = st.lists(
    st.lists(st.tuples(events, events, st.integers(0, 40)), max_size=8), min_size=1, max_size=4
)


@settings(max_examples=40, deadline=None)
@given(days)
def test_every_item_has_one_topic_and_every_topic_items(batches):
    topics: list[Topic] = []
    seen: dict[str, str] = {}
    for day, batch in enumerate(batches):
        new = {
            found.key: found
            for name, towards, number in batch
            if (found := item(name, number, hours=24 * day, towards=towards)).key not in seen
        }
        topics, update = step(topics, list(new.values()), NOW + timedelta(days=day))
        seen |= {a.member.key: a.topic_id for a in update.assignments}
        assert set(new) <= {a.member.key for a in update.assignments}
    assert seen == {m.key: topic.topic_id for topic in topics for m in topic.members}
    assert sum(len(topic.members) for topic in topics) == len(seen)
    assert all(topic.members and topic.label for topic in topics)
