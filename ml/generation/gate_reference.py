"""Percentiles: how a measured value compares with scripts that are known to be faulty.

The score of a value is the share of the labelled scripts with a certain fault that measure lower.
So 0.85 says: better than 85 of 100 scripts that have this fault; 0.60, better than only 60. The
values stand in `labelled/reference.yaml`, written by `tests/bench/bench_gate.py --calibrate` from
the part `reference` of the labelled set; the part `held_out` is for judging the gate.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import yaml

from ml.generation.checks import Check
from ml.generation.gate_faults import FAULTS, FOLDER, Labelled, faulty, good
from ml.generation.gate_measures import MEASURES, RULES, Measure, Subject, measure, nearest

_FILE = FOLDER / "reference.yaml"
# What is left of a script that was cut or stirred is a copy of it.
_COPIES = ("truncated", "repetitive", "jumbled")


def subject_of(script: Labelled) -> Subject:
    """A labelled script as the gate sees it."""
    return Subject(script.sentences, script.topic, script.facts, script.niche)


def fingerprint() -> str:
    """Hash over the labelled scripts with their faults and the versions of the measures."""
    scripts = [*good(), *(s for fault in FAULTS for s in faulty("reference", fault))]
    text = repr(scripts) + repr(MEASURES)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def calibrate() -> dict[str, Any]:
    """Measure the faulty scripts of the part `reference`, as stored in the file."""
    values: dict[str, list[float]] = {m.name: [] for m in MEASURES}
    for fault in sorted({fault for m in MEASURES for fault in m.faults}):
        wanted = [m.name for m in MEASURES if fault in m.faults]
        for script in faulty("reference", fault):
            for name, value in measure(subject_of(script), wanted).items():
                values[name].append(round(value or 0.0, 5))
    values["novelty"] = sorted(_copies())
    return {
        "fingerprint": fingerprint(),
        "values": {name: sorted(found) for name, found in values.items()},
    }


def _copies() -> list[float]:
    """Novelty of edited copies: one less the similarity to the script that they were made from."""
    return [
        round(1 - nearest(subject_of(copy).text, [subject_of(original).text]), 5)
        for fault in _COPIES
        for original, copy in zip(
            (script for script in good() if script.part == "reference"),
            faulty("reference", fault),
            strict=True,
        )
    ]


def write(document: Mapping[str, Any]) -> None:
    """Store reference values."""
    text = yaml.safe_dump(dict(document), sort_keys=True, default_flow_style=None, width=100)
    head = "# Written by tests/bench/bench_gate.py --calibrate: measures of faulty scripts.\n"
    _FILE.write_text(head + text, encoding="utf-8")


@lru_cache(maxsize=1)
def reference() -> dict[str, Any]:
    """The stored reference values."""
    document: dict[str, Any] = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return document


def percentile(name: str, value: float) -> float:
    """Share of the faulty scripts that measure lower; an equal one counts half."""
    known: list[float] = reference()["values"][name]
    below = sum(other < value for other in known) + 0.5 * sum(other == value for other in known)
    return round(below / len(known), 4)


def script_checks(subject: Subject) -> list[Check]:
    """Every rule and every measure of a script as a row of the report."""
    measured = measure(subject)
    return [
        *(_ruled(name, subject) for name in RULES),
        *(_measured(m, measured[m.name]) for m in MEASURES),
    ]


def _ruled(name: str, subject: Subject) -> Check:
    problem = RULES[name][1](subject)
    return Check(
        name, "content", "rule", "1", problem or "none", "none", not problem, float(not problem)
    )


def _measured(one: Measure, value: float | None) -> Check:
    faults = " or ".join(one.faults)
    threshold = f"percentile among scripts that are {faults}"
    if value is None:
        return Check(
            one.name, "content", one.kind, one.version, None, threshold, True, None,
            "the brief has nothing to compare with",
        )  # fmt: skip
    score = percentile(one.name, value)
    return Check(
        one.name, "content", one.kind, one.version, round(value, 4), threshold, score >= 0.6, score
    )
