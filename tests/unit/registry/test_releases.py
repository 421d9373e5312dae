from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.registry.releases import decide, next_version, planned_aliases


@pytest.mark.parametrize(
    ("existing", "version"),
    [
        ([], "1.0.0"),
        ([""], "1.0.0"),
        (["1.0.0"], "1.1.0"),
        (["1.9.0", "1.10.0", "1.2.0"], "1.11.0"),
        (["1.4.0", "2.0.3+build7"], "2.1.0"),
    ],
)
def test_new_registration_is_one_minor_step_up(existing, version):
    assert next_version(existing) == version


def _tags(incumbent="", **auc):
    figures = {name: {"auc": value} for name, value in auc.items()}
    return {"gate_metric": "auc", "metrics": json.dumps(figures), "incumbent": incumbent}


def test_first_version_that_beats_the_baselines_is_promoted():
    assert decide(_tags(model=0.9, logistic_regression=0.8), None, 1)[0]


def test_version_that_loses_to_a_baseline_is_refused_by_name():
    promote, reason = decide(_tags(model=0.8, logistic_regression=0.81, always_up=0.5), None, 1)
    assert not promote
    assert "logistic_regression 0.8100" in reason
    assert "always_up" not in reason


def test_tie_with_the_champion_is_a_refusal():
    assert not decide(_tags("1", model=0.9, champion=0.9), 1, 2)[0]


def test_champion_that_was_not_measured_blocks_promotion():
    promote, reason = decide(_tags("1", model=0.9, champion=0.8), 3, 4)
    assert not promote
    assert "version 3" in reason


def test_decision_repeated_after_a_kill_is_the_same():
    assert decide(_tags("1", model=0.9, champion=0.8), 2, 2)[0]


def _apply(current, plan, steps=None):
    return {**current, **dict(plan[:steps])}


def test_former_champions_move_one_place_back():
    current = {"champion": 4, "previous-1": 3, "previous-2": 2, "previous-3": 1}
    after = _apply(current, planned_aliases(current, 5, promote=True))
    assert after == {"champion": 5, "previous-1": 4, "previous-2": 3, "previous-3": 2}


def test_refused_version_becomes_challenger_and_nothing_else_moves():
    current = {"champion": 1}
    assert planned_aliases(current, 2, promote=False) == [("challenger", 2)]


@given(former=st.lists(st.integers(1, 9), unique=True, max_size=4), killed_after=st.integers(0, 4))
def test_kill_in_the_middle_of_a_promotion_ends_in_the_same_state(former, killed_after):
    current = dict(
        zip(("champion", "previous-1", "previous-2", "previous-3"), former, strict=False)
    )
    plan = planned_aliases(current, 10, promote=True)
    whole = _apply(current, plan)
    broken = _apply(current, plan, killed_after)
    assert _apply(broken, planned_aliases(broken, 10, promote=True)) == whole
