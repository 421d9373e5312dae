from __future__ import annotations

import pytest

from ml.generation.checks import Check, Checkpoint
from ml.generation.gate_faults import FAULTS, faulty, good, split
from ml.generation.gate_improvement import improve
from ml.generation.gate_measures import MEASURES, RULES, Subject, measure
from ml.generation.gate_reference import fingerprint, percentile, reference, subject_of

QUICK = [m.name for m in MEASURES if m.kind == "heuristic"]


def test_the_reference_values_belong_to_the_set_and_the_measures_as_they_are():
    assert reference()["fingerprint"] == fingerprint(), (
        "run tests/bench/bench_gate.py --calibrate: scripts, faults or measures have changed"
    )
    assert set(reference()["values"]) == {m.name for m in MEASURES} | {"novelty"}


def test_parts_share_no_script_and_faults_are_the_same_every_time():
    parts = {part: {s.id for s in good() if s.part == part} for part in ("reference", "held_out")}
    assert not parts["reference"] & parts["held_out"]
    assert min(map(len, parts.values())) >= 10
    for fault in FAULTS:
        first, again = faulty("held_out", fault), faulty("held_out", fault)
        assert first == again
        sound = {s.id: s.sentences for s in good()}
        assert all(script.sentences != sound[script.id] for script in first)


@pytest.mark.parametrize("rule", RULES)
def test_rules_find_their_fault_and_leave_good_scripts_alone(rule):
    fault, objection = RULES[rule]
    assert not [s.id for s in good() if objection(subject_of(s))]
    found = [bool(objection(subject_of(s))) for s in faulty("held_out", fault)]
    assert sum(found) / len(found) >= 0.9


@pytest.mark.parametrize(
    ("name", "fault"),
    [("relevance", "off_topic"), ("variety", "repetitive"), ("own_words", "copied")],
)
def test_a_good_script_scores_higher_than_its_faulty_twin(name, fault):
    sound = [s for s in good() if s.part == "held_out"][:4]
    twins = {s.id: s for s in faulty("held_out", fault)}
    for script in sound:
        value = measure(subject_of(script), [name])[name]
        spoilt = measure(subject_of(twins[script.id]), [name])[name]
        assert value is not None
        assert spoilt is not None
        assert percentile(name, value) > percentile(name, spoilt)


def test_a_percentile_is_the_share_of_faulty_scripts_below():
    values = reference()["values"]["variety"]
    assert percentile("variety", min(values) - 0.1) == 0.0
    assert percentile("variety", max(values) + 0.1) == 1.0


def test_what_cannot_be_compared_is_null():
    subject = Subject(("One two three four five.",), "topic", ())
    assert measure(subject, ["brand_fit", "own_words"]) == {"brand_fit": None, "own_words": None}


def test_figures_of_the_measured_trend_are_supported():
    figures = RULES["supported_figures"][1]
    rising = "It has risen from 310 thousand to 3.1 million."
    assert figures(Subject((rising,), "t", ())) == ["3.1", "310"]
    assert figures(Subject((rising,), "t", (), supported=(rising,))) == []


def test_sentences_are_split_at_their_ends_only():
    assert split('Is it 3.5 m? "Yes." It is.') == ("Is it 3.5 m?", '"Yes.', "It is.")


def _point(score: float) -> Checkpoint:
    row = Check("fluency", "content", "model", "1", score, "", True, score)
    return Checkpoint.of("script", [row], (0.85, 0.6))


@pytest.mark.parametrize(
    ("scores", "made", "best"),
    [
        ([0.9], 1, 0.9),  # passes at once
        ([0.5, 0.4, 0.9], 2, 0.5),  # does not rise: stop, keep the first
        ([0.5, 0.6, 0.7], 3, 0.7),  # rises: at most two retries
        ([0.5, 0.9, 0.95], 2, 0.9),  # passes on the way
    ],
)
def test_a_script_is_written_again_at_most_twice_and_only_while_it_gets_better(scores, made, best):
    asked: list[int] = []

    def make(number: int) -> float:
        asked.append(number)
        return scores[number]

    found = improve(make, _point, retries=2)
    assert asked == list(range(made))
    assert found.checkpoint.scores["overall"] == best == found.work
    assert [score for score, _ in found.attempts] == scores[:made]


def test_no_attempt_begins_without_time_for_it():
    found = improve(lambda number: [0.5, 0.9][number], _point, retries=2, has_time=lambda: False)
    assert found.work == 0.5
