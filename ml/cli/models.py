"""`train` and `evaluate`: models on the platform's data, and on files of one's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer
from rich.table import Table

from ml.cli.console import JsonFlag, errors, output, print_json

if TYPE_CHECKING:
    from ml.quality.policy.texts import Task
    from ml.registry.releases import Release

AsOf = Annotated[
    datetime | None,
    typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help='"Now", in UTC.'),
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    train = typer.Typer(help="Train, measure and register a model.", no_args_is_help=True)
    train.command("trend")(train_trend)
    train.command("quality")(train_quality)
    train.command("audience")(train_audience)
    app.add_typer(train, name="train")
    evaluate = typer.Typer(
        help="Measure a model on files of your own, beside its baselines.", no_args_is_help=True
    )
    evaluate.command("trend")(evaluate_trend)
    evaluate.command("audience")(evaluate_audience)
    evaluate.command("quality")(evaluate_quality)
    app.add_typer(evaluate, name="evaluate")


def train_trend(
    model: Annotated[
        Literal["video", "story", "topic"],
        typer.Option(help="What is predicted: videos, Hacker News stories or topics."),
    ] = "video",
    as_of: AsOf = None,
    search: Annotated[
        bool, typer.Option("--search", help="First search the parameters; only of videos.")
    ] = False,
    niche: Annotated[
        str | None,
        typer.Option(
            help="Adapt the champion of videos to this niche of `marts.dim_niche`, such as gaming;"
            " it is refused unless it beats that champion on the niche's last weeks."
        ),
    ] = None,
    minutes: Annotated[
        float,
        typer.Option(
            "--minutes",
            "--budget-minutes",
            min=0,
            help="After which a search begins no trial, and an adaptation no attempt.",
        ),
    ] = 30,
    as_json: JsonFlag = False,
) -> None:
    """Train `trend_video`, `trend_story` or `trend_topic` on what was known at a moment.

    A search is kept in the database `optuna` and goes on where an earlier one of the same rows was.
    With a niche `trend_video_NICHE` is registered.

    Example: ytempire train trend --search --minutes 30

    Example: ytempire train trend --niche gaming --budget-minutes 10
    """
    run: Callable[[datetime], Release]
    if search and model != "video":
        raise typer.BadParameter(f"there is no search for {model}; leave out --search")
    if niche is not None and (search or model != "video"):
        raise typer.BadParameter(
            "--niche adapts the model of videos; leave out --search and --model"
        )
    if niche is not None:
        from ml.trend.video.niche import train_niche

        run = partial(train_niche, niche, minutes=minutes)
    elif search:
        run = partial(_searched, minutes)
    elif model == "video":
        from ml.trend.video.train import train_video as run
    elif model == "story":
        from ml.trend.story.train import train_story as run
    else:
        from ml.trend.topic.train import train_topic as run
    _train(run, as_of, as_json)


def _searched(minutes: float, moment: datetime) -> Release:
    """Search the parameters of `trend_video`, then train with the best ones."""
    from ml.trend.video.search import search_video
    from ml.trend.video.train import train_video

    found = search_video(moment, 60 * minutes, progress=errors.print)
    errors.print(
        f"{found.study}: {found.trials} trials, log loss on validation {found.loss:.5f}, with the"
        f" parameters kept in the repository {found.kept_loss:.5f}"
    )
    return train_video(moment, params=found.params)


def train_quality(
    model: Annotated[
        Literal["policy", "engagement"],
        typer.Option(
            help="`policy` learns from the labelled texts in YTEMPIRE_DATA_DIR, `engagement` from"
            " the videos of the marts."
        ),
    ] = "policy",
    as_of: AsOf = None,
    as_json: JsonFlag = False,
) -> None:
    """Train `quality_policy` or `quality_engagement`.

    Example: ytempire train quality --model engagement
    """
    run: Callable[[datetime], Release]
    if model == "policy":
        from ml.quality.policy.train import train_quality_policy as run
    else:
        from ml.quality.engagement.train import train_quality_engagement as run
    _train(run, as_of, as_json)


def train_audience(as_of: AsOf = None, as_json: JsonFlag = False) -> None:
    """Train `audience_preference` on what viewer segments were shown and watched.

    Example: ytempire train audience --as-of 2026-05-31
    """
    from ml.audience.train import train_audience as run

    _train(run, as_of, as_json)


def _train(run: Callable[[datetime], Release], moment: datetime | None, as_json: bool) -> None:
    from ml.clock import as_of
    from ml.storage.postgres import connect

    with errors.status("training"):
        if moment is None:
            with connect() as conn:
                moment = as_of(conn)
        release = run(moment.replace(tzinfo=moment.tzinfo or UTC))
    if as_json:
        print_json(release.summary())
        return
    state = "was there already" if release.reused else "is registered"
    rank = "it is champion" if release.is_champion else "it is not champion"
    output.print(f"{release.name} {release.version} {state}; {rank}: {release.reason}")


def evaluate_trend(
    archive: Annotated[
        list[Path], typer.Option(help="Archive file that no champion has seen; more may follow it.")
    ],
    more: Annotated[list[Path] | None, typer.Argument(help="Further files, of any format.")] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the calibration into this picture (.png, .svg, .pdf).")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Measure the trend champions on archive files, in the formats of `import-archive`.

    Example: ytempire evaluate trend --archive video_day.csv.xz videos.csv.xz --plot curve.png
    """
    from ml.trend.archives import evaluate_archives

    with errors.status("loading the champion") as status:
        files = [*archive, *(more or [])]
        result = evaluate_archives(files, plot=plot, progress=status.update)
    _report(result, as_json)


