"""Prompt templates: versioned Jinja files, rendered into chat turns.

A file `prompts/<name>.v<n>.j2` has turns: a line that starts with `system:`, `user:` or
`assistant:` opens one, and what follows belongs to it. A last line `prefix: ...` is the start of
the answer, which the model has to go on from. A file without a system turn gets that of
`system.v<n>.j2`.

Changed wording is a new file with the next number. `prompts/versions.yaml` holds the hash of every
file, a test holds the files to it, and the version (number and hash) of each prompt is recorded
with every script that was written with it.

The strategies: `zero_shot` gives rules only, `few_shot` adds worked examples, `chain_of_thought`
lets the model plan before it writes, `self_consistency` takes the answer that most of several
agree with.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined

_FOLDER = Path(__file__).with_name("prompts")
_TURN = re.compile(r"(system|user|assistant|prefix):(.*)")

Strategy = Literal["zero_shot", "few_shot", "chain_of_thought", "self_consistency"]

VERSIONS = {
    "system": 2, "hook": 2, "fact": 2, "why": 2, "question": 2,  # one sentence each
    "script": 1, "repair": 1,  # a whole script as JSON
}  # fmt: skip


@dataclass(frozen=True)
class Prompt:
    """A chat: turns of (role, text), and the start of the answer."""

    turns: tuple[tuple[str, str], ...]
    prefix: str = ""

    @property
    def whole_turns(self) -> tuple[tuple[str, str], ...]:
        """The turns for a model whose answer nobody else can begin."""
        if not self.prefix:
            return self.turns
        role, text = self.turns[-1]
        return (*self.turns[:-1], (role, f"{text}\nBegin your answer with: {self.prefix}"))

    def followed_by(self, *turns: tuple[str, str]) -> Prompt:
        """The same chat with more turns."""
        return replace(self, turns=(*self.turns, *turns))


def render(name: str, **values: object) -> Prompt:
    """Render the current version of a prompt. Values must be clean, one line each."""
    environment = Environment(  # noqa: S701 - plain text for a model, not a web page
        loader=FileSystemLoader(_FOLDER),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    turns: list[list[str]] = []
    for line in environment.get_template(file_name(name)).render(**values).strip().splitlines():
        if found := _TURN.match(line):
            turns.append([found[1], found[2].strip()])
        elif turns:
            turns[-1].append(line)
    prefix = " ".join(turns.pop()[1:]) if turns[-1][0] == "prefix" else ""
    read = tuple((role, "\n".join(lines).strip()) for role, *lines in turns)
    if name != "system" and read[0][0] == "user":
        read = (*render("system").turns, *read)
    return Prompt(read, prefix)


def file_name(name: str) -> str:
    """The file of the current version of a prompt."""
    return f"{name}.v{VERSIONS[name]}.j2"


def hash_of(file: str) -> str:
    """Hash of a prompt file."""
    return hashlib.sha256((_FOLDER / file).read_bytes()).hexdigest()[:16]


def versions(names: Iterable[str]) -> dict[str, str]:
    """Number and hash of the current version of these prompts, as recorded with a video."""
    return {name: f"v{VERSIONS[name]}@{hash_of(file_name(name))}" for name in sorted(set(names))}


def digest() -> str:
    """Hash over the current version of every prompt file."""
    joined = repr(versions(VERSIONS)).encode()
    return hashlib.sha256(joined).hexdigest()[:16]
