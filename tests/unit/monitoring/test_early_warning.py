from __future__ import annotations

import pytest

from ml.exceptions import ConfigurationError
from ml.monitoring import indicators
from ml.monitoring.early_warning import Notice, changes, load_rules
from ml.settings import Settings


def test_the_rules_of_the_roadmap_are_there_with_their_thresholds():
    rules = {rule.name: rule for rule in load_rules(Settings())}
    assert rules["data_drift"].above == 0.10
    assert (rules["accuracy_drop"].above, rules["accuracy_drop"].hours) == (0.05, 24)
    assert (rules["latency_increase"].above, rules["latency_increase"].hours) == (0.20, 1)
    assert rules["error_rate"].above == 0.01
    assert rules["quota_nearly_used"].above == 0.80
    assert {rule.metric for rule in rules.values()} == indicators.NAMES


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{name: a, metric: nonsense, above: 1, hours: 1, severity: info, routes: [], say: x}",
         "rule 0, metric: .*there is no metric nonsense"),
        ("{name: a, metric: drift_share, above: 1, hours: 1, severity: loud, routes: [], say: x}",
         "rule 0, severity"),
        ("{name: a, metric: drift_share, above: 1, hours: 1, severity: info, routes: [fax], say: }",
         "rule 0, routes"),
        ("{name: a", "expected"),
    ],
)  # fmt: skip
def test_a_wrong_line_is_named_with_its_field(tmp_path, line, problem):
    path = tmp_path / "rules.yaml"
    path.write_text(f"- {line}\n")
    with pytest.raises(ConfigurationError, match=problem):
        load_rules(Settings(warning_rules=path))


def test_only_what_is_new_is_told():
    [rule] = [rule for rule in load_rules(Settings()) if rule.name == "data_drift"]
    values = {"data_drift": {"old": 0.5, "new": 0.2, "at": 0.1, "well": 0.0}}
    notices = changes([rule], values, [("data_drift", "old"), ("data_drift", "well"),
                                       ("data_drift", "gone"), ("other", "x")])  # fmt: skip
    assert notices == [
        Notice(rule, "new", "warning", 0.2),
        Notice(rule, "gone", "recovery", None),
        Notice(rule, "well", "recovery", 0.0),
    ]
    assert "is above 0.1: 0.2" in notices[0].alert("r").message
    assert notices[1].alert("r").message.endswith("no longer measured")
    assert notices[0].alert("r").severity == "error"


_PAGE = """
# TYPE ytempire_requests counter
ytempire_requests_total{route="/predict",status="200"} 990.0
ytempire_requests_total{route="/predict",status="500"} 8.0
ytempire_requests_total{route="/predict",status="503"} 2.0
ytempire_requests_total{route="/health",status="200"} 5.0
"""


def test_error_shares_are_of_the_answers_since_the_last_look():
    counted = indicators._requests(_PAGE)
    assert counted == {"/predict": (1000.0, 10.0), "/health": (5.0, 0.0)}
    assert indicators._shares({}, counted) == {"/predict": 0.01}
    assert indicators._shares({"/predict": (900.0, 0.0)}, counted) == {"/predict": 0.1}
    # Counters that have shrunk belong to a process that has started anew.
    assert indicators._shares({"/predict": (5000.0, 400.0)}, counted) == {"/predict": 0.01}
