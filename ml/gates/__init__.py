"""Data gates: Great Expectations suites that stop what is downstream of bad data."""

from __future__ import annotations

from ml.gates.runner import GateReport, run_gate
from ml.gates.suites import SUITES_DIR, Check, RowFilter, Suite, load_suite, suite_names

__all__ = [
    "SUITES_DIR",
    "Check",
    "GateReport",
    "RowFilter",
    "Suite",
    "load_suite",
    "run_gate",
    "suite_names",
]
