"""Data gates: Great Expectations suites that stop what is downstream of bad data.

A suite is one file of `great_expectations/` for one table; a new expectation is a new entry there
and nothing else. Severity *block* stops the run and what is downstream of it, *warn* is logged and
kept. What compares the data with their own past (volume, distribution, silence) is written with the
types of `ml.gates.history`; with too little of a past an expectation is skipped, and recorded so.

Every result is a row of `ops.gate_results` (`details ->> 'skipped'` says why an expectation was not
judged); the report of a gate is a page in the reports bucket, `/reports/` in Airflow.
"""

from __future__ import annotations

from ml.gates.runner import GateReport, run_gate
from ml.gates.stages import check_build, check_imported, check_landed
from ml.gates.suites import SUITES_DIR, Check, RowFilter, Suite, load_suite, suite_names

__all__ = [
    "SUITES_DIR",
    "Check",
    "GateReport",
    "RowFilter",
    "Suite",
    "check_build",
    "check_imported",
    "check_landed",
    "load_suite",
    "run_gate",
    "suite_names",
]
