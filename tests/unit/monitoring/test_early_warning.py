from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ml.exceptions import ConfigurationError
from ml.monitoring import early_warning, indicators
from ml.monitoring.early_warning import changes, load_rules
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
    firing = [("data_drift", "old"), ("data_drift", "well")]
    began, recovered = changes([rule], values, firing)
    assert (began.rule, began.subject, began.kind) == ("data_drift", "new", "warning")
    assert "is above 0.1: 0.2" in began.message
    assert (recovered.subject, recovered.kind) == ("well", "recovery")
    assert recovered.message.endswith("is back under 0.1: 0")
    assert {each.severity for each in (began, recovered)} == {"error"}
    assert began.alert("r").key == "data_drift/new"


def test_what_cannot_be_measured_has_not_recovered():
    """An API that is down answers nothing, and so shows no errors."""
    [rule] = [rule for rule in load_rules(Settings()) if rule.name == "error_rate"]
    assert changes([rule], {"error_rate": {}}, [("error_rate", "/predict")]) == []


def test_warnings_of_a_rule_that_is_gone_recover_on_every_route():
    [notice] = changes([], {}, [("retired", "x")])
    assert (notice.rule, notice.subject, notice.kind) == ("retired", "x", "recovery")
    assert set(notice.routes) == {"email", "slack", "pagerduty"}


def test_two_rules_of_one_metric_read_it_once(monkeypatch):
    """Reading an error share moves its base: the second rule would find nothing."""
    rules = [rule for rule in load_rules(Settings()) if rule.name == "error_rate"]
    rules.append(rules[0].model_copy(update={"name": "error_rate_high", "above": 0.1}))
    asked = []
    monkeypatch.setattr(indicators, "read", lambda *given: asked.append(given) or {"/x": 0.5})
    found = early_warning._values(rules, datetime(2026, 5, 1, tzinfo=UTC), None, Settings())
    assert found == {"error_rate": {"/x": 0.5}, "error_rate_high": {"/x": 0.5}}
    assert len(asked) == 1


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
    # Routes with too few answers keep their base until they have enough.
    assert indicators._shares({}, counted) == (
        {"/predict": 0.01}, {"/predict": (1000.0, 10.0), "/health": (0.0, 0.0)},
    )  # fmt: skip
    few = {"/predict": (970.0, 2.0)}
    assert indicators._shares(few, counted)[1]["/predict"] == (970.0, 2.0)
    assert indicators._shares({"/predict": (900.0, 0.0)}, counted)[0] == {"/predict": 0.1}
    # Counters that have shrunk belong to a process that has started anew.
    assert indicators._shares({"/predict": (5000.0, 400.0)}, counted)[0] == {"/predict": 0.01}
