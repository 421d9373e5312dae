"""The SQL of expectations about the past: what is refused, and that it never asks the clock."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from ml.exceptions import ConfigurationError
from ml.gates import load_suite, suite_names
from ml.gates.history import HISTORY_TYPES, comparison_query
from ml.gates.suites import Check

AS_OF = datetime(2026, 5, 31, 5, tzinfo=UTC)
MEASURE = {"measure": "count(*)", "by": ["source"], "time": "event_at"}


@pytest.mark.parametrize("whole", [True, False])
def test_no_query_asks_the_clock_or_leaves_a_placeholder(whole):
    seen = 0
    for name in suite_names():
        suite = load_suite(name)
        for check in suite.checks:
            _, arguments = check.as_known_to_gx(suite.table, AS_OF, whole=whole)
            query = arguments.get("unexpected_rows_query", "").lower()
            assert not re.search(r"\bnow\(|\bcurrent_(date|time)|clock_timestamp|localtime", query)
            assert not re.search(r"\$\w", query)
            seen += check.type in HISTORY_TYPES
    assert seen >= 20


def test_an_unknown_argument_is_refused():
    arguments = {**MEASURE, "low": 0.5, "hihg": 2}
    with pytest.raises(ConfigurationError, match="unexpected keyword argument 'hihg'"):
        comparison_query("expect_measure_to_match_history", arguments, "raw.records", whole=True)


def test_a_missing_argument_is_refused():
    with pytest.raises(ConfigurationError, match="'value' and 'max_new_share'"):
        comparison_query(
            "expect_values_to_be_known", {"by": ["a"], "time": "t"}, "raw.records", whole=True
        )


def test_a_measure_without_bounds_is_refused():
    with pytest.raises(ConfigurationError, match="low, high or max_change"):
        comparison_query("expect_measure_to_match_history", MEASURE, "raw.records", whole=True)


def test_rows_of_a_run_are_compared_with_the_past_of_the_whole_table():
    check = Check("n", "expect_measure_to_match_history", {**MEASURE, "low": 0.5}, "warn", "w")
    _, arguments = check.as_known_to_gx("raw.records", AS_OF, whole=False)
    query = arguments["unexpected_rows_query"]
    assert "from {batch} as asked" in query
    assert "from raw.records" in query
    assert "event_at <= '2026-05-31T05:00:00+00:00'" in query
    assert "found < 0.5 * usual" in query
