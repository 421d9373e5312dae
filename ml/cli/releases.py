"""`validate`, `promote`, `rollback`, `releases` and `audit`: the life of a model version."""

from __future__ import annotations

import getpass
import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.table import Table

from ml.cli.console import JsonFlag, errors, output, print_json
from ml.exceptions import FatalError

if TYPE_CHECKING:
    from ml.registry.audit import Cause
    from ml.registry.rollouts import Rollout

Model = Annotated[str, typer.Argument(help="Registered model, such as trend_video.")]
Version = Annotated[str, typer.Argument(help="1.2.0, its number in MLflow, or an alias.")]
Reason = Annotated[str, typer.Option(help="Why; it goes to the audit.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    for command in (validate, promote, rollback, releases):
        app.command()(command)
    audit = typer.Typer(help="Who changed which release, when and why.", no_args_is_help=True)
    audit.command("verify")(audit_verify)
    audit.command("show")(audit_show)
    app.add_typer(audit, name="audit")


def validate(model: Model, version: Version, as_json: JsonFlag = False) -> None:
    """Put a version through the gates; exit code 1 and every failed criterion if it is refused.

    Example: ytempire validate trend_video challenger
    """
    from ml.registry.validation import validate as run

    with errors.status("trying it out"):
        report = run(model, version)
    if as_json:
        print_json(report.as_dict())
    else:
        table = Table("criterion", "figure", "limit", "", "", title=f"{model} {report.version}")
        for found in report.findings:
            verdict = "met" if found.passed else "[red]not met[/red]"
            row = (f"{found.figure:.4g}", f"{found.limit:g}", verdict, found.detail)
            table.add_row(found.criterion, *row)
        output.print(table)
    if not report.passed:
        raise FatalError(f"{model} {report.version} is refused: " + "; ".join(report.failures))


def promote(
    model: Model,
    version: Annotated[str, typer.Argument(help="As above; none with --freeze.")] = "",
    strategy: Annotated[
        Literal["direct", "canary", "blue-green", "shadow"],
        typer.Option(help="At once, or beside the champion for a share of the callers first."),
    ] = "direct",
    reason: Reason = "promoted by hand",
    approve: Annotated[
        bool, typer.Option("--approve", help="You have read the comparison of a major version.")
    ] = False,
    freeze: Annotated[
        bool, typer.Option("--freeze", help="Keep the champion whatever beats it.")
    ] = False,
    unfreeze: Annotated[bool, typer.Option("--unfreeze", help="Let go of it again.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Make a version champion once the gates let it through; or freeze the champion that serves.

    With another strategy than `direct` the command stays until the rollout is over; ended by you,
    the rollout goes on in the DAG `roll_out_model` or with the same command again.

    Example: ytempire promote trend_video 1.2.0 --strategy canary --reason "beats 1.1.0 by 2 points"
    """
    from ml.registry import promotion, rollouts

    cause = _cause(reason)
    if freeze or unfreeze:
        (promotion.freeze if freeze else promotion.unfreeze)(model, cause)
        _tell({"model": model, "frozen": freeze, "reason": reason}, as_json)
        return
    if not version:
        raise FatalError("say which version; `ytempire releases MODEL` lists them")
    if strategy == "direct":
        with errors.status("putting it through the gates"):
            release = promotion.promote(model, version, cause, approved=approve)
        _tell(release.summary(), as_json)
        return
    kind: Any = strategy.replace("-", "_")
    with errors.status("putting it through the gates"):
        rollout = rollouts.start(model, version, kind, cause, approved=approve)
    rollout = _watch(rollout)
    _tell(rollout.summary(), as_json)
    if rollout.status == "rolled_back":
        raise FatalError(f"{model} {rollout.version} was rolled back: {rollout.reason}")


def rollback(
    model: Model, reason: Reason = "rolled back by hand", as_json: JsonFlag = False
) -> None:
    """End the rollout that is under way, or else bring the last former champion back.

    Example: ytempire rollback trend_video --reason "scores of music videos are off"
    """
    from ml.registry import promotion, rollouts
    from ml.settings import get_settings

    if rollouts.running(model, get_settings()):
        _tell(rollouts.undo(model, _cause(reason)).summary(), as_json)
        return
    _tell(promotion.rollback(model, _cause(reason)).summary(), as_json)


def releases(
    model: Model,
    at: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="Only what was champion then, in UTC."
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """List the versions of a model, newest first, or what was live at a moment.

    Example: ytempire releases trend_video --at 2026-05-31T12:00:00
    """
    from ml.registry import audit
    from ml.registry.listing import listed
    from ml.settings import get_settings

    settings = get_settings()
    if at is not None:
        live = audit.live_at(model, at.replace(tzinfo=at.tzinfo or UTC), settings)
        if live is None:
            raise FatalError(f"no version of {model} was champion then")
        _tell(live, as_json)
        return
    rows = listed(model, settings)
    if as_json:
        print_json({"releases": rows})
        return
    table = Table("version", "aliases", "since", "decision", "metrics")
    for row in rows:
        figures = ", ".join(f"{name} {value:.4f}" for name, value in row["metrics"].items())
        since = f"{row['since']:%Y-%m-%d %H:%M}" if row["since"] else ""
        decision = f"{row['decision']}: {row['reason']}"
        table.add_row(row["version"], ", ".join(row["aliases"]), since, decision, figures)
    output.print(table)


def audit_verify(as_json: JsonFlag = False) -> None:
    """Check that no row of the audit was changed or taken out; exit code 1 names the first broken.

    Example: ytempire audit verify
    """
    from ml.registry import audit
    from ml.registry.listing import known_heads
    from ml.settings import get_settings

    settings = get_settings()
    verdict = audit.verify(settings, known_heads(settings))
    if as_json:
        print_json({"whole": verdict.broken is None, **vars(verdict)})
    elif verdict.broken is None:
        output.print(f"the audit is whole: {verdict.rows} rows, head {verdict.head[:16]}")
    if verdict.broken is not None:
        raise FatalError(f"the audit is broken: {verdict.broken}")


def audit_show(
    model: Annotated[str | None, typer.Argument(help="Only of this model.")] = None,
    limit: Annotated[int, typer.Option(help="How many rows, newest first.")] = 50,
    as_json: JsonFlag = False,
) -> None:
    """Show the last changes, newest first.

    Example: ytempire audit show trend_video --limit 10
    """
    from ml.registry import audit
    from ml.settings import get_settings

    rows = audit.show(get_settings(), model, limit)
    if as_json:
        print_json({"audit": rows})
        return
    table = Table("row", "at", "who", "what", "model", "version", "from", "to", "why")
    for row in rows:
        moved = [str(row[end] or "") for end in ("from", "to")]
        what = f"{row['action']} {row['alias'] or ''}".strip()
        table.add_row(
            str(row["audit_id"]), f"{row['at']:%Y-%m-%d %H:%M:%S}", row["actor"], what,
            row["model"], row["version"] or "", *moved, row["reason"],
        )  # fmt: skip
    output.print(table)


def _watch(rollout: Rollout) -> Rollout:
    """Check until it is over."""
    from ml.registry import rollouts
    from ml.settings import get_settings

    every = get_settings().rollout_check_s
    with errors.status("") as status:
        while rollout.status == "running":
            status.update(f"{rollout.version} answers {rollout.percent} % of the callers")
            time.sleep(every)
            rollout = rollouts.check(rollout.model)
    return rollout


def _cause(reason: str) -> Cause:
    from ml.registry.audit import Cause

    return Cause(getpass.getuser(), reason)


def _tell(facts: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(facts)
        return
    for name, value in facts.items():
        shown = json.dumps(value) if isinstance(value, dict | list) else value
        output.print(f"{name}: {shown}", highlight=False, markup=False)
