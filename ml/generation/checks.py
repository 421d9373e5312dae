"""One row of the gate's report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        kind: whether a rule, a heuristic or a model gave the value.
        part: which part of the score it belongs to.
        score: between 0 and 1; for rules 1 or 0.
    """

    name: str
    part: Literal["technical", "content", "policy"]
    kind: Literal["rule", "heuristic", "model"]
    version: str
    value: Any
    threshold: str
    passed: bool
    score: float


def rule(name: str, value: Any, threshold: str, passed: bool) -> Check:
    """A technical measurement with a limit."""
    return Check(name, "technical", "rule", "1", value, threshold, passed, float(passed))
