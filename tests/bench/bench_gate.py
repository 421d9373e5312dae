"""How well the gate tells good from faulty: scripts of the labelled set, media faults by ffmpeg.

    python tests/bench/bench_gate.py --calibrate   # reference values, from the part `reference`
    python tests/bench/bench_gate.py               # precision and recall, on the part `held_out`

A script counts as found when it is not passed. The good scripts have the same author as the set's
faulty ones and are no sample of what models write: the figures say which faults the checks see.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from provenance import provenance

from ml.generation import gate_reference
from ml.generation.checks import aggregate, decide
from ml.generation.gate_faults import FAULTS, Labelled, faulty, good
from ml.generation.gate_reference import script_checks, subject_of
from ml.settings import get_settings


def main() -> None:
    """Calibrate, or report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calibrate", action="store_true")
    results = Path(__file__).with_name("results") / "gate.json"
    parser.add_argument("--out", type=Path, default=results)
    arguments = parser.parse_args()
    if arguments.calibrate:
        gate_reference.write(gate_reference.calibrate())
        return
    report = {**provenance(), "load_before": os.getloadavg()[0], "scripts": scripts()}
    text = json.dumps(report, indent=2)
    arguments.out.write_text(text + "\n")
    print(text)


def scripts() -> dict[str, Any]:
    """Verdicts on the held-out scripts, by fault."""
    rows = {"good": [judge(s) for s in good() if s.part == "held_out"]}
    rows |= {fault: [judge(s) for s in faulty("held_out", fault)] for fault in FAULTS}
    passed = {name: sum(row["verdict"] == "pass" for row in found) for name, found in rows.items()}
    bad = {name: found for name, found in rows.items() if name != "good"}
    n_bad = sum(map(len, bad.values()))
    found = n_bad - sum(passed[name] for name in bad)
    false_alarms = len(rows["good"]) - passed["good"]
    return {
        "precision": round(found / max(1, found + false_alarms), 4),
        "recall": round(found / n_bad, 4),
        "good_passed": f"{passed['good']} of {len(rows['good'])}",
        "good_rejected": sum(row["verdict"] == "rejected" for row in rows["good"]),
        "good_weakest": [[row["weakest"], row["score"]] for row in rows["good"]],
        "recall_by_fault": {
            name: round(1 - passed[name] / len(found), 4) for name, found in bad.items()
        },
        "rejected_by_fault": {
            name: round(sum(row["verdict"] == "rejected" for row in found) / len(found), 4)
            for name, found in bad.items()
        },
    }


def judge(script: Labelled) -> dict[str, Any]:
    """Verdict of the content checks on a labelled script, and its weakest check."""
    settings = get_settings()
    checks = script_checks(subject_of(script))
    score = aggregate(checks)["content"]
    weakest = min((c for c in checks if c.score is not None), key=lambda c: c.score or 0.0)
    verdict = decide(score, settings.gate_min_score, settings.gate_reject_score)
    return {"verdict": verdict, "score": score, "weakest": weakest.name}


if __name__ == "__main__":
    main()
