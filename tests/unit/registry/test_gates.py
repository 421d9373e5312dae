"""Behaviour of the gates on small models that are wrong in one way each."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from ml.exceptions import ConfigurationError, FatalError, MissingFeatureError
from ml.registry import releases, validation
from ml.registry.health import Figures, problems
from ml.registry.probes import _PROBES, Cases, Fresh, Probe, probe_of
from ml.registry.promotion import needs_approval
from ml.registry.releases import Release
from ml.registry.validation import _comparisons, _findings, checks
from ml.registry.validation.checks import Trial
from ml.registry.validation.criteria import criteria_of
from ml.settings import Settings

SETTINGS = Settings(rollout_min_answers=50)
CRITERIA = criteria_of("trend_video", SETTINGS)
RELEASE = Release("m", "1.0.0", 1, "run", (), "", {})
X = np.random.default_rng(2).normal(size=300)


def inputs():
    import pandas as pd

    return pd.DataFrame({"x": X})


class Model:
    """Whatever `predict` is given; the signature says `x` goes in and `probability` comes out."""

    def __init__(self, answer):
        self.answer = answer
        schema = SimpleNamespace(input_names=lambda: ["probability"])
        self.metadata = SimpleNamespace(
            get_input_schema=lambda: schema, get_output_schema=lambda: schema
        )

    def predict(self, frame):
        if "x" not in frame or frame["x"].isna().any():
            raise MissingFeatureError("x is missing")
        return frame[[]].assign(probability=self.answer(frame["x"]))

    def get_raw_model(self):
        return SimpleNamespace(specification=SimpleNamespace(required=("x",)))


def curve(x):
    return 1 / (1 + np.exp(-np.clip(x, -30, 30)))


def trial(answer, **cases):
    return Trial(Probe(), Model(answer), RELEASE, Cases(inputs(), "test", **cases), CRITERIA)


def failed(check, answer, **cases):
    return [found.criterion for found in check(trial(answer, **cases)) if not found.passed]


@pytest.mark.parametrize("check", [*checks.CHECKS.values()])
def test_a_sound_model_passes(check):
    labels = (X > 0).astype(int)
    assert failed(check, curve, labels=labels, groups={"half": np.arange(300) % 2}) == []


def test_scores_out_of_bounds_break_the_contract():
    assert failed(checks.contract, lambda x: x * 10) == ["contract"]


def test_answers_that_fail_are_counted():
    calls = []

    def flaky(x):
        calls.append(1)
        if len(calls) % 5 == 0:
            raise KeyError("cache")
        return curve(x)

    assert failed(checks.performance, flaky) == ["error_rate"]


def test_a_model_that_says_something_else_each_time_is_not_consistent():
    random = np.random.default_rng(0)
    assert failed(checks.consistency, lambda x: random.random(len(x))) == ["consistency"]


def test_a_score_that_leaps_with_noise_is_not_robust():
    assert failed(checks.robustness, lambda x: (x * 1e4).round() % 2) == ["robustness"]


def test_a_crash_on_a_hostile_input_is_unsafe():
    def breaks(x):
        if len(x) == 1:
            raise ZeroDivisionError
        return curve(x)

    assert failed(checks.safety, breaks) == ["safety"]


def test_a_slice_that_is_surely_worse_is_named():
    labels = (X > 0).astype(int)
    half = np.arange(300) % 2
    labels[half == 1] = 1 - labels[half == 1]
    [found] = checks.fairness(trial(curve, labels=labels, groups={"half": half}))
    assert not found.passed
    assert found.detail.startswith("all 0.500, 1: 0.000")


def test_a_rival_that_must_surely_be_beaten_is_not_beaten_by_being_no_worse():
    labels = (X + np.random.default_rng(5).normal(size=300) > 0).astype(int)
    rivals = {"global": X + 0.05 * np.random.default_rng(6).normal(size=300)}

    def found(**cases):
        [one] = _comparisons(trial(curve, labels=labels, **cases), None, SETTINGS)
        return one.criterion, one.passed

    assert found(rivals=rivals) == ("comparison_tolerance: global", True)
    surely = frozenset(rivals)
    assert found(rivals=rivals, surely=surely) == ("comparison_surely_better: global", False)
    rivals["global"] = np.random.default_rng(7).normal(size=300)
    assert found(rivals=rivals, surely=surely) == ("comparison_surely_better: global", True)


def test_where_no_fresh_row_has_an_outcome_the_report_says_so_and_the_training_decides():
    figures = {"model": {"auc": 0.8}, "champion": {"auc": 0.7}}
    tags = {"gate_metric": "auc", "metrics": json.dumps(figures)}
    tried = replace(trial(curve, unmeasured="nobody asked"), release=replace(RELEASE, tags=tags))
    trained, missing = _comparisons(tried, None, SETTINGS)
    assert (trained.criterion, trained.passed) == ("comparison: champion", True)
    assert (missing.passed, missing.detail) == (True, "not measurable: nobody asked")


def test_units_of_their_own_are_compared_beside_the_figures_of_the_training(monkeypatch):
    figures = {"model": {"auc": 0.8}, "champion": {"auc": 0.7}}
    tags = {"gate_metric": "auc", "metrics": json.dumps(figures)}
    labels = (X + np.random.default_rng(5).normal(size=300) > 0).astype(int)
    fresh = Fresh("300 days", labels, lambda model: model.predict(inputs())["probability"])
    former = Release("m", "0.9.0", 2, "run", (), "", {})

    def found(answer):
        monkeypatch.setattr(releases, "load", lambda release, settings: Model(curve))
        tried = replace(trial(answer, fresh=fresh), release=replace(RELEASE, tags=tags))
        return {each.criterion: each.passed for each in _comparisons(tried, former, SETTINGS)}

    same = {"comparison: champion": True, "score_shift: champion": True}
    assert found(curve) == {**same, "comparison_tolerance: champion": True}
    assert found(lambda x: curve(-x)) == {**same, "comparison_tolerance: champion": False}


@pytest.mark.parametrize(
    ("own", "rows", "passed"), [(0.05, 300, True), (-0.05, 300, False), (-0.05, 19, True)]
)
def test_lists_are_compared_by_their_mean_merit(monkeypatch, own, rows, passed):
    """A merit that is lower by 0.05 is refused, where there are enough lists to say so."""
    tags = {"gate_metric": "ndcg", "metrics": json.dumps({"model": {"ndcg": 0.5}})}
    noise = np.random.default_rng(5).normal(0.5, 0.1, size=rows)
    fresh = Fresh("lists", np.ones(rows, dtype=int), lambda model: model.merits, merit="NDCG@10")
    former = Release("m", "0.9.0", 2, "run", (), "", {})
    monkeypatch.setattr(
        releases, "load", lambda release, settings: SimpleNamespace(merits=noise[::-1])
    )
    asked = trial(curve, fresh=fresh)
    asked = replace(
        asked,
        release=replace(RELEASE, tags=tags),
        model=SimpleNamespace(merits=noise + own),
    )
    [found] = _comparisons(asked, former, SETTINGS)
    assert found.passed == passed
    told = "NDCG@10 " if rows == 300 else "not measurable: there are 19 fresh rows"
    assert found.detail.startswith(told)


LABELS = (X + np.random.default_rng(5).normal(size=300) > 0).astype(int)


def test_a_champion_is_asked_with_the_columns_that_it_takes(monkeypatch):
    former = Release("m", "0.9.0", 2, "run", (), "", {})
    monkeypatch.setattr(releases, "load", lambda release, settings: Model(lambda x: curve(2 * x)))
    renamed = Cases(
        inputs().rename(columns={"x": "renamed"}), "test", LABELS,
        inputs_of=lambda version: inputs(),
    )  # fmt: skip

    class Renamed(Model):
        def predict(self, frame):
            return super().predict(frame.rename(columns={"renamed": "x"}))

    tried = Trial(Probe(), Renamed(curve), RELEASE, renamed, CRITERIA)
    found = {each.criterion: each.passed for each in _comparisons(tried, former, SETTINGS)}
    assert found == {"score_shift: champion": True, "comparison_tolerance: champion": True}
    tried = replace(tried, cases=replace(renamed, inputs_of=None))
    [refused] = _comparisons(tried, former, SETTINGS)
    assert (refused.criterion, refused.passed) == ("comparison: champion", False)
    assert "x is missing" in refused.detail


def test_a_version_that_takes_other_columns_is_refused_and_told_why(monkeypatch):
    class Asking(Probe):
        def cases(self, model, release, champion, settings):
            return Cases(inputs()[model.get_raw_model().specification.required], "test", LABELS)

    class Other(Model):
        def get_raw_model(self):
            return SimpleNamespace(specification=SimpleNamespace(required=["views_tomorrow"]))

    monkeypatch.setattr(validation, "probe_of", lambda name: Asking())
    monkeypatch.setattr(releases, "load", lambda release, settings: Other(curve))
    source, [refused] = _findings(RELEASE, None, SETTINGS)
    assert (source, refused.criterion, refused.passed) == ("nothing", "contract", False)
    assert "views_tomorrow" in refused.detail
    # Where the cases are there, and the version wants something else of them.
    empty = Cases(inputs()[[]], "test", LABELS, rivals={"weak": X})
    monkeypatch.setattr(Asking, "cases", lambda *_: empty)
    _, found = _findings(RELEASE, None, SETTINGS)
    failed = {each.criterion: each.detail for each in found if not each.passed}
    assert "x is missing" in failed["contract"]
    assert "x is missing" in failed["comparison"]


def test_a_model_without_a_probe_is_refused_and_every_registered_one_has_its_own():
    with pytest.raises(FatalError, match="has no probe"):
        probe_of("somebody_else")
    assert {probe_of(name).name for name in _PROBES} == set(_PROBES)


def test_criteria_are_the_specs_and_a_wrong_file_is_named(tmp_path):
    assert (CRITERIA.latency_p95_ms, CRITERIA.error_rate, CRITERIA.robustness) == (1000, 0.01, 0.85)
    path = tmp_path / "c.yaml"
    path.write_text("defaults: {contract: 2}")
    with pytest.raises(ConfigurationError, match="contract"):
        criteria_of("m", Settings(release_criteria_file=path))


def scores(seed, shift=0.0):
    return tuple(np.random.default_rng(seed).uniform(0, 0.6, 200) + shift)


WELL = Figures(200, 0, 20.0, 100, 0.80, scores(1))


def test_a_healthy_canary_has_no_problem():
    assert problems(replace(WELL, scores=scores(2)), WELL, SETTINGS) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"errors": 20}, "error rate 9.1% of 220, limit 5%"),
        ({"latency_p95_ms": 1500.0}, "p95 1500 ms, limit 1000 ms"),
        ({"accuracy": 0.77}, "drop 0.030, limit 0.020"),
        ({"scores": scores(3, 0.4)}, "scores differ from the champion's"),
    ],
)
def test_each_threshold_takes_a_canary_back(change, told):
    [problem] = problems(replace(WELL, **change), WELL, SETTINGS)
    assert told in problem


def test_scores_may_lie_as_far_apart_as_outcomes_justify():
    other = replace(WELL, scores=scores(3, 0.4))
    assert problems(other, WELL, SETTINGS, justified_shift=0.5) == []
    [problem] = problems(other, WELL, SETTINGS, justified_shift=0.1)
    assert "limit 0.4" in problem


def test_few_errors_of_few_answers_prove_nothing_and_many_are_enough_at_once():
    young = Figures(3, 1, 20.0, 0, None)
    assert problems(young, WELL, SETTINGS) == []
    assert problems(replace(young, answers=0, errors=3), WELL, SETTINGS) != []


@pytest.mark.parametrize(
    ("version", "serving", "needed"),
    [("2.0.0", "1.4.0", True), ("2.1.0", "1.4.0", True), ("2.1.0", "2.0.0", False),
     ("1.5.0", "1.4.0", False), ("2.0.0", None, False), ("nonsense", "1.4.0", True)],
)  # fmt: skip
def test_a_person_decides_on_another_major_version_than_the_one_that_serves(
    version, serving, needed
):
    champion = replace(RELEASE, version=serving) if serving else None
    assert needs_approval(replace(RELEASE, version=version), champion) is needed
