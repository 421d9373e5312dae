"""Semantic versions of releases: `major.minor.patch+build`.

major: another architecture, by what a caller or a loader would notice: columns that go in or come
out, the feature service, the loader. minor: another training, by data or parameters. patch: the
same training with repaired code. build: the same model, optimised.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal

Step = Literal["major", "minor", "patch", "build"]

_SEMANTIC = re.compile(r"(\d+)\.(\d+)\.(\d+)(?:\+(\d+))?$")
_TRAINING = ("data_digest", "params")


def parse(version: str) -> tuple[int, int, int, int] | None:
    """The four numbers, None if it is no such version."""
    match = _SEMANTIC.match(version)
    if match is None:
        return None
    major, minor, patch, build = match.groups(default="0")
    return int(major), int(minor), int(patch), int(build)


def step_between(before: Mapping[str, str], after: Mapping[str, str]) -> Step:
    """Which number rises, from the tags of the last version and of the new one.

    `change` in the new tags says it outright, which an optimisation has to. What an older version
    does not say of itself cannot differ.
    """
    if (stated := after.get("change")) in ("major", "minor", "patch", "build"):
        return stated  # type: ignore[return-value] # mypy does not narrow by a tuple of literals
    known = {key: value for key, value in before.items() if key in after}
    if "architecture" in known and known["architecture"] != after["architecture"]:
        return "major"
    if any(key in known and known[key] != after[key] for key in _TRAINING):
        return "minor"
    same_training = all(key in known for key in _TRAINING)
    return "patch" if same_training and "code_digest" in known else "minor"


def next_version(existing: Iterable[str], step: Step = "minor") -> str:
    """The version of a new registration: 1.0.0, then one step above the highest.

    Args:
        existing: versions that are taken; others than `major.minor.patch+build` do not count.
        step: the number that rises; those behind it start again.
    """
    known = [numbers for version in existing if (numbers := parse(version))]
    if not known:
        return "1.0.0"
    major, minor, patch, build = max(known)
    return {
        "major": f"{major + 1}.0.0",
        "minor": f"{major}.{minor + 1}.0",
        "patch": f"{major}.{minor}.{patch + 1}",
        "build": f"{major}.{minor}.{patch}+{build + 1}",
    }[step]


def latest(versions: Mapping[str, Mapping[str, str]]) -> Mapping[str, str] | None:
    """Tags of the highest version, from tags by version."""
    known = {version: numbers for version in versions if (numbers := parse(version))}
    return versions[max(known, key=lambda version: known[version])] if known else None
