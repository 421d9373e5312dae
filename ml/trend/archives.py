"""How good the registered champions are on archive files: features as in production, then measures.

The files are imported into a scratch platform, the same dbt models make the same features, and the
champion and the plain methods of its own training are measured on the first prediction of each
video. Nothing of it reaches the platform.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml import features, warehouse
from ml.clock import as_of
from ml.exceptions import ArchiveError, FatalError, TooFewRowsError
from ml.measures import calibration_table, draw_calibration
from ml.registry import releases
from ml.runtime.scratch import scratch_platform
from ml.settings import Settings, get_settings
from ml.sources.archives import FORMATS, format_of
from ml.storage.postgres import connect
from ml.trend.story import train as trend_story
from ml.trend.story.archives import measure_archive
from ml.trend.topic import candidates as trend_topic
from ml.trend.video import evaluate
from ml.trend.video import train as trend_video
from ml.trend.video.dataset import bounds, load_params, observed, shown_in

if TYPE_CHECKING:
    import pandas as pd

    from ml.registry.releases import Release
    from ml.trend.story.model import StoryModel
    from ml.trend.video.model import TrendModel

log = logging.getLogger(__name__)

Progress = Callable[[str], None]

_VIDEOS = ("youtube-panel", "youtube-trending")
_STORIES = ("hackernews-snapshots",)
_TOPICS = ("github-trending",)  # and all the others, which count as topics as well
_LONG_AGO = datetime(2005, 1, 1, tzinfo=UTC)  # YouTube's first year
# Number of a benchmark, and of which head each of its parts is; one without a name is all of it.
_BENCHMARKS = {
    "M1": {"": "rising"},
    "M2": {"day3": "growth_48h", "day7": "growth_7d"},
    "M3": {"": "breakout"},
    "M4": {"": "listed"},
}


@dataclass
class _Report:
    """What is being gathered."""

    champions: dict[str, Any] = field(default_factory=dict)
    benchmarks: dict[str, Any] = field(default_factory=dict)
    curves: dict[str, list[tuple[float, float, int]]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)


def evaluate_archives(
    files: Sequence[Path],
    *,
    plot: Path | None = None,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Measure the champions on archive files that they have never seen.

    Args:
        files: of the formats `youtube-panel` and `hackernews-snapshots` (both files of each),
            `youtube-trending` and `github-trending`, in any mixture; their headers say which.
        plot: where to draw the calibration of the probabilities; the suffix says the format.
        settings: those of the process by default; they lead to the registry.
        progress: called with what is being done.

    Returns:
        `model`, `version` and `rows` of the champion, of the videos' where several are asked;
        `champions` (of each model these, and when the rows are from), and `M1` to `M6` as far as
        they apply, each with its `baselines`; `M1` also by year, country, category, language
        and channel size (`slices`), `M2` by `day3` and `day7`. `skipped` says why there is no `M6`.

    Raises:
        ArchiveError: if a file cannot be imported or is of a format that no model is about.
        FatalError: if there is no champion.
        TooFewRowsError: if nothing has the observations that a prediction and its outcome need.
    """
    settings, say = settings or get_settings(), progress or _silent
    formats = _by_format(files)
    wanted = {
        name: releases.load_champion(name, settings)
        for name, known in ((trend_video.NAME, _VIDEOS), (trend_story.NAME, _STORIES))
        if formats.keys() & set(known)
    }
    report = _Report()
    if wanted:
        _on_scratch(formats, wanted, report, say)
    _topics(files, report, settings, say)
    if plot:
        draw_calibration(report.curves, plot)
    name, first = next(iter(report.champions.items()))
    return {
        "model": name,
        "version": first["version"],
        "rows": first["rows"],
        "files": [str(path) for path in files],
        "champions": report.champions,
        **report.benchmarks,
        **({"skipped": report.skipped} if report.skipped else {}),
    }


def _on_scratch(
    formats: dict[str, list[Path]], wanted: dict[str, Any], report: _Report, say: Progress
) -> None:
    """Import the files into a scratch platform and measure what needs features there."""
    say("starting a scratch database")
    with scratch_platform() as scratch:
        for name, paths in formats.items():
            say(f"importing {len(paths)} {name} file{'s' if len(paths) > 1 else ''}")
            scratch.ytempire("import-archive", "--format", name, *map(str, paths))
        with connect(scratch.settings.require("database_url")) as conn:
            now = as_of(conn, scratch.settings)
        for name, (model, release) in wanted.items():
            measure = _videos if name == trend_video.NAME else _stories
            measure(model.get_raw_model(), release, now, scratch.settings, report, say)


