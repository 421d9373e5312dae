"""`freeze`, `thaw`: whether drift may retrain a model."""

from __future__ import annotations

import getpass
from typing import Annotated

import typer

from ml.cli.console import JsonFlag, output, print_json

_Model = Annotated[str, typer.Argument(help="Registered model, such as trend_video.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    app.command("freeze")(freeze_model)
    app.command("thaw")(thaw_model)


def freeze_model(
    model: _Model,
    reason: Annotated[str, typer.Option(help="Why, for those who wonder later.")],
    as_json: JsonFlag = False,
) -> None:
    """Keep drift and decay from retraining a model; new features and people still do.

    Example: ytempire freeze trend_video --reason "campaign until May"
    """
    from ml.monitoring.retraining import freeze

    who = getpass.getuser()
    freeze(model, who, reason)
    if as_json:
        print_json({"model": model, "frozen_by": who, "reason": reason})
        return
    output.print(f"{model} is frozen: drift does not retrain it", highlight=False)


def thaw_model(model: _Model, as_json: JsonFlag = False) -> None:
    """Let drift and decay retrain a model again.

    Example: ytempire thaw trend_video
    """
    from ml.monitoring.retraining import thaw

    was_frozen = thaw(model)
    if as_json:
        print_json({"model": model, "was_frozen": was_frozen})
        return
    what = "drift retrains it again" if was_frozen else "it was not frozen"
    output.print(f"{model}: {what}", highlight=False)