def evaluate_audience(
    train: Annotated[Path, typer.Option(help="Interactions to learn from: user, item, ...")],
    test: Annotated[Path, typer.Option(help="One held-out item for each user.")],
    negatives: Annotated[
        Path, typer.Option(help="`(user,item)` and the items to rank it among, tab-separated.")
    ],
    as_json: JsonFlag = False,
) -> None:
    """Fit the recipe of `audience_preference` on a file and rank held-out items. Needs no services.

    Example: ytempire evaluate audience --train u.train --test u.test --negatives u.negatives
    """
    from ml.audience.evaluate import evaluate_files

    with errors.status("fitting") as status:
        result = evaluate_files(train, test, negatives, progress=status.update)
    _report(result, as_json)


def evaluate_quality(
    task: Annotated[str, typer.Option(help="clickbait, spam or toxicity.")],
    file: Annotated[Path, typer.Option(help="CSV or TSV, compressed or not.")],
    text_column: Annotated[str, typer.Option(help="Column with the texts.")],
    label_column: Annotated[str, typer.Option(help="Column with two labels.")],
    as_json: JsonFlag = False,
) -> None:
    """Score labelled texts with the champion of `quality_policy`.

    Example: ytempire evaluate quality --task spam --file c.csv --text-column CONTENT
    --label-column CLASS
    """
    from ml.quality.policy.evaluate import evaluate_file

    with errors.status("scoring") as status:
        result = evaluate_file(
            cast("Task", task), file, text_column, label_column,
            progress=lambda done, total: status.update(f"scored {done} of {total}"),
        )  # fmt: skip
    _report(result, as_json)


def _report(result: dict[str, Any], as_json: bool) -> None:
    """The JSON, or a row for the model and each of its baselines."""
    if as_json:
        print_json(result)
        return
    champions = result.get("champions") or {result["model"]: result}
    for name, facts in champions.items():
        output.print(f"{name} {facts['version']}, {facts['rows']} rows")
    for name, figures in result.items():
        if isinstance(figures, dict) and name != "champions":
            for table in _tables(name, figures):
                output.print(table)


def _tables(name: str, figures: dict[str, Any]) -> Iterator[Table]:
    """Of each benchmark, or part of one, the model first and its baselines below."""
    measures = [key for key, value in figures.items() if isinstance(value, int | float)]
    if not measures:
        for part, inner in figures.items():
            yield from _tables(f"{name} {part}", inner)
        return
    rows = {"model": figures, **figures.get("baselines", {})}
    table = Table("", *measures, title=name)
    for rival, values in rows.items():
        table.add_row(rival, *(_figure(values.get(measure)) for measure in measures))
    yield table


def _figure(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else "" if value is None else str(value)
