"""Where the command line writes: people read stderr and stdout, machines only stdout."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer
from rich.console import Console

# Rich takes 80 columns where there is no terminal, which folds paths and URLs.
_PIPE_WIDTH = 160

output = Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, soft_wrap=True)
errors = Console(stderr=True, width=None if sys.stderr.isatty() else _PIPE_WIDTH, soft_wrap=True)

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]


def print_json(value: Any) -> None:
    """Print one JSON document and nothing else on stdout."""
    typer.echo(json.dumps(value, default=str))


def ready(name: str, seconds: float, detail: str) -> None:
    """One line of progress: what is ready, after how long."""
    errors.print(f"  {name:<24}{seconds:6.1f} s  {detail}", highlight=False, markup=False)
