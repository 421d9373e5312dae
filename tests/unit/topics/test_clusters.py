from __future__ import annotations

import numpy as np
import pytest

from ml.topics.clusters import assign_to_leaders, medoid, topic_id
from ml.topics.embeddings import as_text, from_text


def _unit(*angles):
    return np.array([[np.cos(a), np.sin(a)] for a in np.radians(angles)], dtype=np.float32)


NO_TOPICS = np.zeros((0, 2), dtype=np.float32)


def test_near_items_share_a_topic_and_far_ones_do_not():
    found = assign_to_leaders(["a", "b", "c"], _unit(0, 10, 90), [], NO_TOPICS, [0.8] * 3)
    assert found[0].topic_id == found[1].topic_id == topic_id("a")
    assert found[2].topic_id == topic_id("c")
    assert [member.founded for member in found] == [True, False, True]
    assert found[1].similarity == pytest.approx(np.cos(np.radians(10)), abs=1e-4)


def test_topics_stay_when_more_items_arrive():
    first = assign_to_leaders(["a", "c"], _unit(0, 90), [], NO_TOPICS, [0.8] * 2)
    leaders = _unit(0, 90)
    later = assign_to_leaders(
        ["d", "e", "f"], _unit(85, 5, 180), [m.topic_id for m in first], leaders, [0.8] * 3
    )
    assert [m.topic_id for m in later] == [topic_id("c"), topic_id("a"), topic_id("f")]


def test_stricter_item_founds_its_own_topic():
    found = assign_to_leaders(["a", "b"], _unit(0, 10), [], NO_TOPICS, [0.8, 0.999])
    assert found[1].founded


def test_no_items_give_no_memberships():
    assert assign_to_leaders([], NO_TOPICS, ["t"], _unit(0), []) == []


def test_medoid_is_the_member_in_the_middle():
    assert medoid(_unit(0, 20, 90)) == 1


def test_vectors_survive_postgres_text():
    vector = np.random.default_rng(1).normal(size=384).astype(np.float32)
    assert np.allclose(from_text(as_text(vector)), vector, rtol=1e-6)
