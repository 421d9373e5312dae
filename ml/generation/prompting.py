"""Prompt templates: versioned Jinja files, rendered into chat turns.

A file `prompts/<name>.v<n>.j2` has one turn a line: `user: ...`, `assistant: ...`. A last line
`prefix: ...` is the start of the answer, which the model has to go on from. Changed wording is a
new version; the digest of the files goes into the hash of every script made with them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

_FOLDER = Path(__file__).with_name("prompts")

VERSIONS = {"system": "v1", "hook": "v1", "fact": "v1", "why": "v1", "question": "v1"}


@dataclass(frozen=True)
class Prompt:
    """A chat: turns of (role, text), and the start of the answer."""

    turns: tuple[tuple[str, str], ...]
    prefix: str = ""


def render(name: str, **values: str) -> Prompt:
    """Render the current version of a prompt. Values must be clean, one line each."""
    environment = Environment(  # noqa: S701 - plain text for a model, not a web page
        loader=FileSystemLoader(_FOLDER), undefined=StrictUndefined, trim_blocks=True
    )
    system = environment.get_template(f"system.{VERSIONS['system']}.j2").render().strip()
    text = environment.get_template(f"{name}.{VERSIONS[name]}.j2").render(**values)
    turns, prefix = [("system", system)], ""
    for line in text.strip().splitlines():
        role, _, content = line.partition(":")
        if role == "prefix":
            prefix = content.strip()
        else:
            turns.append((role, content.strip()))
    return Prompt(tuple(turns), prefix)


def digest() -> str:
    """Hash over the current version of every prompt file."""
    files = sorted(f"{name}.{version}.j2" for name, version in VERSIONS.items())
    joined = b"\0".join((_FOLDER / file).read_bytes() for file in files)
    return hashlib.sha256(joined).hexdigest()[:16]
