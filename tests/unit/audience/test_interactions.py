from __future__ import annotations

import numpy as np
import pytest

from ml.audience.interactions import hold_out, interactions


def rows_of(*rows):
    import pandas as pd

    return pd.DataFrame(rows, columns=["user", "item", "time"][: len(rows[0])])


@pytest.fixture
def three_rows():
    return interactions(
        rows_of(("a", "x", 3.0), ("a", "y", 1.0), ("a", "z", 3.0), ("b", "x", 9.0), ("a", "y", 8.0))
    )


def test_rows_are_in_order_and_a_pair_counts_once_at_its_first_place(three_rows):
    named = [three_rows.items[item] for item in three_rows.item]
    assert named == ["y", "x", "z", "x"]
    assert three_rows.time.tolist() == [1, 3, 3, 9]


def test_rows_of_one_moment_share_their_age(three_rows):
    assert three_rows.ages().tolist() == [2, 0.5, 0.5, 0]
    weights = three_rows.matrix(recency=2.0).toarray()[0]
    assert weights.tolist() == pytest.approx([0.8, 0.5, 0.8])


def test_without_times_every_row_weighs_the_same():
    data = interactions(rows_of(("a", "x"), ("a", "y")))
    assert data.matrix(recency=1.0).toarray().tolist() == [[1, 1]]


def test_latest_row_is_held_out_and_a_single_one_is_kept(three_rows):
    rest, held = hold_out(three_rows, seed=0)
    assert (held.user.tolist(), [rest.items[i] for i in held.item]) == ([0], ["z"])
    assert len(rest) == 3


def test_without_times_the_held_out_row_depends_on_the_seed_alone(tastes):
    data = tastes(ordered=False)
    first, again, other = (hold_out(data, seed)[1].item for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_other_catalogue_keeps_what_both_know(three_rows):
    moved = three_rows.on_catalogue(("w", "x", "z"))
    assert [moved.items[item] for item in moved.item] == ["x", "z", "x"]
    assert [moved.users[user] for user in moved.user] == ["a", "a", "b"]


def test_only_some_users_in_their_order_with_empty_histories(three_rows):
    some = three_rows.only(("b", "nobody", "a"))
    assert some.history_lengths().tolist() == [1, 0, 3]
    assert [some.items[i] for i in some.item] == ["x", "y", "x", "z"]


def test_digest_tells_rows_and_times_apart(three_rows):
    later, earlier = (
        interactions(rows_of(("a", "x", when)), items=["y", "z"]) for when in (2.0, 1.0)
    )
    assert len({three_rows.digest(), later.digest(), earlier.digest()}) == 3
