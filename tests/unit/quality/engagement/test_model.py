from __future__ import annotations

import json
from contextlib import ExitStack

import numpy as np
import pytest

from ml.quality.engagement import features
from ml.quality.engagement.evaluate import measure, pictures, slices
from ml.quality.engagement.model import OUTPUTS, EngagementModel, reference
from ml.quality.engagement.predict import score_titles
from ml.quality.engagement.train import fit_and_measure, learning_curve
from ml.settings import Settings

pd = pytest.importorskip("pandas")


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return Settings(state_dir=tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="module")
def outcome(rows, params, settings):
    with ExitStack() as folders:
        yield fit_and_measure(rows, params, settings, 7, folders)


def test_it_finds_what_engages_in_channels_it_has_not_seen(outcome):
    own = outcome.metrics["model"]
    assert own["spearman"] > 0.4
    assert own["r2"] > 0.1
    assert outcome.metrics["channel_mean"]["auc_thirds"] == 0.5
    assert 0.65 < outcome.coverage < 0.95


def test_the_same_rows_and_seed_give_the_same_figures(outcome, rows, params, settings):
    with ExitStack() as folders:
        again = fit_and_measure(rows, params, settings, 7, folders)
    for name, figures in outcome.metrics.items():
        assert again.metrics[name] == pytest.approx(figures, abs=1e-6)


@pytest.mark.parametrize("kind", ["trees_plain", "ridge_tfidf", "blend"])
def test_what_was_saved_says_the_same_with_reasons(rows, params, settings, tmp_path, outcome, kind):
    with ExitStack() as folders:
        one = fit_and_measure(rows, {**params, "candidates": [kind]}, settings, 7, folders)
        one.model.save(tmp_path)
    asked = {"earlier": [("a walk by the river", 300.0), ("cooking rice at home", 320.0)]}
    titles = ["SHOUTING ABOUT CATS", "talking about cats"]
    scored = score_titles(EngagementModel.load(tmp_path), titles, **asked)
    pd.testing.assert_frame_equal(scored, score_titles(one.model, titles, **asked))
    nothing = one.model.predict(features.as_input(rows.head(0)))
    assert (len(nothing), tuple(nothing)) == (0, OUTPUTS)
    assert {path.suffix for path in tmp_path.iterdir()} <= {".json", ".npz"}
    assert scored["percentile"][0] > scored["percentile"][1]
    assert ((scored["low"] >= 0) & (scored["low"] <= scored["percentile"])).all()
    assert ((scored["percentile"] <= scored["high"]) & (scored["high"] <= 1)).all()
    strongest, value = next(iter(json.loads(scored["signals"][0]).items()))
    assert value > 0
    assert any(
        word in strongest for word in ("capital", "shout", "case", "meaning", "word: shouting")
    )


def test_a_thumbnail_has_no_score_and_a_reason(outcome):
    scored = score_titles(outcome.model, ["a title"])
    assert np.isnan(scored["thumbnail"][0])
    assert "no images" in scored["thumbnail_reason"][0]
    assert len(score_titles(outcome.model, [])) == 0


def test_the_interval_covers_what_it_says():
    random = np.random.default_rng(3)
    label, scores = random.normal(size=4000), random.normal(size=4000)
    known = reference(label, (label - scores)[:2000])
    inside = (label >= scores + known.below) & (label <= scores + known.above)
    assert inside[2000:].mean() == pytest.approx(0.8, abs=0.03)
    assert known.percentile(np.array([-9.0, 9.0])).tolist() == [0, 1]


def test_a_constant_orders_nothing():
    figures = measure(np.arange(9.0), np.zeros(9))
    assert (figures["spearman"], figures["auc_thirds"]) == (0, 0.5)


def test_evidence_is_drawn_and_the_curve_ends_at_the_model(outcome, params):
    with ExitStack() as folders:
        curve = learning_curve(outcome, params, folders)
    assert [rows for rows, _ in curve] == sorted({rows for rows, _ in curve})
    assert curve[-1][1] == outcome.metrics["model"]["spearman"]
    label = outcome.parts.test["label"].to_numpy()
    drawn = pictures(label, outcome.scores, curve)
    assert {"calibration.svg", "errors.svg", "learning_curve.svg"} == set(drawn)
    assert all("<svg" in text for text in drawn.values())
    assert {"language", "category", "channel_size"} == set(slices(outcome.parts.test, label))
