"""What the gate reports: checks, and checkpoints made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ml.measures import technical_score

Part = Literal["technical", "content", "policy", "estimate"]
Verdict = Literal["pass", "held", "rejected"]


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        kind: whether a rule, a heuristic or a model gave the value.
        part: which part of the score it belongs to; an `estimate` belongs to none.
        version: of the rule, or the heuristic or model by name.
        score: between 0 and 1; for rules 1 or 0, None where it could not be judged.
        reason: why it could not.
    """

    name: str
    part: Part
    kind: Literal["rule", "heuristic", "model"]
    version: str
    value: Any
    threshold: str
    passed: bool
    score: float | None
    reason: str = ""


@dataclass(frozen=True)
class Checkpoint:
    """The checks of one point on the way of a video, and what follows from them.

    Attributes:
        scores: by part, and the lowest of them as `overall`.
        weakest: the check with the lowest score, None when all have the highest.
    """

    name: Literal["script", "media", "final"]
    verdict: Verdict
    scores: dict[str, float]
    weakest: str | None
    checks: tuple[Check, ...]

    @classmethod
    def of(
        cls,
        name: Literal["script", "media", "final"],
        checks: Sequence[Check],
        thresholds: tuple[float, float],
    ) -> Checkpoint:
        """Score checks; `thresholds` are the least score that passes and that is not rejected."""
        scores = aggregate(checks)
        judged = [c for c in checks if c.score is not None and c.part != "estimate"]
        worst = min(judged, key=lambda c: c.score or 0.0, default=None)
        weakest = worst.name if worst and worst.score != 1 else None
        return cls(name, decide(scores["overall"], *thresholds), scores, weakest, tuple(checks))

    def summary(self) -> dict[str, Any]:
        """Without its checks."""
        return {"verdict": self.verdict, "scores": self.scores, "weakest": self.weakest}

    def report(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return self.summary() | {"checks": [asdict(check) for check in self.checks]}


def rule(name: str, value: Any, threshold: str, passed: bool) -> Check:
    """A technical measurement with a limit."""
    return Check(name, "technical", "rule", "1", value, threshold, passed, float(passed))


def aggregate(checks: Sequence[Check]) -> dict[str, float]:
    """Scores of the parts that were judged, and the lowest of them as `overall`.

    One technical failure holds a video and each further one costs another tenth; of the other
    parts the weakest check decides. Without any check that was judged the score is 0.
    """
    parts: dict[str, float] = {}
    if passed := [check.passed for check in checks if check.part == "technical"]:
        parts["technical"] = technical_score(passed)
    for part in ("content", "policy"):
        found = [c.score for c in checks if c.part == part and c.score is not None]
        if found:
            parts[part] = min(found)
    rounded = {name: round(value, 4) for name, value in parts.items()}
    return rounded | {"overall": min(rounded.values(), default=0.0)}


def decide(score: float, least: float, reject_below: float) -> Verdict:
    """The verdict of a score."""
    if score >= least:
        return "pass"
    return "rejected" if score < reject_below else "held"


def worse(*verdicts: Verdict) -> Verdict:
    """The worst of some verdicts."""
    order: tuple[Verdict, ...] = ("pass", "held", "rejected")
    return max(verdicts, key=order.index)
