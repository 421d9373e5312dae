"""`plan`, `generate`: which videos are made, and one on any topic."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from ml.cli.console import JsonFlag, errors, output, print_json


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    app.command()(plan)
    app.command()(generate)


def plan(as_json: JsonFlag = False) -> None:
    """Plan videos for every active channel, and print the plan with its reasons.

    Nothing is generated here: the DAG plan_videos starts these videos when it runs next.

    Example: ytempire plan --json
    """
    from rich.table import Table

    from ml.planning.planner import plan_and_store, planned

    made = plan_and_store()
    rows = planned(made.as_of)
    if as_json:
        print_json({"as_of": made.as_of, "cancelled": made.cancelled, "videos": rows})
        return
    table = Table(title=f"as of {made.as_of:%Y-%m-%d %H:%M}")
    for heading in (
        "video",
        "channel",
        "topic",
        "to be out",
        "interest",
        "growth",
        "liked",
        "status",
    ):
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(
            row["video_id"], row["channel_id"], row["topic"], f"{row['publish_at']:%m-%d %H:%M}",
            *(
                "-" if row[name] is None else f"{row[name]:,.2f}"
                for name in ("interest_at_publish", "daily_growth", "audience_score")
            ),
            row["status"],
        )  # fmt: skip
    output.print(table)
    for video_id in made.cancelled:
        errors.print(f"cancelled: {video_id}", highlight=False)


def generate(
    topic: Annotated[str, typer.Option(help="What the video is about.")],
    out: Annotated[Path, typer.Option(help="Folder for the finished files.")],
    fact: Annotated[
        list[str] | None,
        typer.Option(help="A sentence that the script may rely on; may be repeated."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed gives another video.")] = 0,
    as_json: JsonFlag = False,
) -> None:
    """Make one video in this process, with the stages that the DAG runs. Needs no services.

    Example: ytempire generate --topic "deep sea robots" --fact "A robot dived 8 km." --out ./film
    """
    from datetime import UTC, datetime, time

    from ml.generation.artifacts import LocalStore
    from ml.generation.brief import Fact, VideoBrief
    from ml.generation.pipeline import run_all
    from ml.generation.stage import StageResult
    from ml.planning.channels import read_channels
    from ml.settings import get_settings

    settings = get_settings()
    facts = tuple(Fact(text=text, source="given") for text in fact or ())
    digest = hashlib.sha256(json.dumps([topic, fact, seed]).encode()).hexdigest()
    brief = VideoBrief(
        video_id=f"m-{digest[:16]}",
        channel=read_channels()[0].brief(),
        topic=topic,
        facts=facts,
        seed=seed,
        width=settings.video_width,
        height=settings.video_height,
        # A day, not a moment: what is finished is found again when the command is repeated.
        as_of=settings.as_of or datetime.combine(datetime.now(UTC), time.min, UTC),
    )

    def on_stage(name: str, result: StageResult | None) -> None:
        if result is not None and not as_json:
            reused = ", reused" if result.reused else ""
            errors.print(f"  {name:<12}{result.seconds:6.1f} s  {result.provider}{reused}")

    store = LocalStore(out / "stages")
    results = run_all(
        brief, store=store, settings=settings.model_copy(update={"outbox_dir": out}),
        on_stage=on_stage,
    )  # fmt: skip
    summary = _summary(brief.video_id, results)
    if as_json:
        print_json(summary)
    else:
        output.print_json(data=summary)


def _summary(video_id: str, results: list[Any]) -> dict[str, Any]:
    by_name = {result.stage: result for result in results}
    folder = Path(by_name["publish"].metrics["folder"])
    files = {path.name: str(path) for path in sorted(folder.iterdir())}
    return {
        "video_id": video_id,
        "files": files,
        "scores": by_name["gate"].metrics,
        "cost_usd": sum(result.cost_usd for result in results),
        "stages": [
            {"name": r.stage, "seconds": r.seconds, "provider": r.provider} for r in results
        ],
    }
