from __future__ import annotations

import numpy as np
import pytest

from ml.exceptions import ConfigurationError
from ml.trend.topic.candidates import combined, forecaster, stack_weights
from ml.trend.topic.evaluate import measure
from ml.trend.topic.networks import Network
from ml.trend.topic.plain import (
    AutoEts,
    LastGrowth,
    Prophet,
    SeasonalNaive,
    SevenWeekMedian,
    Smoothing,
)
from ml.trend.topic.rises import fit_rises
from ml.trend.topic.series import Panel, Windows, windows_at
from ml.trend.topic.trees import Trees


def window(history: list[float]) -> Windows:
    return Windows(np.array([history]), np.array([20000]), np.array([0]), None)


@pytest.fixture(scope="module")
def learned(panel):
    return windows_at(panel, range(40, 80), length=84, min_recent=1)


def test_plain_methods_say_what_they_are_named_after():
    weekly = [*range(7)] * 7 + [10, 11, 12, 13, 14, 15, 16]
    assert SeasonalNaive().forecast({}, window(weekly))[0].tolist() == weekly[-7:]
    assert SevenWeekMedian().forecast({}, window(weekly))[0].tolist() == [*range(7)]
    growing = [0.0] * 50 + [1, 1, 1, 2, 3, 5]
    # From 3 to 8 items in 48 hours, one added to each: 9 / 4.
    said = LastGrowth().forecast({}, window(growing))[0]
    np.testing.assert_allclose(said[:3], np.array([3, 5, 3]) * 9 / 4)


@pytest.mark.parametrize("method", [Smoothing(), AutoEts(), Prophet(min_days=50)])
def test_methods_of_one_series_follow_level_and_week(method):
    week = np.array([4.0, 6, 8, 20, 8, 6, 4])
    shaped = np.tile(week, 12) + np.tile([0.5, -0.5], 42)
    said = method.forecast({}, window(shaped.tolist()))[0]
    np.testing.assert_allclose(said, week, atol=2.5)


def test_unknown_days_do_not_spoil_a_forecast():
    history = [np.nan] * 40 + [5.0, 5, np.nan, 5, 5, 5, 5] * 4
    for method in (SeasonalNaive(), SevenWeekMedian(), LastGrowth(), Smoothing(), AutoEts()):
        assert np.isfinite(method.forecast({}, window(history))).all(), method


@pytest.mark.parametrize(
    "method",
    [
        Trees(rounds=60),
        Network(hidden=16, epochs=12, batch=32, rate=0.01),
        Network(kind="transformer", hidden=16, heads=2, epochs=6, batch=64),
    ],
    ids=["trees", "lstm", "transformer"],
)
def test_learned_methods_are_deterministic_and_learn(method, learned, panel):
    # Smoothing cannot see that every series doubles after the last day; learning can.
    doubled = Windows(learned.history, learned.origin, learned.series, 2 * learned.outcome())
    arrays, again = method.fit(doubled), method.fit(doubled)
    for name, values in arrays.items():
        np.testing.assert_array_equal(values, again[name])
    later = windows_at(panel, [90], length=84, min_recent=1)
    base, said = Smoothing().forecast({}, later), method.forecast(arrays, later)
    target = 2 * later.outcome()
    assert np.abs(said - target).mean() < 0.8 * np.abs(base - target).mean()


def test_network_that_learned_nothing_says_what_smoothing_says(learned):
    still = Network(epochs=1, hidden=4, rate=0.0)
    said = still.forecast(still.fit(learned), learned)
    np.testing.assert_allclose(said, Smoothing().forecast({}, learned), atol=1e-6)


def test_stack_gives_all_weight_to_the_member_that_is_right(learned):
    right = learned.outcome()
    wrong = right + 5
    early, late = right.copy(), right.copy()
    early[:, 2:] += 9
    late[:, :2] += 9
    weights = stack_weights([wrong, early, late], learned)
    np.testing.assert_allclose(weights, [(0, 0), (1, 0), (0, 1)], atol=1e-6)
    np.testing.assert_allclose(combined([wrong, early, late], weights, 2), right, atol=1e-4)


def test_unknown_option_of_a_method_is_refused():
    with pytest.raises(ConfigurationError, match="trees"):
        forecaster("trees", {"family": "trees", "leaves": 3}, 1)


def test_hours_are_forecast_like_days():
    random = np.random.default_rng(8)
    hours = np.arange(24 * 80)
    daily = 4 + 3 * np.sin(2 * np.pi * hours / 24)
    values = random.poisson(np.vstack([daily, 2 * daily, 0.5 * daily])).astype(float)
    known = np.broadcast_to(hours + 1.0, values.shape)
    panel = Panel(("a", "b", "c"), values, known, 0, steps_per_day=24)
    early, late = (
        windows_at(panel, origins, length=24 * 56, min_recent=1)
        for origins in (range(24 * 40, 24 * 60, 31), range(24 * 68, 24 * 72, 13))
    )
    naive = measure(late, SeasonalNaive().forecast({}, late), late.rise_threshold())
    trees, network = Trees(rounds=40), Network(hidden=8, epochs=2)
    rises = fit_rises(early, 1)
    for method in (Smoothing(), SevenWeekMedian(), trees, network):
        said = method.forecast(method.fit(early), late)
        assert said.shape == (len(late), 168)
        figures = measure(late, said, rises.probability(late, said))
        assert figures["mase_48h"] < 0.9 * naive["mase_48h"], method
        assert figures["mase_7d"] < 0.9 * naive["mase_7d"], method
