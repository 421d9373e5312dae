"""Stage 5: the gate. Every check is a row that says what it is, what it measured and its limit.

The score of a video is the lowest of three parts, each between 0 and 1:

* technical: 1 when every technical check passes, else 0.8 less 0.1 for each further failure;
* content: the lowest score of the content checks. They are heuristics: they see whether a script
  keeps to its topic, repeats itself or copies, not whether it is any good;
* policy: 1 without a listed word, 0.7 with one (a person decides), 0.5 with more.

It passes from `gate_min_score` on, is rejected below `gate_reject_score` and held in between.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Literal

from ml.generation.checks import Check
from ml.generation.gate_content import content_checks, policy_check
from ml.generation.gate_technical import technical_checks
from ml.generation.stage import StageContext, StageOutput

CODE_VERSION = "1"

Verdict = Literal["pass", "held", "rejected"]


def code_version() -> str:
    """Version of the stage."""
    return CODE_VERSION


def run(context: StageContext) -> StageOutput:
    """Write `gate.json`: the verdict, the scores and every check."""
    checks = [*technical_checks(context), *content_checks(context), policy_check(context)]
    scores = aggregate(checks)
    settings = context.settings
    verdict = decide(scores["overall"], settings.gate_min_score, settings.gate_reject_score)
    report = {
        "verdict": verdict,
        "scores": scores,
        "thresholds": {"pass": settings.gate_min_score, "reject": settings.gate_reject_score},
        "checks": [asdict(check) for check in checks],
    }
    files = {"gate.json": context.write_text("gate.json", json.dumps(report, indent=2))}
    failed = [check.name for check in checks if not check.passed]
    return StageOutput(
        "gate/rules-and-heuristics",
        files,
        {"verdict": verdict, "scores": scores, "failed": failed, "checks": len(checks)},
    )


def aggregate(checks: Sequence[Check]) -> dict[str, float]:
    """Scores of the three parts, and the lowest of them as `overall`."""
    failures = sum(not check.passed for check in checks if check.part == "technical")
    parts = {
        "technical": 1.0 if failures == 0 else max(0.0, 0.8 - 0.1 * (failures - 1)),
        "content": min((c.score for c in checks if c.part == "content"), default=0.0),
        "policy": min((c.score for c in checks if c.part == "policy"), default=0.0),
    }
    return {name: round(value, 4) for name, value in parts.items()} | {
        "overall": round(min(parts.values()), 4)
    }


def decide(score: float, least: float, reject_below: float) -> Verdict:
    """The verdict of a score."""
    if score >= least:
        return "pass"
    return "rejected" if score < reject_below else "held"