def _silent(_: str) -> None:
    """Say nothing."""


def _by_format(files: Sequence[Path]) -> dict[str, list[Path]]:
    """The files by the format that their header says.

    Raises:
        ArchiveError: naming the first file that is of none of ours.
    """
    found: dict[str, list[Path]] = {}
    known = (*_VIDEOS, *_STORIES, *_TOPICS)
    for path in files:
        form = format_of(path)
        if form is None or form.name not in known:
            wanted = "; ".join(f"{name} needs {FORMATS[name].expected}" for name in known)
            raise ArchiveError(f"{path} is of no format that a trend model is about: {wanted}")
        found.setdefault(form.name, []).append(path.absolute())
    return found


def _videos(
    model: TrendModel, release: Release, now: datetime, settings: Settings, report: _Report,
    say: Progress,
) -> None:  # fmt: skip
    say("making features of the videos")
    frame, excluded = _frame(model, now, settings)
    say(f"measuring {len(frame)} videos")
    measured = evaluate.measure(model, frame)
    if not measured:
        raise TooFewRowsError(
            f"none of {len(frame)} videos has an outcome: a video must be there on two days in a"
            " row and again two days later; give more days"
        )
    times = frame["event_timestamp"]
    report.champions[release.name] = {
        **_champion(release, len(frame), times.min(), times.max()), "excluded": excluded,
    }  # fmt: skip
    for benchmark, heads in _BENCHMARKS.items():
        parts = {
            part: _with_baselines(measured[head])
            for part, head in heads.items()
            if head in measured
        }
        if parts:
            report.benchmarks[benchmark] = parts.get("", parts)
    if "M1" not in report.benchmarks:
        return
    known = frame[frame["growth_48h"].notna()]
    outcome = (known["growth_48h"] > model.specification.growth_threshold).to_numpy().astype(int)
    report.curves["rising in 48 h"] = calibration_table(outcome, model.predict_proba(known))
    report.benchmarks["M1"]["slices"] = evaluate.by_group(model, known, shown_in(settings))


def _stories(
    model: StoryModel, release: Release, now: datetime, settings: Settings, report: _Report,
    say: Progress,
) -> None:  # fmt: skip
    say("making features of the stories, and measuring")
    found = measure_archive(model, now, settings)
    report.champions[release.name] = _champion(release, found.rows, found.first, found.last)
    report.benchmarks["M5"] = found.figures
    report.curves["story of 100 upvotes"] = found.curve


def _topics(files: Sequence[Path], report: _Report, settings: Settings, say: Progress) -> None:
    """Measure `trend_topic`; without a champion or enough days only if nothing else is asked."""
    from ml.trend.topic.unseen import measure_files

    try:
        model, release = releases.load_champion(trend_topic.NAME, settings)
        say("counting topics, and forecasting them")
        found = measure_files(model.get_raw_model(), files, trend_topic.load_params())
    except FatalError as error:
        if not report.champions:
            raise
        report.skipped["M6"] = str(error)
        return
    report.champions[release.name] = {
        "version": release.version,
        "trained_until": release.tags["last_day"],
        "rows": found.rows,
        "first": found.first,
        "last": found.last,
    }
    report.benchmarks["M6"] = found.figures


def _champion(release: Release, rows: int, first: datetime, last: datetime) -> dict[str, Any]:
    return {
        "version": release.version,
        "trained_until": release.tags["train_end"],
        "rows": rows,
        "first": first.isoformat(),
        "last": last.isoformat(),
    }


def _frame(model: TrendModel, now: datetime, settings: Settings) -> tuple[pd.DataFrame, int]:
    """First predictions of all videos, with labels, and how many lack a required feature."""
    service = model.specification.feature_service
    features.apply(settings)
    views = features.open_store(settings).get_feature_service(service).feature_view_projections
    select = [f"+{view.name}" for view in views]
    warehouse.run_dbt(["run", "--select", *select], as_of=now, settings=settings)
    params = {**load_params(), "feature_service": service, "max_day_number": 1}
    frame, late = observed(bounds(now, params, settings, since=_LONG_AGO), params, settings)
    whole = frame[list(model.specification.required)].notna().all(axis=1)
    return frame[whole].reset_index(drop=True), late + int((~whole).sum())


def _with_baselines(methods: dict[str, dict[str, float]]) -> dict[str, Any]:
    rivals = {name: figures for name, figures in methods.items() if name != "model"}
    return {**methods["model"], "baselines": rivals}
