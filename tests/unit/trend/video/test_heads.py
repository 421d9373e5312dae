from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ml.measures import mean_relative_squared_error
from ml.registry.checkpoints import Checkpoints
from ml.trend.video import evaluate, heads, train
from ml.trend.video.candidate import held_out
from ml.trend.video.dataset import load_params, split_in_time
from ml.trend.video.heads import (
    EVENT_HEADS,
    GROWTH_HEADS,
    conformal_width,
    known_before,
    relative_error,
)
from ml.trend.video.model import TrendModel
from ml.trend.video.train import fit, with_baselines, with_heads

pd = pytest.importorskip("pandas")

PARAMS = {**load_params(), "max_rounds": 60, "early_stopping_rounds": 20}


class Labels:
    """What the objective asks of an XGBoost matrix."""

    def __init__(self, label: np.ndarray) -> None:
        self.label = label

    def get_label(self) -> np.ndarray:
        return self.label


@pytest.fixture(scope="module")
def rows(labelled_rows):
    frame = labelled_rows(4000, days=200)
    random = np.random.default_rng(8)
    grown = 2.5 * frame["growth_48h"] + random.normal(0, 0.1, len(frame))
    stays = random.uniform(size=len(frame)) < 1 / (1 + np.exp(-4 * frame["log_growth_1d"] + 1))
    return frame.assign(growth_7d=grown.where(stays), listed=stays.astype(float))


@pytest.fixture(scope="module")
def split(rows):
    return split_in_time(rows, PARAMS)


@pytest.fixture(scope="module")
def model(rows, split, required):
    return with_baselines(
        with_heads(fit(split, PARAMS, required), rows, split, PARAMS), rows, split, PARAMS
    )


def test_a_training_that_was_killed_goes_on_with_the_forests_that_it_has(
    rows, split, model, required, tmp_path, monkeypatch
):
    wanted, boost = [], heads._boost

    def boosted(fit_, matrix, params):
        if len(wanted) == 3:
            raise KeyboardInterrupt
        wanted.append(fit_)
        return boost(fit_, matrix, params)

    monkeypatch.setattr(heads, "_boost", boosted)
    monkeypatch.setattr(heads, "_AT_ONCE", 1)
    losses: dict = {}

    def trained() -> TrendModel:
        kept = Checkpoints(tmp_path)
        bare = fit(split, PARAMS, required, losses, kept)
        return with_heads(bare, rows, split, PARAMS, kept)

    with pytest.raises(KeyboardInterrupt):
        trained()
    before = dict(losses)
    # From here on the call and the first three forests must not be fitted again.
    monkeypatch.setattr(train, "call_settings", None)
    wanted.clear()
    monkeypatch.setattr(heads, "_boost", lambda *given: (wanted.append(0), boost(*given))[1])
    again = trained()
    assert len(wanted) == 2 * len(GROWTH_HEADS) + len(EVENT_HEADS) - 3
    assert losses == before
    assert len(losses["training"]) == len(losses["validation"]) > 10
    test = held_out(rows, split)
    pd.testing.assert_frame_equal(again.predict(test), model.predict(test))


def test_interval_is_moved_until_it_holds_its_share():
    random = np.random.default_rng(2)
    outcome = random.normal(size=4000)
    for half in (0.2, 3.0):
        low, high = np.full(2000, -half), np.full(2000, half)
        width = conformal_width(outcome[:2000], low, high)
        inside = (outcome[2000:] >= low - width) & (outcome[2000:] <= high + width)
        assert inside.mean() == pytest.approx(0.8, abs=0.03)


def test_objective_is_least_at_the_ratio_that_minimises_the_relative_error():
    grown = np.random.default_rng(4).exponential(0.5, size=5000)
    best = np.log(np.exp(-grown).mean() / np.exp(-2 * grown).mean())
    slope, curvature = relative_error(np.full(5000, best), Labels(grown))
    assert slope.mean() == pytest.approx(0, abs=1e-4)
    assert (curvature > 0).all()
    losses = [mean_relative_squared_error(np.full(5000, best + d), grown) for d in (-0.1, 0, 0.1)]
    assert min(losses) == losses[1]


def test_no_label_that_is_due_later_is_learned_from(rows, split):
    known = known_before(rows, "growth_7d", 144, split.test_start)
    assert 0 < len(known) < len(rows)
    assert known["growth_7d"].notna().all()
    assert (split.test_start - known["event_timestamp"].max()).days >= 6


def test_every_head_says_something_that_holds_on_later_videos(model, rows, split):
    figures = evaluate.flat(evaluate.measure(model, held_out(rows, split)))["model"]
    for name in GROWTH_HEADS:
        spread = np.exp(split.test["growth_48h"]).std()
        assert 0.6 < figures[f"{name}_coverage"] < 0.95
        assert figures[f"{name}_spearman"] > 0.8
        assert figures[f"{name}_mrse"] < spread
    for name in EVENT_HEADS:
        assert figures[f"{name}_auc"] > 0.65
        assert figures[f"{name}_average_precision"] > figures[f"{name}_base_rate"]


def test_quantiles_are_in_order(model, split):
    said = model.predict(split.test)
    for name in GROWTH_HEADS:
        assert (said[f"{name}_p10"] <= said[f"{name}_p50"]).all()
        assert (said[f"{name}_p50"] <= said[f"{name}_p90"]).all()


def test_of_no_row_nothing_is_said(model, split):
    nothing = model.predict(split.test.head(0))
    assert (len(nothing), list(nothing)) == (0, list(model.predict(split.test.head(1))))


def test_saved_heads_say_the_same(model, split, tmp_path):
    model.save(tmp_path / "model")
    again = TrendModel.load(tmp_path / "model")
    assert again.specification == model.specification
    assert again.predict(split.test).equals(model.predict(split.test))


def test_head_without_enough_labels_is_left_out_with_the_reason(rows, split, model):
    poor = rows.assign(growth_7d=rows["growth_7d"].where(rows.index % 200 == 0))
    bare = TrendModel(model.booster, replace(model.specification, heads={}))
    lacking = with_heads(bare, poor, split, PARAMS)
    for name in ("growth_7d", "breakout"):
        assert "it needs 300 and 60" in lacking.specification.heads[name].reason
    said = lacking.predict(split.test)
    assert said["growth_7d_p50"].isna().all()
    assert said["breakout_probability"].isna().all()
    assert said["growth_48h_p50"].notna().all()
    assert set(evaluate.measure(lacking, held_out(poor, split))) == {
        "rising",
        "growth_48h",
        "listed",
    }
