from __future__ import annotations

import numpy as np
import pytest

from ml.exceptions import TooFewRowsError
from ml.registry.checkpoints import Checkpoints
from ml.trend.topic import choose
from ml.trend.topic.evaluate import lost_to, measure, with_gains
from ml.trend.topic.fitting import fit_and_measure, measure_model
from ml.trend.topic.folds import plan_folds
from ml.trend.topic.model import TopicModel
from ml.trend.topic.networks import Network
from ml.trend.topic.series import Panel, Windows
from ml.trend.topic.trees import Trees


def test_errors_are_those_of_the_formulas():
    history = np.tile([2.0, 2, 2, 2, 2, 2, 2, 4, 4, 4, 4, 4, 4, 4], 4)[None, :]
    future = np.array([[4.0, 0, 4, 4, 4, 4, 4]])
    windows = Windows(history, np.array([1]), np.array([0]), future)
    figures = measure(windows, np.array([[2.0, 0, 4, 4, 4, 4, 4]]), np.array([0.0]))
    # Every day differs by 2 from a week before; 2 |2 - 4| / 6 on one of two days.
    assert figures["mase_48h"] == pytest.approx(0.5)
    assert figures["smape_48h"] == pytest.approx(2 / 3 / 2)
    assert figures["mase_7d"] == pytest.approx(1 / 7)


def test_gain_is_that_at_the_weakest_measure_against_the_best_of_each():
    table = {
        "model": {"smape_48h": 0.45, "mase_48h": 0.7, "auc_rises": 0.8},
        "a": {"smape_48h": 0.5, "mase_48h": 1.0, "auc_rises": 0.6},
        "b": {"smape_48h": 0.6, "mase_48h": 0.8, "auc_rises": 0.5},
    }
    found = with_gains(table, ["a", "b"])
    assert found["model"]["gain"] == pytest.approx(0.1)
    assert found["best_baseline"]["gain"] == 0
    assert found["a"]["gain"] == pytest.approx(-0.25)
    assert lost_to(table["model"], {"a": table["a"]}) == ""
    assert lost_to(table["a"], {"b": table["b"]}) == "mase_48h 1.0000 against 0.8000 of b"


def test_no_part_sees_the_future_of_the_part_before(folds):
    week = folds.panel.horizon
    assert folds.validation[-1] + week <= folds.test[0]
    assert folds.test[-1] + week == folds.panel.steps - 1
    assert len(folds.test) >= 6
    train = folds.training_windows(folds.validation[0])
    assert train.origin.max() + week <= folds.panel.start + folds.validation[0]
    assert not np.isnan(folds.test_windows().outcome()).any()


def test_too_little_history_is_refused_with_the_days_needed(panel, quick):
    short = Panel(panel.names, panel.values[:, :60], panel.known[:, :60], panel.start)
    with pytest.raises(TooFewRowsError, match=r"at least 84 days.*there are 60"):
        plan_folds(short, quick)
    quiet = Panel(panel.names, panel.values * 0, panel.known, panel.start)
    with pytest.raises(TooFewRowsError, match=r"at least 20 validation windows.*there are 0"):
        plan_folds(quiet, quick)


def test_what_ships_beat_every_baseline_on_validation_or_is_one(fitted, quick):
    study = fitted.study
    baselines = set(quick["baselines"])
    assert {*quick["methods"], *quick["stacks"]} == set(study.verdicts)
    assert study.verdicts["prophet"] == "no series has 120 days of history"
    assert study.winner in baselines or study.verdicts[study.winner] == ""
    for name, reason in study.verdicts.items():
        if reason and name in study.table and name not in baselines:
            assert any(
                study.table[name][m] >= min(study.table[b][m] for b in baselines)
                for m in ("smape_48h", "mase_48h", "smape_7d", "mase_7d")
            ), name
    assert {*baselines, "model", "best_baseline"} - set(fitted.table) <= {study.winner}


def test_same_panel_and_seed_give_the_same_figures(folds, fitted):
    again = fit_and_measure(folds)
    assert again.study.winner == fitted.study.winner
    for name, figures in fitted.table.items():
        assert again.table[name] == pytest.approx(figures, abs=1e-6), name


def test_a_training_that_was_killed_fits_no_method_twice(folds, fitted, tmp_path, monkeypatch):
    kept = Checkpoints(tmp_path)
    assert fit_and_measure(folds, checkpoints=kept).table == fitted.table
    for family in (Trees, Network):
        monkeypatch.setattr(family, "fit", None)
    assert choose.study(folds, checkpoints=kept).table == fitted.study.table


def test_intervals_hold_about_the_share_they_promise(fitted):
    figures = fitted.table["model"]
    assert 0.65 <= figures["coverage_48h"] <= 0.93
    assert 0.65 <= figures["coverage_7d"] <= 0.95
    assert figures["brier_rises"] < figures["share_rises"] * (1 - figures["share_rises"]) + 0.02


def test_saved_model_says_the_same_and_holds_no_code(folds, fitted, tmp_path):
    fitted.model.save(tmp_path / "m")
    assert {path.suffix for path in (tmp_path / "m").iterdir()} == {".json", ".npz"}
    loaded = TopicModel.load(tmp_path / "m")
    windows = folds.test_windows()
    assert measure_model(loaded, windows) == measure_model(fitted.model, windows)


def test_frame_of_rows_is_forecast_after_its_last_day(fitted, panel):
    import pandas as pd

    days = pd.to_datetime(panel.start + np.arange(panel.steps), unit="D", utc=True)
    frame = pd.DataFrame(
        [
            ("topics", name, day, volume)
            for name, values in zip(panel.names, panel.values, strict=True)
            for day, volume in zip(days, values, strict=True)
            if volume > 0
        ],
        columns=["source", "series", "at", "volume"],
    )
    said = fitted.model.predict(frame)
    assert list(said["series"]) == list(panel.names)
    assert set(said["last_day"]) == {str(days[-1].date())}
    assert (said["volume_48h_low"] <= said["volume_48h"] + 0.5).all()
    assert (said["volume_48h"] <= said["volume_48h_high"] + 0.5).all()
    assert said["rise_probability"].between(0, 1).all()
    assert (said["volume_7d"] >= said["volume_48h"]).all()
    # More of the same in the last days makes a rise of the next ones likelier.
    last = frame["at"] > days[-4]
    louder = frame.assign(volume=frame["volume"] * np.where(last, 4, 1))
    assert fitted.model.predict(louder)["volume_48h"].sum() > 1.5 * said["volume_48h"].sum()


def test_nothing_to_forecast_from_is_refused_with_what_is_needed(fitted, panel):
    import pandas as pd

    days = pd.to_datetime(panel.start + np.arange(panel.steps), unit="D", utc=True)
    quiet = pd.DataFrame({"source": "topics", "series": "quiet", "at": days, "volume": 0.0})
    for frame in (quiet, quiet.assign(volume=np.nan), quiet.head(0)):
        with pytest.raises(TooFewRowsError, match=r"no day|28 days"):
            fitted.model.predict(frame)
