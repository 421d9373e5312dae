"""Reads a Dockerfile: just enough to check it."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Target:
    """One `FROM ... AS name` with its instructions.

    Attributes:
        name: of the target.
        base: image or earlier target it starts from.
        steps: (instruction, arguments) in order, continuation lines joined.
    """

    name: str
    base: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def arguments(self, instruction: str) -> list[str]:
        """Arguments of every such instruction of this target alone."""
        return [rest for word, rest in self.steps if word == instruction]

    def copies(self) -> list[tuple[str | None, list[str]]]:
        """(`--from` or None, source paths) of every COPY."""
        found = []
        for rest in self.arguments("COPY"):
            words = shlex.split(rest)
            options = [word for word in words if word.startswith("--")]
            origin = next((o.split("=")[1] for o in options if o.startswith("--from=")), None)
            found.append((origin, [w for w in words if w not in options][:-1]))
        return found


def read(path: Path) -> dict[str, Target]:
    """The targets of a Dockerfile by name, in order."""
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    text = re.sub(r"\\\n", " ", "\n".join(lines))
    targets: dict[str, Target] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            target = targets[name] = Target(name, base)
        else:
            target.steps.append((word, " ".join(rest.split())))
    return targets


def inherited(targets: dict[str, Target], name: str, instruction: str) -> str | None:
    """The last such instruction that holds in a target, its bases included."""
    while name in targets:
        if found := targets[name].arguments(instruction):
            return found[-1]
        name = targets[name].base
    return None


def command(targets: dict[str, Target], name: str) -> list[str]:
    """The CMD of a target in exec form."""
    words: list[str] = json.loads(inherited(targets, name, "CMD") or "[]")
    return words
