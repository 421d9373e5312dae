from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from ml.topics.clusters import join, similar_pairs, split, topic_id
from ml.topics.embeddings import as_text, from_bytes
from ml.topics.space import Points, Space, Words, bounded


def points(*angles, sizes=None):
    """Unit vectors in a plane, times their sizes."""
    count = np.array(sizes or [1] * len(angles))
    vectors = np.zeros((len(angles), 384), dtype=np.float32)
    vectors[:, 0], vectors[:, 1] = np.cos(np.radians(angles)), np.sin(np.radians(angles))
    return Points(
        vectors * count[:, None].astype(np.float32),
        sparse.csr_matrix((len(angles), 1), dtype=np.float32),
        count,
    )


NO_TOPICS = points()


def test_near_items_found_one_topic_and_far_ones_do_not():
    assert join(points(0, 10, 90), NO_TOPICS).tolist() == [0, 0, 2]


def test_item_joins_the_nearest_topic_that_is_near_enough():
    topics = points(0, 80, sizes=[5, 5])
    assert join(points(30, 60, 180), topics).tolist() == [0, 1, 4]


def test_item_that_is_near_nothing_founds_its_own():
    topics = points(0, sizes=[3])
    assert join(points(70), topics).tolist() == [1]
    assert join(points(60), topics).tolist() == [0]


def test_no_items_join_nothing():
    assert join(NO_TOPICS, points(0, 90)).tolist() == []


def test_equal_items_come_together_at_once():
    assert set(join(points(*[20] * 40), NO_TOPICS).tolist()) == {0}


@st.composite
def clouds(draw):
    count = draw(st.integers(1, 25))
    seed = draw(st.integers(0, 10_000))
    random = np.random.default_rng(seed)
    vectors = np.zeros((count, 384), dtype=np.float32)
    vectors[:, :5] = random.normal(size=(count, 5))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    words = sparse.csr_matrix((count, 1), dtype=np.float32)
    return Points(vectors, words, np.ones(count, dtype=np.int64)), random.permutation(count)


@given(clouds(), st.integers(0, 6))
def test_what_belongs_together_does_not_depend_on_the_order(cloud, known):
    items, order = cloud
    known = min(known, len(items) - 1)
    topics, new = items.take(range(known)), items.take(range(known, len(items)))
    order = order[order < len(new)]
    plain, shuffled = join(new, topics), np.empty(len(new), dtype=int)
    shuffled[order] = join(new.take(order), topics)
    assert (plain < known).tolist() == (shuffled < known).tolist()
    assert plain[plain < known].tolist() == shuffled[plain < known].tolist()
    together = plain[:, None] == plain[None, :]
    assert (together == (shuffled[:, None] == shuffled[None, :])).all()


@given(clouds())
def test_groups_are_numbered_by_their_first_item(cloud):
    items, _ = cloud
    groups = join(items, NO_TOPICS)
    for group in set(groups.tolist()):
        assert np.flatnonzero(groups == group)[0] == group


def test_topics_that_come_together_are_found_from_the_touched_one():
    topics = points(0, 40, 90, sizes=[4, 3, 2])
    assert similar_pairs(topics, np.array([0])) == [(0, 1)]
    assert similar_pairs(topics, np.array([1])) == [(0, 1), (1, 2)]
    assert similar_pairs(topics, np.array([2])) == [(1, 2)]
    assert similar_pairs(topics, np.array([], dtype=int)) == []


def test_topic_of_two_things_is_parted_and_one_thing_is_not():
    two = split(points(0, 5, 10, 15, 90, 95, 100))
    assert two is not None
    assert two.tolist() == [False] * 4 + [True] * 3
    assert split(points(0, 10, 20, 30, 40, 50, 60)) is None


def test_outlier_is_no_topic_of_its_own():
    assert split(points(0, 1, 2, 3, 4, 5, 170)) is None
    assert split(points(0, 90)) is None


@given(
    st.floats(0.1, 0.99),
    st.integers(0, 10_000),
    st.floats(0.01, 100),
)
def test_centroid_never_leaves_its_anchor(limit, seed, length):
    random = np.random.default_rng(seed)
    anchor, mean = random.normal(size=(2, 16)).astype(np.float32)
    mean *= np.float32(length / np.linalg.norm(mean))
    found = bounded(anchor, mean, limit)
    cosine = found @ anchor / np.linalg.norm(found) / np.linalg.norm(anchor)
    assert cosine >= limit - 1e-4
    assert np.linalg.norm(found) == pytest.approx(length, rel=1e-3)
    if mean @ anchor / length / np.linalg.norm(anchor) >= limit:
        assert (found == mean).all()


def test_centroid_opposite_to_its_anchor_goes_back_to_it():
    anchor = np.array([1, 0], dtype=np.float32)
    assert bounded(anchor, -2 * anchor, 0.8).tolist() == [2, 0]


def test_rare_words_tell_titles_apart_and_common_ones_do_not():
    items = [Words("log4j is broken"), Words("log4j again"), *[Words("it is broken")] * 20]
    flat = np.tile(np.eye(384, dtype=np.float32)[0], (len(items), 1))
    near = Space(items).points(items, flat).products(Space(items).points(items, flat))
    assert near[0, 1] > near[0, 2]
    assert near.max() <= 1.0001


def test_sums_of_items_are_what_topics_are_compared_by():
    items = [Words("storm over Florida", ("weather",)), Words("Florida storm"), Words("chess")]
    vectors = np.random.default_rng(3).normal(size=(3, 384)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    space = Space(items)
    own = space.points(items, vectors).grouped([0, 0, 1], 2)
    known = space.sums([items[:2], items[2:]], np.stack([vectors[:2].mean(axis=0), vectors[2]]))
    assert np.allclose(own.embeddings, known.embeddings, atol=1e-6)
    assert np.allclose(own.words.toarray(), known.words.toarray(), atol=1e-6)
    assert own.sizes.tolist() == known.sizes.tolist() == [2, 1]


def test_ids_are_derived_from_keys():
    assert topic_id("youtube:a") == topic_id("youtube:a") != topic_id("youtube:b")


def test_vectors_survive_the_way_to_postgres():
    vector = np.random.default_rng(1).normal(size=384).astype(np.float32)
    sent = b"\x01\x80\x00\x00" + vector.astype(">f4").tobytes()
    assert (from_bytes(sent) == vector).all()
    assert np.allclose(np.array(as_text(vector)[1:-1].split(","), dtype=np.float32), vector)
