from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.registry.aliases import planned_promotion, planned_rollback
from ml.registry.promotion import decide
from ml.registry.releases import Release, training_command
from ml.registry.versions import next_version, step_between


@pytest.mark.parametrize(
    ("existing", "version"),
    [
        ([], "1.0.0"),
        ([""], "1.0.0"),
        (["1.0.0"], "1.1.0"),
        (["1.9.0", "1.10.0", "1.2.0"], "1.11.0"),
        (["1.4.0", "2.0.3+7"], "2.1.0"),
        (["1.4.0", "nonsense"], "1.5.0"),
    ],
)
def test_new_registration_is_one_minor_step_up(existing, version):
    assert next_version(existing) == version


def _release(number, incumbent="", **auc):
    figures = {name: {"auc": value} for name, value in auc.items()}
    tags = {"gate_metric": "auc", "metrics": json.dumps(figures), "incumbent": incumbent}
    return Release("m", "1.0.0", number, "", (), "", tags)


def test_first_version_that_beats_the_baselines_is_promoted():
    assert decide(_release(1, model=0.9, logistic_regression=0.8), None)[0]


def test_version_that_loses_to_a_baseline_is_refused_by_name():
    promote, reason = decide(_release(1, model=0.8, logistic_regression=0.81, always_up=0.5), None)
    assert not promote
    assert "logistic_regression 0.8100" in reason
    assert "always_up" not in reason


def test_tie_with_the_champion_is_a_refusal():
    assert not decide(_release(2, "1", model=0.9, champion=0.9), 1)[0]


def test_champion_that_was_not_measured_blocks_promotion():
    promote, reason = decide(_release(4, "1", model=0.9, champion=0.8), 3)
    assert not promote
    assert "version 3" in reason


def test_decision_repeated_after_a_kill_is_the_same():
    assert decide(_release(2, "1", model=0.9, champion=0.8), 2)[0]


@pytest.mark.parametrize(
    ("step", "version"),
    [("major", "2.0.0"), ("minor", "1.3.0"), ("patch", "1.2.4"), ("build", "1.2.3+8")],
)
def test_the_number_of_the_step_rises_and_those_behind_it_start_again(step, version):
    assert next_version(["1.2.3+7", "1.0.0"], step) == version


BEFORE = {"architecture": "a", "data_digest": "d", "params": "p", "code_digest": "c"}


@pytest.mark.parametrize(
    ("changes", "step"),
    [
        ({"architecture": "b", "data_digest": "e"}, "major"),
        ({"data_digest": "e", "code_digest": "x"}, "minor"),
        ({"params": "q"}, "minor"),
        ({"code_digest": "x"}, "patch"),
        ({"change": "build"}, "build"),
    ],
)
def test_what_changed_decides_which_number_rises(changes, step):
    assert step_between(BEFORE, BEFORE | changes) == step


def test_an_older_version_without_tags_is_followed_by_another_training():
    assert step_between({}, BEFORE) == "minor"


def _apply(current, plan, steps=None):
    after = {**current, **dict(plan[:steps])}
    return {alias: number for alias, number in after.items() if number is not None}


def test_former_champions_move_one_place_back():
    current = {"champion": 4, "previous-1": 3, "previous-2": 2, "previous-3": 1}
    after = _apply(current, planned_promotion(current, 5))
    assert after == {"champion": 5, "previous-1": 4, "previous-2": 3, "previous-3": 2}


def test_a_promoted_version_waits_no_more():
    current = {"champion": 1, "staging": 2, "challenger": 2, "canary": 2}
    assert _apply(current, planned_promotion(current, 2)) == {"champion": 2, "previous-1": 1}


def test_going_back_brings_the_last_former_champion_first():
    current = {"champion": 4, "previous-1": 3, "previous-2": 2, "previous-3": 1}
    plan = planned_rollback(current)
    assert plan[0] == ("champion", 3)
    assert _apply(current, plan) == {"champion": 3, "previous-1": 2, "previous-2": 1}


def test_without_a_former_champion_there_is_nothing_to_go_back_to():
    assert planned_rollback({"champion": 1}) == []


FORMER = st.lists(st.integers(1, 9), unique=True, max_size=4)
ALIASES = ("champion", "previous-1", "previous-2", "previous-3")


@given(former=FORMER, killed_after=st.integers(0, 4))
def test_kill_in_the_middle_of_a_promotion_ends_in_the_same_state(former, killed_after):
    current = dict(zip(ALIASES, former, strict=False))
    plan = planned_promotion(current, 10)
    whole = _apply(current, plan)
    broken = _apply(current, plan, killed_after)
    assert _apply(broken, planned_promotion(broken, 10)) == whole


@given(former=FORMER.filter(lambda each: len(each) > 1), killed_after=st.integers(1, 4))
def test_kill_in_the_middle_of_going_back_goes_back_once(former, killed_after):
    current = dict(zip(ALIASES, former, strict=False))
    plan = planned_rollback(current)
    whole = _apply(current, plan)
    broken = _apply(current, plan, min(killed_after, len(plan) - 1))
    if broken != whole:
        assert _apply(broken, planned_rollback(broken)) == whole


def test_a_model_is_called_by_what_trains_it():
    names = ("trend_video", "trend_topic", "quality_policy", "trend_video_short-movies")
    assert [training_command(name) for name in names] == [
        "ytempire train trend", "ytempire train trend --model topic", "ytempire train quality",
        "ytempire train trend --niche short-movies",
    ]  # fmt: skip
