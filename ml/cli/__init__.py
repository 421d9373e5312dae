"""The command line: `ytempire COMMAND`.

People get tables and progress bars on stderr and stdout; with `--json` stdout carries one JSON
document and nothing else. Exit code 0 means success, 1 an error that the one line on stderr
explains, 2 wrong arguments.
"""

from __future__ import annotations

import logging
import sys

import typer

from ml.cli import (
    analysts,
    channels,
    content,
    data,
    keys,
    models,
    publishing,
    releases,
    run,
    services,
    sources,
)
from ml.cli.console import errors
from ml.exceptions import YtempireError

app = typer.Typer(
    name="ytempire",
    help="Turns what the world talks about into published videos.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
services.register(app)
data.register(app)
sources.register(app)
run.register(app)
channels.register(app)
content.register(app)
models.register(app)
releases.register(app)
analysts.register(app)
keys.register(app)
publishing.register(app)


def main() -> None:
    """Entry point of the console script."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        app()
    except YtempireError as error:
        errors.print(f"[red]error:[/red] {error}", highlight=False, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        errors.print("stopped by you; run the same command again to go on")
        sys.exit(130)
