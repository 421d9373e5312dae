"""Quiet windows are quiet, shifts of each kind are called, weeks may differ by chance."""

from __future__ import annotations

import numpy as np
import pandas as pd  # noqa: TID253 - every test here has a frame
import pytest

from ml.monitoring.profile import CURRENT, profile_frame
from ml.monitoring.shift import between_blocks, call, compare, stability_index

BLOCKS, PER_BLOCK, NOW, COLUMNS = 12, 400, 400, 20


def windows(random, of_blocks=0.0):
    """A reference in blocks that differ by `of_blocks` standard deviations, and a window of it."""
    blocks = np.concatenate([np.repeat(np.arange(BLOCKS), PER_BLOCK), np.full(NOW, CURRENT)])
    names = [f"n{number}" for number in range(COLUMNS)]
    own = of_blocks * random.normal(size=(BLOCKS + 1, COLUMNS))
    values = random.normal(size=(len(blocks), COLUMNS)) + own[blocks]
    frame = pd.DataFrame(values, columns=names)
    frame["kind"] = random.choice(["a", "b", "c"], len(blocks), p=[0.6, 0.3, 0.1])
    return frame, blocks


def shifted(frame, blocks):
    profiles = profile_frame(
        frame, blocks, [name for name in frame if name != "kind"], [c for c in frame if c == "kind"]
    )
    called = call([shift for each in profiles if (shift := compare(each)) is not None])
    return {shift.name: shift for shift in called if shift.is_shifted}


@pytest.mark.parametrize("of_blocks", [0.0, 0.3])
def test_a_quiet_window_is_quiet_however_much_blocks_differ(of_blocks):
    random = np.random.default_rng(8)
    alarms = sum(bool(shifted(*windows(random, of_blocks))) for _ in range(60))
    # 3 are expected at most; 9 or more have a probability under 0.003.
    assert alarms < 9


def test_a_few_missing_values_do_not_hide_a_shift():
    random = np.random.default_rng(4)
    for _ in range(10):
        frame, blocks = windows(random)
        frame = frame[["n0"]].mask(random.random((len(frame), 1)) < 0.0005)
        frame.loc[blocks == CURRENT, "n0"] += 0.5
        assert set(shifted(frame, blocks)) == {"n0"}


def test_a_histogram_of_another_shape_is_called_where_blocks_differ():
    """Both the middle and the ends are hollow: mean and spread of the ranks are as they were."""
    random = np.random.default_rng(6)
    called = 0
    for _ in range(20):
        frame, blocks = windows(random, of_blocks=0.2)
        values = frame.loc[blocks == CURRENT, "n3"].to_numpy()
        moved = (np.abs(values) < 0.3) | (np.abs(values) > 1.6)
        frame.loc[blocks == CURRENT, "n3"] = np.where(moved, np.sign(values) * 0.8, values)
        called += "n3" in shifted(frame, blocks)
    assert called >= 8


@pytest.mark.parametrize(
    ("change", "strongest"),
    [
        (lambda v: v + 0.5, {"location", "shape"}),
        (lambda v: v * 1.6, {"spread", "shape"}),
        (lambda v: np.where(np.abs(v) < 0.6, 3.0, v), {"shape", "location", "spread"}),
        (lambda v: np.where(np.arange(len(v)) % 8 == 0, np.nan, v), {"missing"}),
    ],
    ids=["mean", "variance", "shape", "missing"],
)
def test_each_kind_of_shift_is_called_by_its_test(change, strongest):
    frame, blocks = windows(np.random.default_rng(7))
    now = blocks == CURRENT
    frame.loc[now, "n3"] = change(frame.loc[now, "n3"].to_numpy())
    called = shifted(frame, blocks)
    assert set(called) == {"n3"}
    assert called["n3"].strongest in strongest


def test_a_change_of_the_mix_of_categories_and_a_new_category_are_called():
    frame, blocks = windows(np.random.default_rng(9))
    now = np.flatnonzero(blocks == CURRENT)
    mixed = frame.copy()
    mixed.loc[now[: NOW // 4], "kind"] = "c"
    assert set(shifted(mixed, blocks)) == {"kind"}
    frame.loc[now[: NOW // 8], "kind"] = "new"
    assert set(shifted(frame, blocks)) == {"kind"}


def test_what_is_significant_and_tiny_is_no_shift():
    random = np.random.default_rng(3)
    rows = 200_000
    blocks = np.repeat([0, CURRENT], rows)
    frame = pd.DataFrame({"n": random.normal(size=2 * rows)})
    frame.loc[blocks == CURRENT, "n"] += 0.04
    [shift] = call([compare(profile_frame(frame, blocks, ["n"])[0])])
    assert shift.q_value < 1e-6
    assert not shift.is_shifted


def test_ten_rows_suffice_for_a_large_shift_and_fewer_say_nothing():
    random = np.random.default_rng(1)
    frame = pd.DataFrame({"n": np.concatenate([random.normal(size=2000), np.full(10, 2.5)])})
    blocks = np.concatenate([np.zeros(2000, dtype=int), np.full(10, CURRENT)])
    [shift] = call([compare(profile_frame(frame, blocks, ["n"])[0])])
    assert shift.is_shifted
    assert compare(profile_frame(frame[:-1], blocks[:-1], ["n"])[0]) is None


def test_constant_and_empty_columns_are_not_compared():
    frame = pd.DataFrame({"constant": np.ones(200), "empty": np.full(200, np.nan)})
    blocks = np.repeat([0, CURRENT], 100)
    assert [compare(each) for each in profile_frame(frame, blocks, list(frame))] == [None, None]


def test_blocks_that_differ_by_chance_have_next_to_no_variance_of_their_own():
    random = np.random.default_rng(2)
    sizes = np.full(200, 100.0)
    chance = random.normal(0, 0.1, 200)
    assert between_blocks(sizes, chance, 1.0) < 0.003
    real = chance + random.normal(0, 0.5, 200)
    assert between_blocks(sizes, real, 1.0) == pytest.approx(0.25, rel=0.25)


def test_stability_index_by_hand():
    counts = np.array([50.0, 50.0])
    assert stability_index(counts, counts * 7) == pytest.approx(0, abs=1e-6)
    moved = stability_index(np.array([60_000.0, 40_000.0]), np.array([50_000.0, 50_000.0]))
    assert moved == pytest.approx(0.1 * np.log(1.2) - 0.1 * np.log(0.8), rel=1e-3)
